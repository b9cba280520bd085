//! From one run to the next.

use std::io;

use nix::fcntl::renameat;

use super::{Growth, Ledger};
use crate::clock::Timestamp;
use crate::event::{EventData, JournalEntry, read_journal};
use crate::log::timeline::Lengths;
use crate::process;
use crate::store::{encode_record, failed, file, has_lost_work};
use crate::task::{
    FailReason, KillReason, MainExit, ProcessIdentity, Reason, RunSpan, RunToken, TaskState,
};

/// What the next run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The same as the one before: it is started again.
    TheSame,
    /// The next piece of the task's work.
    NextWork,
}

impl Ledger {
    /// The run is found to have been executed by a supervisor that was killed before it had put that
    /// on record, and perhaps before it had told.
    pub(crate) fn found_running(&mut self, main: ProcessIdentity) {
        let journal = self.own_journal();
        let facts = &self.record.facts;
        let is_told = |entry: &JournalEntry| entry.begins(&facts.generation, facts.run);
        if journal.iter().any(is_told) {
            return;
        }
        // Its logs may have grown since: they were not shorter than at what was last told.
        let before = journal
            .last()
            .map_or_else(Lengths::default, |last| Lengths {
                main: last.log_offset,
                stderr: last.stderr_offset,
            });
        let _ = self.note_start(main, before);
    }

    fn own_journal(&self) -> Vec<JournalEntry> {
        let mut journal = read_journal(&self.dir);
        journal.retain(|entry| entry.generation == self.record.facts.generation);
        journal
    }

    /// Whether a supervisor was lost before it had begun with the piece of work of the present run, which
    /// nobody has dropped since.
    pub(crate) fn has_lost_work(&self) -> bool {
        self.takes_work() && has_lost_work(&self.dir, &self.record.facts)
    }

    /// The same, of a task that has ended on record: that stays until the run has begun.
    pub(crate) fn announce_lost_run(&mut self) -> io::Result<()> {
        self.dir.keep_previous(&encode_record(&self.record)?)?;
        self.open_work();
        self.set_out();
        self.write(TaskState::Starting)
    }

    /// The run that a supervisor was lost in, before its command was executed, begins now.
    pub(crate) fn begin_lost_run(&mut self) {
        self.remove_leaf();
        self.set_out();
        let _ = self.write(TaskState::Starting);
    }

    /// The run that a restart was to begin cannot be executed: the task has ended with the one before,
    /// as the journal tells. `false`: it does not.
    pub(crate) fn earlier_run_ended(&mut self) -> bool {
        let journal = self.own_journal();
        let Some((run, exit, exited_at)) =
            journal.iter().rev().find_map(|entry| match entry.event {
                EventData::Restarting {
                    run,
                    exit_code,
                    signal,
                    ..
                } if run.checked_add(1) == Some(self.record.facts.run) => {
                    let code = exit_code.map(MainExit::Code);
                    Some((run, code.or(signal.map(MainExit::Signal)), entry.timestamp))
                }
                _ => None,
            })
        else {
            return false;
        };
        let generation = &self.record.facts.generation;
        let started = journal.iter().find(|entry| entry.begins(generation, run));
        let started_at = started.map(|entry| entry.timestamp);
        let facts = &mut self.record.facts;
        facts.run = run;
        facts.restart_count = facts.restart_count.saturating_sub(1);
        facts.cleared = true;
        self.conclude(TaskState::Killed {
            reason: KillReason::StopRequested,
            exit,
            span: started_at.map(|started_at| RunSpan {
                started_at,
                exited_at: Some(exited_at),
                duration_ms: Some(exited_at.millis_since(started_at)),
            }),
        });
        true
    }

