//! SIGKILL, again and again, until nothing of a tree is left.

use std::time::Duration;

use super::super::cgroup::Leaf;
use super::super::machine::State;
use super::Chores;
use crate::clock::Deadline;

/// Between two sweeps of SIGKILL: SIGCHLD ends it earlier.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// What needs more sweeps than lead to this pause may fork as fast as it is killed.
const PATIENT_PAUSE: Duration = Duration::from_millis(4);
/// The pause doubles up to this: what survives SIGKILL for long sleeps in the kernel.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Chores<'_> {
    pub(super) fn is_waiting_for_tree(&self) -> bool {
        matches!(self.state, State::Lingering { .. } | State::Clearing { .. })
    }

    pub(super) fn sweep_if_due(&mut self) {
        if let Some((at, pause)) = self.sweep
            && at.has_passed()
        {
            // What is in its group ends at once, however fast it forks. The sweeps that follow end
            // what somebody has moved elsewhere.
            let killed = self.ledger.leaf.as_ref().is_some_and(Leaf::kill);
            if !killed || pause > FIRST_PAUSE {
                if pause > PATIENT_PAUSE {
                    self.tree.freeze();
                }
                self.tree.kill();
            }
            self.sweep = Some((Deadline::after(pause), (pause * 2).min(LONGEST_PAUSE)));
        }
    }
}
