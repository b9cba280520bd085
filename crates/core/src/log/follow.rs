//! Being told that a log has grown.
//!
//! Only for readers that stay: inotify instances are few (128 per user by default) and closing an
//! armed watch takes milliseconds, so no supervisor and no `wait` ever holds one.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, AsRawFd};

/// A descriptor that becomes readable when the file has been written to.
#[derive(Debug)]
pub(crate) struct GrowthWatch {
    #[cfg(target_os = "linux")]
    inotify: nix::sys::inotify::Inotify,
    #[cfg(target_os = "macos")]
    queue: nix::sys::event::Kqueue,
}

#[cfg(target_os = "linux")]
impl GrowthWatch {
    /// Watches an open file; changes after this call are told.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // By descriptor, not by name: the name may lead to a newer generation's log.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        inotify.add_watch(path.as_str(), AddWatchFlags::IN_MODIFY)?;
        Ok(Self { inotify })
    }

    /// Forgets what has been told so far. Call it before looking at the file, not after.
    pub(crate) fn reset(&self) {
        while self
            .inotify
            .read_events()
            .is_ok_and(|events| !events.is_empty())
        {}
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(target_os = "macos")]
impl GrowthWatch {
    /// Watches an open file; changes after this call are told.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
        use std::os::fd::AsRawFd;
        let queue = Kqueue::new()?;
        let watched = usize::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        let interest = KEvent::new(
            watched,
            EventFilter::EVFILT_VNODE,
            EvFlags::EV_ADD | EvFlags::EV_CLEAR,
            FilterFlag::NOTE_WRITE | FilterFlag::NOTE_EXTEND,
            0,
            0,
        );
        queue.kevent(&[interest], &mut [], None)?;
        Ok(Self { queue })
    }

    /// Forgets what has been told so far. Call it before looking at the file, not after.
    pub(crate) fn reset(&self) {
        use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent};
        let nothing = KEvent::new(
            0,
            EventFilter::EVFILT_VNODE,
            EvFlags::empty(),
            FilterFlag::empty(),
            0,
            0,
        );
        let now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let _ = self.queue.kevent(&[], &mut [nothing], Some(now));
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.queue.as_fd()
    }
}
