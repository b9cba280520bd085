//! The lines in which tasks wait for a place: `queues/<group>/<ticket>`.
//!
//! A ticket is a FIFO whose name says all: `<number>.<w or r>.<generation>.<id>`, `w` while its task
//! waits and `r` once it has a place. So one reading of the folder shows the whole line. The write
//! end is held by the task's supervisor, so whoever has opened a ticket is woken when that task
//! leaves the line, has got its place, or has lost its supervisor.
//!
//! Numbers are given, and places are taken, under the group's lock, `queues/<group>/lock`: an
//! flock(2), never unlinked. Its holder never waits for another lock.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::lock::{open_lock, wait_for_lock};
use super::{Home, TaskDir, has_writer, make_fifo};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::task::{Generation, GroupName, TaskId};

const QUEUES: &str = "queues";
const LOCK: &str = "lock";

/// A task's place in a line, as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Counts up along the line.
    pub number: u64,
    /// Whether its task has got its place.
    pub has_place: bool,
    /// Which start of the task it is for.
    pub generation: Generation,
    /// The task.
    pub id: TaskId,
}

impl Ticket {
    fn name(&self) -> String {
        let stage = if self.has_place { 'r' } else { 'w' };
        // Twenty digits hold any number: names in the order of numbers, for whoever looks.
        format!(
            "{:020}.{stage}.{}.{}",
            self.number, self.generation, self.id
        )
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '.');
        Some(Self {
            number: parts.next()?.parse().ok()?,
            has_place: match parts.next()? {
                "w" => false,
                "r" => true,
                _ => return None,
            },
            generation: Generation::parse(parts.next()?)?,
            id: TaskId::parse(parts.next()?).ok()?,
        })
    }

    /// Whether it is for this start of this task.
    pub(crate) fn is_of(&self, id: &TaskId, generation: &Generation) -> bool {
        self.id == *id && self.generation == *generation
    }
}

/// The line of a group, held by descriptor.
#[derive(Debug)]
pub(crate) struct Line {
    folder: TaskDir,
    lock_name: String,
}

/// The right to change a line, until it is dropped.
#[derive(Debug)]
pub(crate) struct LineLock {
    _file: File,
}

/// What a ticket's FIFO says.
#[derive(Debug)]
pub(crate) enum Presence {
    /// A supervisor holds it; this hangs up when that changes.
    Held(File),
    /// Nobody does.
    Deserted,
    /// There is no such ticket any more.
    Gone,
}

impl Line {
    /// Opens the line of a group, making it where it is missing.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be made.
    pub(crate) fn open(home: &Home, group: &GroupName) -> Result<Self> {
        if let Some(line) = Self::find(home, group)? {
            return Ok(line);
        }
        home.make_folder(QUEUES)?;
        home.make_folder(&format!("{QUEUES}/{group}"))?;
        Self::find(home, group)?.ok_or_else(|| {
            let name = format!("{QUEUES}/{group}");
            home.error("open", &name, Errno::ENOENT)
        })
    }

