//! The pieces of work of a task that takes any: each is the subject of a run of its own, first come
//! first served.
//!
//! A piece is a file whose name ends in its number. Callers give work while a supervisor may be
//! about to end the task, and neither holds a lock on account of the other. What decides between
//! them is who makes the next name first: a caller, then the task goes on with that piece; or the
//! supervisor, with an empty file, then the task ends and the caller knows that it has to start it
//! again. A name is never taken back, and never made in part: a piece is written aside and linked.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, renameat};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::TaskDir;
use super::format::{create_new, is_regular, read_all};
use crate::event::{JournalEntry, read_journal};
use crate::task::{Facts, Generation, TaskState};

/// Whether a supervisor was lost before it had begun with the piece of work of the present run, which
/// nobody has dropped since: it is still to be done.
pub(crate) fn has_lost_work(dir: &TaskDir, facts: &Facts) -> bool {
    let is_lost = match facts.state {
        TaskState::Failed { reason, .. } => reason.is_of_a_lost_supervisor(),
        _ => facts.state == TaskState::Starting,
    };
    let is_begun = |entry: &JournalEntry| entry.begins(&facts.generation, facts.run);
    is_lost
        && Work::of(dir, facts).is_there(facts.work).unwrap_or(false)
        && !read_journal(dir).iter().any(is_begun)
}

/// What every name of this kind begins with.
pub(super) const WORK: &str = "work.";
/// What the names of files begin with that an embedding program keeps in the folder of a task. They
/// are removed with it, and when its id becomes that of a task without an extension.
pub const EXTENSION_FILE: &str = "extension.";

/// The work of one generation of a task.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    dir: &'a TaskDir,
    generation: &'a Generation,
}

/// How a caller's piece got its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub number: u64,
    /// The run before it ends without looking at it.
    pub is_closed: bool,
}

/// That no more work is taken by the present run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// How many pieces nobody will do.
    pub dropped: u64,
}

/// What stands under a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    None,
    Piece,
    Closed,
}

impl<'a> Work<'a> {
    pub(crate) fn of(dir: &'a TaskDir, facts: &'a Facts) -> Self {
        Self {
            dir,
            generation: &facts.generation,
        }
    }

    /// The name of a piece within the task's folder.
    pub(crate) fn name(&self, number: u64) -> String {
        format!("{WORK}{}.{number}", self.generation)
    }

