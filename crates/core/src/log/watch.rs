//! Being told that something has changed in task folders.
//!
//! Only for readers that stay: inotify instances are few (128 per user by default) and closing an
//! armed watch takes milliseconds, so no supervisor and no `wait` for an end ever holds one.

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

#[cfg(target_os = "linux")]
mod os {
    use std::collections::BTreeMap;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

    use super::{Change, Told};
    use crate::log::LogStream;
    use crate::store::{TaskDir, file};

    const READS: usize = 32;
    /// One read takes up to 4 KiB, and an event has at most 16 bytes and a name of 256: after a read
    /// of no more than so many there was room for another one, so there was no other.
    const SURELY_ALL: usize = 4096 / 272 - 1;

    /// Files that readers and supervisors write besides, and that nobody needs to be told of.
    fn is_irrelevant(name: &str) -> bool {
        let stem = name.split('.').next().unwrap_or(name);
        [file::LINES, file::CUT, file::TIMELINE].contains(&stem)
    }

    #[derive(Debug)]
    pub(super) struct Watch {
        inotify: Inotify,
        /// The number, and whether only new entries are watched for.
        numbers: BTreeMap<WatchDescriptor, (usize, bool)>,
    }

    impl Watch {
        pub(super) fn new() -> io::Result<Self> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let numbers = BTreeMap::new();
            Ok(Self { inotify, numbers })
        }

        /// A log that is opened by its name in the folder tells the folder of each write.
        pub(super) fn add_task(&mut self, dir: &TaskDir, number: usize) -> io::Result<()> {
            let told = AddWatchFlags::IN_MODIFY
                | AddWatchFlags::IN_CREATE
                | AddWatchFlags::IN_MOVED_TO
                | AddWatchFlags::IN_MOVE_SELF;
            self.add(dir.as_fd(), (number, false), told)
        }

        pub(super) fn add_folder(&mut self, dir: BorrowedFd<'_>, number: usize) -> io::Result<()> {
            let told = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            self.add(dir, (number, true), told)
        }

        fn add(
            &mut self,
            dir: BorrowedFd<'_>,
            number: (usize, bool),
            told: AddWatchFlags,
        ) -> io::Result<()> {
            // By descriptor, not by name: the name may lead to another folder by now. Watching
            // what is watched already changes nothing.
            let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
            let watch = self.inotify.add_watch(path.as_str(), told)?;
            self.numbers.insert(watch, number);
            Ok(())
        }

        pub(super) fn remove(&mut self, number: usize) {
            let inotify = &self.inotify;
            self.numbers.retain(|watch, its| {
                let stays = its.0 != number;
                if !stays {
                    // A folder that was deleted is not watched any more.
                    let _ = inotify.rm_watch(*watch);
                }
                stays
            });
        }

        pub(super) fn drain(&mut self) -> Vec<Told> {
            let mut all = Vec::new();
            for _ in 0..READS {
                match self.inotify.read_events() {
                    Ok(events) if !events.is_empty() => {
                        all.extend(events.iter().filter_map(|event| self.told(event)));
                        if events.len() <= SURELY_ALL {
                            return all;
                        }
                    }
                    Ok(_) | Err(_) => return all,
                }
            }
            // Several writers can tell faster than we listen: until the next time all is doubted.
            all.push((None, Change::Any));
            all
        }

        fn told(&self, event: &InotifyEvent) -> Option<Told> {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                return Some((None, Change::Any));
            }
            let (number, entries) = *self.numbers.get(&event.wd)?;
            let name = event.name.as_deref().and_then(|name| name.to_str());
            if entries {
                let entry = Change::Entry(name.map(str::to_owned));
                return Some((Some(number), entry));
            }
            let is_log = [LogStream::Main, LogStream::Stderr]
                .iter()
                .any(|stream| name == Some(stream.log_name()));
            if is_log && event.mask == AddWatchFlags::IN_MODIFY {
                return Some((Some(number), Change::Lines));
            }
            let is_news = !name.is_some_and(is_irrelevant);
            is_news.then_some((Some(number), Change::Any))
        }
    }

    impl AsFd for Watch {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.inotify.as_fd()
        }
    }
}

/// kqueue tells of new entries in a folder, and of writes to files that are open.
#[cfg(target_os = "macos")]
mod os {
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
}