    /// Opens the line of a group, if anybody has ever stood in it.
    ///
    /// # Errors
    /// [`Error::Store`] when it is there but cannot be opened.
    pub(crate) fn find(home: &Home, group: &GroupName) -> Result<Option<Self>> {
        let name = format!("{QUEUES}/{group}");
        match TaskDir::open_at(home.as_fd(), &name) {
            Ok(folder) => Ok(Some(Self {
                folder,
                lock_name: format!("{name}/{LOCK}"),
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(home.error("open", &name, errno)),
        }
    }

    /// All tickets, in the order of the line.
    pub(crate) fn tickets(&self) -> io::Result<Vec<Ticket>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut folder = Dir::openat(&self.folder, ".", flags, Mode::empty())?;
        let mut tickets = Vec::new();
        for entry in folder.iter() {
            tickets.extend(entry?.file_name().to_str().ok().and_then(Ticket::parse));
        }
        tickets.sort_unstable_by_key(|ticket| ticket.number);
        Ok(tickets)
    }

    /// Takes the group's lock, waiting for others until `deadline`.
    ///
    /// # Errors
    /// [`Error::TaskWaitTimedOut`] when others hold it for so long, [`Error::Store`] when it cannot
    /// be opened.
    pub(crate) fn lock(&self, home: &Home, deadline: Deadline) -> Result<LineLock> {
        if let Some(lock) = self.try_lock(home)? {
            return Ok(lock);
        }
        let name = &self.lock_name;
        wait_for_lock(open_lock(home, name)?, deadline)
            .map_err(|error| home.error("lock", name, error))?
            .map(|file| LineLock { _file: file })
            .ok_or_else(|| Error::timed_out(format!("others hold {name} all the time")))
    }

    /// The same for a supervisor, which is to hear its signals meanwhile: `None` when others have it.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be opened.
    pub(crate) fn try_lock(&self, home: &Home) -> Result<Option<LineLock>> {
        let name = &self.lock_name;
        let file = open_lock(home, name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(LineLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(home.error("lock", name, error)),
        }
    }

    /// Puts a task at the end of the line. Tickets that it has from before are void: its supervisor,
    /// or the holder of its short lock, is who calls this.
    pub(crate) fn join(
        &self,
        id: &TaskId,
        generation: &Generation,
        _lock: &LineLock,
    ) -> io::Result<Ticket> {
        let tickets = self.tickets()?;
        let number = tickets
            .last()
            .map_or(1, |last| last.number.saturating_add(1));
        tickets
            .iter()
            .filter(|ticket| ticket.id == *id)
            .for_each(|ticket| self.leave(ticket));
        let ticket = Ticket {
            number,
            has_place: false,
            generation: generation.clone(),
            id: id.clone(),
        };
        make_fifo(self.as_fd(), &ticket.name())?;
        Ok(ticket)
    }

    /// Takes the place that a waiting ticket is for. Returns the ticket as it is now, and what tells
    /// others that it is held.
    pub(crate) fn take_place(
        &self,
        ticket: &Ticket,
        _lock: &LineLock,
    ) -> io::Result<(Ticket, OwnedFd)> {
        let with_place = Ticket {
            has_place: true,
            ..ticket.clone()
        };
        make_fifo(self.as_fd(), &with_place.name())?;
        let held = self.hold(&with_place).inspect_err(|_| {
            self.leave(&with_place);
        })?;
        self.leave(ticket);
        Ok((with_place, held))
    }

    /// Holds the write end of a ticket: while this is open, it is in use.
    pub(crate) fn hold(&self, ticket: &Ticket) -> io::Result<OwnedFd> {
        // A FIFO without a reader cannot be opened for writing without blocking: read first.
        let _reader = openat(self.as_fd(), &*ticket.name(), READ, Mode::empty())?;
        let flags = FLAGS | OFlag::O_WRONLY;
        Ok(openat(self.as_fd(), &*ticket.name(), flags, Mode::empty())?)
    }

    /// Whether somebody holds a ticket.
    pub(crate) fn look(&self, ticket: &Ticket) -> io::Result<Presence> {
        let fifo = match openat(self.as_fd(), &*ticket.name(), READ, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(Presence::Gone),
            Err(errno) => return Err(errno.into()),
        };
        Ok(if has_writer(&fifo) {
            Presence::Held(fifo)
        } else {
            Presence::Deserted
        })
    }

    /// Takes a ticket away. Where it cannot be, it is a void one, which others take away.
    pub(crate) fn leave(&self, ticket: &Ticket) {
        let _ = unlinkat(self.as_fd(), &*ticket.name(), UnlinkatFlags::NoRemoveDir);
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

const FLAGS: OFlag = OFlag::O_NONBLOCK
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);
const READ: OFlag = FLAGS.union(OFlag::O_RDONLY);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn line() -> (tempfile::TempDir, Home, Line) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let home = Home::open_existing(folder.path()).unwrap().unwrap();
        let group: GroupName = serde_json::from_str("\"g.1\"").unwrap();
        assert!(Line::find(&home, &group).unwrap().is_none());
        let line = Line::open(&home, &group).unwrap();
        (folder, home, line)
    }

    fn id(text: &str) -> TaskId {
        TaskId::parse(text).unwrap()
    }

    #[test]
    fn tickets_stand_in_the_order_in_which_they_were_given() {
        let (_folder, home, line) = line();
        let lock = line.lock(&home, Deadline::NEVER).unwrap();
        assert!(line.try_lock(&home).unwrap().is_none());
        let generation = Generation::generate();
        let given: Vec<_> = ["b", "a.b.c", "c"]
            .map(|name| line.join(&id(name), &generation, &lock).unwrap())
            .into();
        assert_eq!(line.tickets().unwrap(), given);
        // Another one of the same task takes the place of the first.
        let again = line.join(&id("b"), &Generation::generate(), &lock).unwrap();
        let order: Vec<_> = line.tickets().unwrap();
        assert_eq!(order, [given[1].clone(), given[2].clone(), again]);
        drop(lock);
        assert!(line.try_lock(&home).unwrap().is_some());
    }

    #[test]
    fn whoever_watches_a_waiting_ticket_is_told_when_it_gets_its_place() {
        let (_folder, home, line) = line();
        let lock = line.lock(&home, Deadline::NEVER).unwrap();
        let generation = Generation::generate();
        let waiting = line.join(&id("a"), &generation, &lock).unwrap();
        assert!(matches!(line.look(&waiting).unwrap(), Presence::Deserted));
        let held = line.hold(&waiting).unwrap();
        let Presence::Held(watched) = line.look(&waiting).unwrap() else {
            panic!("it is held");
        };
        let (placed, place) = line.take_place(&waiting, &lock).unwrap();
        drop(held);
        assert!(!has_writer(&watched));
        assert!(matches!(line.look(&waiting).unwrap(), Presence::Gone));
        assert_eq!(line.tickets().unwrap(), std::slice::from_ref(&placed));
        assert!(placed.has_place && placed.is_of(&id("a"), &generation));
        let Presence::Held(watched) = line.look(&placed).unwrap() else {
            panic!("it is held");
        };
        drop(place);
        assert!(!has_writer(&watched));
        line.leave(&placed);
        assert!(line.tickets().unwrap().is_empty());
    }
}
