//! Runs that are done, and the pieces of work that each of them is about.

use std::time::Duration;

use super::super::execute::{Execution, Undo};
use super::super::handshake::SpawnFailure;
use super::super::ledger::About;
use super::super::log_file::LogSource;
use super::super::machine::{Action, Event, Sequel, State, step};
use super::Chores;
use crate::clock::Deadline;
use crate::task::{KillReason, ProcessIdentity, Reason};

impl Chores<'_> {
    /// What follows from an event. A task with more work does not end with a run, unless somebody
    /// wants that; one that ends takes no more.
    ///
    /// Not inlined, so that what it needs of the stack is not held for as long as the task lives.
    #[inline(never)]
    pub(super) fn decide(&mut self, event: Event) -> (State, Vec<Action>) {
        let decision = step(self.settings, self.state, event);
        if !self.ledger.takes_work() || !decision.1.iter().any(Action::records_end) {
            return decision;
        }
        let goes_on = self.retries.is_some() && !decision.1.iter().any(is_wanted_end);
        if !goes_on {
            self.ledger.drop_work();
        } else if self.ledger.has_more_work() {
            self.next_about = About::NextWork;
            let at_once = Sequel::Run { delay_ms: 0 };
            self.settings.after_success = at_once;
            self.settings.after_failure = at_once;
            return step(self.settings, self.state, event);
        }
        decision
    }

    /// Executes the run. One that cannot be executed does not keep the next piece of work from its own.
    pub(super) fn execute(&mut self) -> Result<ProcessIdentity, SpawnFailure> {
        loop {
            let executed = self
                .execution()
                .run(LogSource::Present, Undo::Nothing, &None);
            if executed.is_ok() || !self.ledger.takes_work() || !self.ledger.has_more_work() {
                return executed;
            }
            self.ledger.not_executed();
        }
    }

    pub(super) fn execution(&mut self) -> Execution<'_> {
        Execution {
            home: self.home,
            ledger: self.ledger,
        }
    }

    /// A line has said that the run is done, or that it is not after all.
    pub(super) fn found_done(&mut self, is_done: bool) {
        let extension = self.ledger.record.spec.extension.as_ref();
        let grace_ms = extension
            .and_then(|own| own.done.as_ref())
            .map_or(0, |done| done.grace_ms);
        self.done = match (is_done, self.state) {
            (true, State::Running) => self
                .done
                .sooner(Deadline::after(Duration::from_millis(grace_ms))),
            _ => Deadline::NEVER,
        };
    }
}

/// Somebody wants the task to end, not this run of it.
fn is_wanted_end(action: &Action) -> bool {
    const WANTED: [KillReason; 2] = [KillReason::StopRequested, KillReason::OwnerGone];
    match action {
        Action::RecordStopped(_, Reason::Killed(reason)) => WANTED.contains(reason),
        Action::RecordDependencyFailed => true,
        _ => false,
    }
}
