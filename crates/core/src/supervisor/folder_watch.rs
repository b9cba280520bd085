//! Being told once of the next write to a log, without a watch that others could run out of.
//!
//! Linux: dnotify on the task's own folder. It has no limit per user and costs nothing when the
//! process ends; both cannot be said of inotify. It tells of every file in the folder, so of our
//! own writes too: whoever is told compares lengths. macOS: a queue of kernel events.

use std::os::fd::BorrowedFd;

use super::log_file::Logs;
use crate::store::TaskDir;

/// A watch of the logs of a run.
#[derive(Debug)]
pub(crate) struct FolderWatch(os::Watch);

impl FolderWatch {
    /// `None`: the kernel cannot tell.
    pub(crate) fn open(logs: &Logs) -> Option<Self> {
        os::Watch::open(logs).map(Self)
    }

    /// From now on the next write is told. Returns whether it will be.
    pub(crate) fn arm(&self, dir: &TaskDir) -> bool {
        self.0.arm(dir)
    }

    /// What becomes readable then, where it is not told by a signal.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }
}

pub(crate) use os::{kernel_tells, tell_of_rename};

#[cfg(target_os = "linux")]
mod os {
    #![allow(unsafe_code, reason = "nix does not know F_NOTIFY")]
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    use nix::errno::Errno;

    use super::Logs;
    use crate::store::TaskDir;

    /// From `linux/fcntl.h`; the libc crate has it for other systems only.
    const DN_MODIFY: libc::c_int = 2;
    /// The same.
    const DN_RENAME: libc::c_int = 0x10;

    #[derive(Debug)]
    pub(super) struct Watch;

    impl Watch {
        pub(super) fn open(logs: &Logs) -> Option<Self> {
            logs.in_folder.then_some(Self)
        }

        /// SIGIO comes with the next write to a file of the folder, once.
        pub(super) fn arm(&self, dir: &TaskDir) -> bool {
            notify(dir.as_fd(), DN_MODIFY).is_ok()
        }

        #[allow(clippy::unused_self, reason = "the same as on other systems")]
        pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }
    }

    fn notify(folder: BorrowedFd<'_>, what: libc::c_int) -> nix::Result<()> {
        // SAFETY: an open descriptor and a number; the kernel keeps neither beyond the
        // descriptor's life.
        Errno::result(unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_NOTIFY, what) }).map(drop)
    }

    /// SIGIO comes when a file of the folder is replaced, once, if the folder is still open then.
    pub(crate) fn tell_of_rename(folder: BorrowedFd<'_>) -> bool {
        notify(folder, DN_RENAME).is_ok()
    }

    /// Whether the kernel would tell. Nobody may write into the folder meanwhile: SIGIO would end
    /// a process that is not prepared for it.
    pub(crate) fn kernel_tells(folder: BorrowedFd<'_>) -> nix::Result<()> {
        notify(folder, DN_MODIFY)?;
        notify(folder, 0)
    }
}

#[cfg(target_os = "macos")]
mod os {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

    use super::Logs;
    use crate::store::TaskDir;

    #[derive(Debug)]
    pub(super) struct Watch(Kqueue);

    fn event(watched: usize, flags: EvFlags) -> KEvent {
        let writes = FilterFlag::NOTE_WRITE | FilterFlag::NOTE_EXTEND;
        KEvent::new(watched, EventFilter::EVFILT_VNODE, flags, writes, 0, 0)
    }

    const NOW: libc::timespec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    impl Watch {
        pub(super) fn open(logs: &Logs) -> Option<Self> {
            let queue = Kqueue::new().ok()?;
            for (_, log) in logs.each() {
                let watched = usize::try_from(log.as_raw_fd()).ok()?;
                let interest = event(watched, EvFlags::EV_ADD | EvFlags::EV_CLEAR);
                queue.kevent(&[interest], &mut [], Some(NOW)).ok()?;
            }
            Some(Self(queue))
        }

        /// Forgets what has been told, one event for each log at most.
        pub(super) fn arm(&self, _: &TaskDir) -> bool {
            let mut told = [event(0, EvFlags::empty()); 2];
            self.0.kevent(&[], &mut told, Some(NOW)).is_ok()
        }

        pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }
    }

    /// Nothing tells of another task's folder by signal.
    pub(crate) fn tell_of_rename(_: BorrowedFd<'_>) -> bool {
        false
    }

    /// Whether the kernel would tell.
    pub(crate) fn kernel_tells(_: BorrowedFd<'_>) -> nix::Result<()> {
        Kqueue::new().map(drop)
    }
}
