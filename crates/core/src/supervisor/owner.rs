//! The process without which a task is not to go on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::clock::Deadline;
use crate::process;
use crate::task::{Owner, ProcessIdentity};

/// Between looks at an owner whose end the kernel cannot tell (Linux before 5.3, no descriptors).
const UNTOLD: Duration = Duration::from_secs(1);

/// Watches the owner. Sleeps in the kernel until it ends.
#[derive(Debug)]
pub(super) struct OwnerWatch {
    owner: ProcessIdentity,
    watch: Option<OwnedFd>,
    look_at: Deadline,
}

impl OwnerWatch {
    pub(super) fn of(Owner(owner): Owner) -> Self {
        let watch = process::exit_watch(owner.pid).ok();
        let look_at = match watch {
            Some(_) => Deadline::NEVER,
            None => Deadline::after(UNTOLD),
        };
        Self {
            owner,
            watch,
            look_at,
        }
    }

    /// Readable when it has ended.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// When to ask in any case.
    pub(super) fn due(&self) -> Deadline {
        self.look_at
    }

    /// Whether it has ended; its pid may have been used again since.
    pub(super) fn is_gone(&mut self) -> bool {
        if self.look_at.has_passed() {
            self.look_at = Deadline::after(UNTOLD);
        }
        !process::may_be_alive(&self.owner)
    }
}
