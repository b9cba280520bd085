//! What was heard becomes events.

use super::super::machine::{Event, Exit, State};
use super::super::signals::{Concern, Heard};
use super::Chores;
use crate::clock::Deadline;
use crate::process::{self, Reaped};
use crate::store::Verb;
use crate::task::{KillReason, Reason};

impl Chores<'_> {
    /// Ends first: an end that has already happened outranks a wish that arrives with it.
    pub(super) fn attend_to(&mut self, heard: &Heard) {
        let waited_for_tree = self.is_waiting_for_tree();
        let mut gone = false;
        if heard.child {
            let (main_exit, nothing_left) = self.reap();
            gone = nothing_left;
            if let Some(exit) = main_exit {
                self.main = None;
                self.ledger.drain_input();
                let alone = gone || self.tree.is_gone();
                self.happen(Event::MainEnded {
                    exit: Some(exit),
                    alone,
                });
            }
        }
        if self.has_foreign_main_ended() {
            self.main = None;
            self.main_watch = None;
            let alone = self.tree.is_gone();
            self.happen(Event::MainEnded { exit: None, alone });
        }
        if waited_for_tree && (gone || self.tree.is_gone()) {
            self.happen(Event::TreeGone);
        }
        if heard.wish {
            self.heed_wish();
        }
        if heard.end {
            self.end_as_wished();
        }
        if self.grace.has_passed() {
            self.grace = Deadline::NEVER;
            self.happen(Event::GraceOver);
        }
        if let Some(reason) = self.limits.reached(self.ledger) {
            self.happen(Event::Limit(Reason::Killed(reason)));
        }
        if self.done.has_passed() {
            self.done = Deadline::NEVER;
            self.happen(Event::Limit(Reason::COMPLETED));
        }
        self.look_at_owner(heard);
        self.look_after_health();
        self.look_at_turn(heard);
        self.look_at_hook();
        if self.next_run.has_passed() {
            self.next_run = Deadline::NEVER;
            // Whoever left a wish may have been killed before the signal that goes with it.
            let wish = self.news(Verb::ends_run);
            self.happen(wish.unwrap_or(Event::DelayOver));
        }
        self.sweep_if_due();
    }

    fn look_at_owner(&mut self, heard: &Heard) {
        let Some(owner) = &mut self.owner else {
            return;
        };
        let told = heard.ready.contains(&Concern::Owner) || owner.due().has_passed();
        if told && owner.is_gone() {
            self.owner = None;
            self.happen(Event::Limit(Reason::Killed(KillReason::OwnerGone)));
        }
    }

    /// A main process that is not our child ends without a word to us, perhaps before we came.
    fn has_foreign_main_ended(&self) -> bool {
        self.tree.is_foreign()
            && matches!(self.state, State::Running | State::Stopping { .. })
            && !self.main.is_some_and(|main| process::may_be_alive(&main))
    }

    /// Takes in every child that has ended; as a subreaper we get those of others too. Returns how
    /// the main process ended, if it was among them, and whether no child is left.
    fn reap(&mut self) -> (Exit, bool) {
        let mut main = None;
        loop {
            match process::reap() {
                Reaped::Ended { pid, exit } if Some(pid) == self.main.map(|main| main.pid) => {
                    main = Some(exit);
                }
                Reaped::Ended { pid, exit } => {
                    self.take_in_probe(pid, exit);
                    self.other_child_ended(pid, exit);
                }
                Reaped::StillAlive => return (main, false),
                // That says all only where every process of the run becomes our child.
                Reaped::NoChild => return (main, self.tree.is_told_by_kernel()),
            }
        }
    }
}
