//! Being told that a log has grown.
//!
//! Only for readers that stay: inotify instances are few (128 per user by default) and closing an
//! armed watch takes milliseconds, so no supervisor and no `wait` ever holds one.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::wait::poll_timeout;

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
        self.queue.as_fd()
    }
}

/// Sleeps until the log may have grown or `wakes` tells something, or the deadline passes; breaks
/// when nobody reads `output` any more.
pub(crate) fn sleep_until_told(
    growth: Option<&GrowthWatch>,
    wakes: Option<&OwnedFd>,
    output: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> Result<ControlFlow<()>> {
    // The net for filesystems that do not tell of changes, and for when watches are used up.
    let is_told = growth.is_some() && wakes.is_some();
    let look_again = Duration::from_millis(if is_told { 1000 } else { 50 });
    let until = deadline.sooner(Deadline::after(look_again));
    // Asked for nothing, poll(2) still tells that a pipe has lost its reader.
    let output = output.map(|fd| PollFd::new(fd, PollFlags::empty()));
    let told = [growth.map(GrowthWatch::as_fd), wakes.map(AsFd::as_fd)];
    let told = told
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let mut fds: Vec<_> = output.into_iter().chain(told).collect();
    match poll(&mut fds, poll_timeout(until)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => {
            return Err(Error::Internal {
                message: format!("poll: {errno}"),
            });
        }
    }
    let gone = |fd: &PollFd<'_>| {
        fd.events() == PollFlags::empty() && fd.revents().is_some_and(|told| !told.is_empty())
    };
    Ok(if fds.first().is_some_and(gone) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    })
}
