//! Being told that something has changed in task folders.
//!
//! Only for readers that stay: inotify instances are few (128 per user by default) and closing an
//! armed watch takes milliseconds, so no supervisor and no `wait` for an end ever holds one.

#[cfg(target_os = "linux")]
#[path = "watch/linux.rs"]
mod os;
#[cfg(target_os = "macos")]
#[path = "watch/macos.rs"]
mod os;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::store::TaskDir;

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Only logs have been written to.
    Lines,
    /// The record, the journal, or anything else.
    Any,
    /// There is a new entry of this name, where the system tells names.
    Entry(Option<String>),
}

/// Whose folder has changed; `None`: more than could be remembered.
pub(crate) type Told = (Option<usize>, Change);

/// Watches folders, each under a number of the caller's.
#[derive(Debug)]
pub(crate) struct FolderWatch(os::Watch);

impl FolderWatch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When there are no instances left.
    pub(crate) fn new() -> io::Result<Self> {
        os::Watch::new().map(Self)
    }

    /// Watches a task's folder and the logs in it. To be called again after each change of another
    /// kind than [`Change::Lines`]: there may be new files.
    pub(crate) fn add_task(&mut self, dir: &TaskDir, number: usize) -> io::Result<()> {
        self.0.add_task(dir, number)
    }

    /// Watches a folder for new entries.
    pub(crate) fn add_folder(&mut self, dir: BorrowedFd<'_>, number: usize) -> io::Result<()> {
        self.0.add_folder(dir, number)
    }

    /// Watches no longer what is watched under a number.
    pub(crate) fn remove(&mut self, number: usize) {
        self.0.remove(number);
    }

    /// What has been told since the last call. Call it before looking at files, not after.
    pub(crate) fn drain(&mut self) -> Vec<Told> {
        self.0.drain()
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
