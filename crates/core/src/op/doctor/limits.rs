//! Which limits of a task this host can keep, and how.

use super::Check;
use crate::supervisor::{Enforcement, enforcements};

/// One for each limit. None is required: a task that asks for one which cannot be kept is refused.
pub(super) fn checks() -> impl Iterator<Item = Check> {
    enforcements().into_iter().map(|(id, how)| {
        let (ok, observed, fix) = match how {
            Enforcement::Group(folder) => (
                true,
                format!(
                    "kept for the task as a whole, by cgroups in {}",
                    folder.display()
                ),
                String::new(),
            ),
            Enforcement::Process {
                observed,
                fix: None,
            } => (true, observed, String::new()),
            Enforcement::Process {
                observed,
                fix: Some(fix),
            } => (false, observed, fix),
            Enforcement::None { why, fix } => (false, format!("Unsupported: {why}"), fix),
        };
        Check::new(id, false, ok, observed, &fix)
    })
}
