//! macOS: kqueue(2).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use nix::sys::stat::Mode;

use super::{Change, Told};
use crate::log::LogStream;
use crate::store::{TaskDir, file};

const LINES: isize = 1 << 62;
const ENTRY: isize = 1 << 61;

#[derive(Debug)]
pub(super) struct Watch {
    queue: Kqueue,
    open: BTreeMap<usize, Vec<OwnedFd>>,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let open = BTreeMap::new();
        Ok(Self {
            queue: Kqueue::new()?,
            open,
        })
    }

    pub(super) fn add_task(&mut self, dir: &TaskDir, number: usize) -> io::Result<()> {
        // Closing what was watched before takes its watches away.
        self.add_own(dir.as_fd(), number, 0)?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let names = [
            (LogStream::Main.log_name(), LINES),
            (LogStream::Stderr.log_name(), LINES),
            (file::EVENTS, 0),
        ];
        for (name, kind) in names {
            if let Ok(fd) = openat(dir, name, flags, Mode::empty()) {
                self.add(&fd, number, kind)?;
                self.open.entry(number).or_default().push(fd);
            }
        }
        Ok(())
    }

    pub(super) fn add_folder(&mut self, dir: BorrowedFd<'_>, number: usize) -> io::Result<()> {
        self.add_own(dir, number, ENTRY)
    }

    fn add_own(&mut self, dir: BorrowedFd<'_>, number: usize, kind: isize) -> io::Result<()> {
        let own = dir.try_clone_to_owned()?;
        self.add(&own, number, kind)?;
        self.open.insert(number, vec![own]);
        Ok(())
    }

    fn add(&self, fd: &OwnedFd, number: usize, kind: isize) -> io::Result<()> {
        let ident = usize::try_from(fd.as_raw_fd()).map_err(io::Error::other)?;
        let number = isize::try_from(number).map_err(io::Error::other)?;
        let interest = KEvent::new(
            ident,
            EventFilter::EVFILT_VNODE,
            EvFlags::EV_ADD | EvFlags::EV_CLEAR,
            FilterFlag::NOTE_WRITE | FilterFlag::NOTE_EXTEND | FilterFlag::NOTE_RENAME,
            0,
            number | kind,
        );
        self.queue.kevent(&[interest], &mut [], None)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, number: usize) {
        self.open.remove(&number);
    }

    pub(super) fn drain(&mut self) -> Vec<Told> {
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
        let mut all = Vec::new();
        loop {
            let mut events = [nothing; 64];
            let Ok(count @ 1..) = self.queue.kevent(&[], &mut events, Some(now)) else {
                return all;
            };
            all.extend(events[..count].iter().map(|event| {
                let number = usize::try_from(event.udata() & !(LINES | ENTRY)).ok();
                let change = match event.udata() & (LINES | ENTRY) {
                    LINES => Change::Lines,
                    ENTRY => Change::Entry(None),
                    _ => Change::Any,
                };
                (number, change)
            }));
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
