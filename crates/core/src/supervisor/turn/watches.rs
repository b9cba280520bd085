//! What tells a waiting supervisor to look again: descriptors, and where those cannot, a clock.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::super::folder_watch::tell_of_rename;
use crate::clock::Deadline;
use crate::process;
use crate::store::{Holder, SupervisorLock, TaskDir};
use crate::task::ProcessIdentity;

/// While others are between two steps: their steps take milliseconds.
const SOON: Duration = Duration::from_millis(2);
/// Where nothing can tell.
const UNTOLD: Duration = Duration::from_millis(200);

/// Nobody watches more: descriptors are scarce.
const MOST: usize = 256;

/// Everything that is watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    fds: Vec<OwnedFd>,
    /// Folders whose changes are told by SIGIO for as long as they are open.
    _folders: Vec<TaskDir>,
    in_flux: bool,
    untold: bool,
}

impl Watches {
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.fds.iter().map(AsFd::as_fd)
    }

    /// Something is about to change by itself.
    pub(super) fn in_flux(&mut self) {
        self.in_flux = true;
    }

    /// Nothing can tell when it changes.
    pub(super) fn untold(&mut self) {
        self.untold = true;
    }

    fn watch(&mut self, fd: OwnedFd) {
        if self.fds.len() < MOST {
            self.fds.push(fd);
        } else {
            self.untold();
        }
    }

    /// Waits for the hang-up of a FIFO that has a writer.
    pub(super) fn hang_up(&mut self, fifo: File) {
        if process::POLL_TELLS_HANG_UP {
            self.watch(fifo.into());
        } else {
            self.untold();
        }
    }

    /// Waits for the end of a task's supervisor.
    pub(super) fn supervisor(&mut self, dir: &TaskDir, pid: i32) {
        let is_still =
            || SupervisorLock::holder(dir).is_ok_and(|holder| holder == Holder::Supervisor(pid));
        self.process(pid, is_still);
    }

    /// Waits for the end of a command that nobody supervises.
    pub(super) fn main(&mut self, main: ProcessIdentity) {
        self.process(main.pid, || process::may_be_alive(&main));
    }

    /// The pid may have been used again before it was watched.
    fn process(&mut self, pid: i32, is_still: impl FnOnce() -> bool) {
        let watch = process::exit_watch(pid);
        if !is_still() {
            self.in_flux();
            return;
        }
        match watch {
            Ok(watch) => self.watch(watch),
            Err(_) => self.untold(),
        }
    }

    /// Waits for the record in a task's folder to be replaced.
    pub(super) fn record(&mut self, dir: TaskDir) {
        if tell_of_rename(dir.as_fd()) {
            self._folders.push(dir);
        } else {
            self.untold();
        }
    }
}

/// How often to look where no descriptor tells.
#[derive(Debug)]
pub(super) struct Pace {
    due: Deadline,
    pause: Duration,
}

impl Pace {
    pub(super) const NEVER: Self = Self {
        due: Deadline::NEVER,
        pause: SOON,
    };

    pub(super) fn at_once() -> Self {
        Self {
            due: Deadline::after(Duration::ZERO),
            pause: SOON,
        }
    }

    pub(super) fn due(&self) -> Deadline {
        self.due
    }

    /// What is in flux for long is looked at less and less often.
    pub(super) fn follow(&mut self, watches: &Watches) {
        if watches.in_flux {
            self.due = Deadline::after(self.pause);
            self.pause = (self.pause * 2).min(UNTOLD);
            return;
        }
        self.pause = SOON;
        self.due = if watches.untold {
            Deadline::after(UNTOLD)
        } else {
            Deadline::NEVER
        };
    }
}