    /// This run is over and the next begins after a while.
    pub(crate) fn backing_off(
        &mut self,
        exit: Option<MainExit>,
        reason: Option<Reason>,
        delay_ms: u64,
    ) {
        self.note_restart(exit, reason.or(self.reason_of(exit)), delay_ms);
        self.remove_leaf();
        let next_start_at = Timestamp::now().after_ms(delay_ms);
        self.record.facts.cleared = true;
        // On a full disk the record says that it runs, until it does.
        let _ = self.write(TaskState::BackingOff { next_start_at });
    }

    /// The run waits for its turn. `before`: how long its logs are.
    pub(crate) fn queued(&mut self, before: Lengths) -> io::Result<()> {
        let facts = &self.record.facts;
        let queued = EventData::Queued {};
        self.journal.append(&self.dir, facts, before, queued)?;
        self.write(TaskState::Queued)
    }

    /// The run that waited for its turn begins.
    pub(crate) fn turn_came(&mut self) {
        // On a full disk the record says that it waits, until it runs.
        let _ = self.write(TaskState::Starting);
    }

    /// The run that was to begin is left to a successor.
    pub(crate) fn hand_over(&mut self) {
        self.next_run(About::TheSame);
    }

    /// The next run is about to be executed.
    pub(crate) fn next_run(&mut self, about: About) {
        self.begin_next_run(about);
        let _ = self.write(TaskState::Starting);
    }

    /// This run is over and another follows.
    pub(crate) fn restarting(&mut self, exit: Option<MainExit>) {
        self.note_restart(exit, Some(Reason::asked()), 0);
        self.remove_leaf();
        self.hand_over();
    }

    /// The run was interrupted, which nobody has put on record yet; what it left is still to be
    /// ended.
    pub(crate) fn interrupted(&mut self, reason: FailReason) {
        let facts = &mut self.record.facts;
        if !facts.state.status().is_terminal() {
            facts.state = failed(&facts.state, reason, "it was interrupted".to_owned());
        }
    }

    /// It was interrupted, and the next run follows at once.
    pub(crate) fn recovering(&mut self, reason: FailReason, about: About) {
        self.note_restart(None, Some(Reason::Failed(reason)), 0);
        self.next_run(about);
    }

    /// It could not be executed, and the next piece of work follows at once.
    pub(crate) fn not_executed(&mut self) {
        self.note_restart(None, Some(Reason::Failed(FailReason::SpawnFailed)), 0);
        self.next_run(About::NextWork);
    }

    fn note_restart(&mut self, exit: Option<MainExit>, reason: Option<Reason>, delay_ms: u64) {
        self.with_growth(Growth::run_ended);
        let (exit_code, signal) = EventData::exit_fields(exit);
        self.note(EventData::Restarting {
            run: self.record.facts.run,
            exit_code,
            signal,
            reason,
            delay_ms,
        });
    }

    /// Counts up to the next run; nothing is written yet.
    fn begin_next_run(&mut self, about: About) {
        self.open_work();
        if about == About::NextWork {
            self.begin_next_work();
        } else {
            let facts = &mut self.record.facts;
            facts.restart_count = facts.restart_count.saturating_add(1);
        }
        let facts = &mut self.record.facts;
        facts.run = facts.run.saturating_add(1);
        self.set_out();
    }

    /// The present run is about to be executed, here and now.
    fn set_out(&mut self) {
        let facts = &mut self.record.facts;
        facts.run_token = RunToken::generate();
        if let Ok(boot) = process::boot_id() {
            facts.boot_id = boot;
        }
        facts.cleared = true;
        facts.state = TaskState::Starting;
    }

    /// Records that the next run is about to be executed, keeping the record before it so that
    /// it can be brought back.
    pub(crate) fn announce_next_run(&mut self, about: About) -> io::Result<()> {
        self.dir.keep_previous(&encode_record(&self.record)?)?;
        self.begin_next_run(about);
        self.write(TaskState::Starting)
    }

    /// Brings back the record that this start was about to replace. `false`: there is none.
    pub(crate) fn restore_previous(&self) -> bool {
        renameat(&self.dir, file::PREVIOUS_RECORD, &self.dir, file::RECORD).is_ok()
    }
}
