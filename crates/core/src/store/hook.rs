//! Who runs the hook of a task.

use crate::task::Facts;

/// The file that claims the hook of this end. A later run may end again, and has a claim of its own.
pub(crate) fn hook_claim(facts: &Facts) -> String {
    format!("{CLAIM}{}.{}", facts.generation, facts.run)
}

/// How the names of all claims begin.
pub(super) const CLAIM: &str = "on_exit.";