    /// Reads a piece.
    pub(crate) fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        read_all(self.dir.as_fd(), &self.name(number))
    }

    /// Adds a piece behind all others. To be called under the task's short lock: pieces are in the
    /// order in which callers had it.
    pub(crate) fn give(&self, facts: &Facts, piece: &[u8]) -> io::Result<Given> {
        let aside = format!("{WORK}new");
        self.remove(&aside)?;
        create_new(self.dir.as_fd(), &aside)?.write_all(piece)?;
        let mut given = Given {
            number: facts.work + 1,
            is_closed: false,
        };
        loop {
            match self.link(&aside, &self.name(given.number)) {
                Ok(()) => break,
                Err(Errno::EEXIST) => {
                    let is_news = given.number > facts.work_closed;
                    given.is_closed = is_news && self.look(given.number)? == Entry::Closed;
                    given.number += 1;
                }
                Err(errno) => {
                    let _ = self.remove(&aside);
                    return Err(errno.into());
                }
            }
        }
        self.remove(&aside)?;
        Ok(given)
    }

    /// The first piece that no run has been about.
    pub(crate) fn next(&self, facts: &Facts) -> io::Result<Option<u64>> {
        let mut number = facts.work + 1;
        loop {
            match self.look(number)? {
                Entry::None => return Ok(None),
                Entry::Piece => return Ok(Some(number)),
                Entry::Closed => number += 1,
            }
        }
    }

    /// How many pieces no run has been about.
    pub(crate) fn waiting(&self, facts: &Facts) -> io::Result<u64> {
        let mut waiting = 0;
        let mut number = facts.work + 1;
        loop {
            match self.look(number)? {
                Entry::None => return Ok(waiting),
                Entry::Piece => waiting += 1,
                Entry::Closed => {}
            }
            number += 1;
        }
    }

    /// Takes no more work, unless there is some: then its number.
    pub(crate) fn close_unless_next(&self, facts: &Facts) -> io::Result<Option<u64>> {
        let mut number = facts.work + 1;
        loop {
            match self.look(number)? {
                Entry::Piece => return Ok(Some(number)),
                Entry::Closed => number += 1,
                Entry::None if self.close(number)? => return Ok(None),
                // Somebody was faster.
                Entry::None => {}
            }
        }
    }

    /// Takes no more work, and drops what there is.
    pub(crate) fn close_and_drop(&self, facts: &Facts) -> io::Result<Closed> {
        let mut dropped = 0;
        let mut number = facts.work + 1;
        loop {
            match self.look(number)? {
                Entry::Piece => {
                    self.drop_piece(number)?;
                    dropped += 1;
                }
                Entry::None if self.close(number)? => return Ok(Closed { dropped }),
                Entry::None => continue,
                Entry::Closed => {}
            }
            number += 1;
        }
    }

    /// Nobody will do this piece. Its name stays: what is behind it keeps its number.
    pub(crate) fn drop_piece(&self, number: u64) -> io::Result<()> {
        let aside = format!("{WORK}dropped.new");
        self.remove(&aside)?;
        create_new(self.dir.as_fd(), &aside)?;
        let name = self.name(number);
        Ok(renameat(self.dir, aside.as_str(), self.dir, name.as_str())?)
    }

    /// The last number under which earlier runs have refused work.
    pub(crate) fn closed_until(&self, facts: &Facts) -> io::Result<u64> {
        let mut closed = facts.work_closed;
        let mut number = facts.work + 1;
        loop {
            match self.look(number)? {
                Entry::None => return Ok(closed),
                Entry::Closed => closed = closed.max(number),
                Entry::Piece => {}
            }
            number += 1;
        }
    }

    /// Whether there is a piece with this number that nobody has dropped.
    pub(crate) fn is_there(&self, number: u64) -> io::Result<bool> {
        Ok(self.look(number)? == Entry::Piece)
    }

    /// Takes a piece away that nobody needs any more.
    pub(crate) fn forget(&self, number: u64) {
        let _ = self.remove(&self.name(number));
    }

    /// `false` when the name has been made by somebody else.
    fn close(&self, number: u64) -> io::Result<bool> {
        match create_new(self.dir.as_fd(), &self.name(number)) {
            Ok(_) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn look(&self, number: u64) -> io::Result<Entry> {
        match fstatat(
            self.dir,
            self.name(number).as_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) if stat.st_size > 0 && is_regular(&stat) => Ok(Entry::Piece),
            Ok(_) => Ok(Entry::Closed),
            Err(Errno::ENOENT) => Ok(Entry::None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn link(&self, from: &str, to: &str) -> Result<(), Errno> {
        linkat(self.dir, from, self.dir, to, AtFlags::empty())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(self.dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let facts = r#"{"revision":1,"generation":"a","run":1,"run_token":"b","restart_count":0,
            "boot_id":"c","created_at":"2026-01-31T09:30:00Z","updated_at":"2026-01-31T09:30:00Z",
            "wish_done":0,"cleared":true,"state":"starting"}"#;
        let facts: Facts = serde_json::from_str(facts).unwrap();
        assert_eq!((facts.work, &facts.state), (0, &TaskState::Starting));
        facts
    }

    fn open() -> (tempfile::TempDir, TaskDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = TaskDir::open_path(folder.path()).unwrap();
        (folder, dir)
    }

    fn given(number: u64) -> Given {
        Given {
            number,
            is_closed: false,
        }
    }

    #[test]
    fn pieces_are_done_in_the_order_in_which_they_came() {
        let (_folder, dir) = open();
        let mut facts = facts();
        for piece in ["one", "two"] {
            let now = Facts {
                work: 0,
                ..facts.clone()
            };
            Work::of(&dir, &now).give(&now, piece.as_bytes()).unwrap();
        }
        assert_eq!(Work::of(&dir, &facts).waiting(&facts).unwrap(), 2);
        for (number, text) in [(1, "one"), (2, "two")] {
            let work = Work::of(&dir, &facts);
            assert_eq!(work.close_unless_next(&facts).unwrap(), Some(number));
            assert_eq!(work.next(&facts).unwrap(), Some(number));
            assert_eq!(work.read(number).unwrap(), text.as_bytes());
            facts.work = number;
        }
        assert_eq!(Work::of(&dir, &facts).next(&facts).unwrap(), None);
    }

    #[test]
    fn whoever_comes_behind_the_close_knows_it_until_another_run_begins() {
        let (_folder, dir) = open();
        let mut facts = facts();
        assert_eq!(
            Work::of(&dir, &facts).give(&facts, b"one").unwrap(),
            given(1)
        );
        facts.work = 1;
        assert_eq!(
            Work::of(&dir, &facts).close_unless_next(&facts).unwrap(),
            None
        );
        let late = Work::of(&dir, &facts).give(&facts, b"late").unwrap();
        assert_eq!((late.number, late.is_closed), (3, true));
        assert_eq!(Work::of(&dir, &facts).next(&facts).unwrap(), Some(3));
        // The first is done again: what comes now is for the run that goes on.
        facts.work_closed = Work::of(&dir, &facts).closed_until(&facts).unwrap();
        assert_eq!(facts.work_closed, 2);
        assert_eq!(
            Work::of(&dir, &facts).give(&facts, b"more").unwrap(),
            given(4)
        );
    }

    #[test]
    fn what_is_dropped_is_counted_and_never_done() {
        let (_folder, dir) = open();
        let facts = facts();
        let work = Work::of(&dir, &facts);
        for _ in 0..3 {
            work.give(&facts, b"piece").unwrap();
        }
        assert_eq!(work.close_and_drop(&facts).unwrap(), Closed { dropped: 3 });
        assert_eq!(work.next(&facts).unwrap(), None);
        assert_eq!(work.close_and_drop(&facts).unwrap(), Closed { dropped: 0 });
        assert!(work.give(&facts, b"late").unwrap().is_closed);
    }

    #[test]
    fn exactly_one_of_a_giver_and_a_closer_wins() {
        for round in 0..200 {
            let (_folder, dir) = open();
            let facts = facts();
            let (closed, given) = std::thread::scope(|scope| {
                let closer = scope.spawn(|| Work::of(&dir, &facts).close_unless_next(&facts));
                let giver = scope.spawn(|| Work::of(&dir, &facts).give(&facts, b"piece"));
                (
                    closer.join().unwrap().unwrap(),
                    giver.join().unwrap().unwrap(),
                )
            });
            assert_eq!(closed.is_none(), given.is_closed, "round {round}");
        }
    }
}
