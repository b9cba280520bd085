//! Linux: inotify(7).

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
