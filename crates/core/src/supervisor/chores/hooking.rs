//! Running the hook.

use super::super::hook::{Begun, begin};
use super::super::machine::Event;
use super::Chores;
use crate::clock::Deadline;
use crate::task::MainExit;

impl Chores<'_> {
    pub(super) fn run_hook(&mut self) {
        // Nothing of the task is left: whoever waits for that need not wait for the hook.
        self.all_gone();
        self.ledger.close_input();
        // The hook is a child of ours as well: it must not be swept away with what it follows.
        self.sweep = None;
        self.grace = Deadline::NEVER;
        match begin(self.home, self.ledger) {
            Begun::Running(hook) => self.hook = Some(hook),
            Begun::NotOurs => self.happen(Event::HookEnded),
            Begun::Failed(outcome) => {
                self.ledger.hook_ended(outcome);
                self.happen(Event::HookEnded);
            }
        }
    }

    pub(super) fn kill_hook(&mut self) {
        if let Some(hook) = &mut self.hook {
            hook.kill(self.ledger);
        }
    }

    /// A child that is not the main process has ended.
    pub(super) fn other_child_ended(&mut self, pid: i32, exit: MainExit) {
        if let Some(hook) = self.hook.take_if(|hook| hook.pid() == pid) {
            self.ledger.hook_ended(hook.ended(exit));
            self.happen(Event::HookEnded);
        }
    }

    pub(super) fn look_at_hook(&mut self) {
        let Some(hook) = &mut self.hook else {
            return;
        };
        hook.listen();
        if hook.due().has_passed() {
            self.happen(Event::HookTimedOut);
        }
    }
}
