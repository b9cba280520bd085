//! A run that another supervisor executed: what is known of it, and its end.

use std::io;

use super::super::Errand;
use super::super::chores::Chores;
use super::super::machine::Event;
use super::Supervisor;
use crate::process;
use crate::store::{first_marked, first_of_run};
use crate::task::{Health, TaskState};

impl Supervisor {
    /// Brings the record of a lost run to what can be known of it.
    pub(super) fn adopt_run(&mut self) {
        let facts = &mut self.ledger.record.facts;
        if facts.state == TaskState::Starting
            && let Ok(Some(main)) = first_marked(&facts.run_token)
        {
            facts.state = TaskState::running(main, facts.updated_at, Health::None);
            self.ledger.found_running(main);
        }
        self.ledger.adopted();
    }

    /// Whether nothing is left of a run that a lost supervisor executed.
    pub(super) fn is_run_over(&self) -> io::Result<bool> {
        let record = &self.ledger.record;
        let is_alive = record.facts.state.main().is_some_and(process::may_be_alive);
        Ok(!is_alive && first_of_run(&self.ledger.dir, record)?.is_none())
    }

    /// Ends what a run has left that ended on record, but whose supervisor was killed before
    /// nothing of it was left.
    pub(super) fn clear_strays(&mut self) -> io::Result<()> {
        let facts = &self.ledger.record.facts;
        if facts.cleared || first_of_run(&self.ledger.dir, &self.ledger.record)?.is_none() {
            return Ok(());
        }
        let stop = self.ledger.record.spec.stop;
        self.end_adopted(Event::Stop(stop))
    }

    /// Ends a run that another supervisor executed.
    pub(super) fn end_adopted(&mut self, event: Event) -> io::Result<()> {
        let state = self.ledger.record.facts.state.clone();
        let mut chores = Chores::adopted(&self.home, &mut self.ledger, &mut self.signals);
        if self.errand != Errand::Adopt {
            chores.expect_another_run();
        }
        let alone = chores.is_tree_gone();
        if state.status().is_terminal() && alone {
            // Only what follows the end is left to be done.
        } else if state.main().is_some_and(process::may_be_alive) || state.status().is_terminal() {
            chores.happen(event);
        } else {
            let exit = match state {
                TaskState::Running { main_exit, .. } => main_exit,
                _ => None,
            };
            let ended = Event::MainEnded { exit, alone };
            // A restart has to be known before the end that it replaces is put on record; a stop
            // came after it.
            let order = match event {
                Event::Restart(_) => [event, ended],
                _ => [ended, event],
            };
            order.into_iter().for_each(|event| chores.happen(event));
        }
        chores.see_through()
    }
}
