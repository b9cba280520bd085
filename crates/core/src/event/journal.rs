//! `events.ndjson`: every lifecycle fact as one numbered line, appended by the supervisor.
//!
//! Each line says how long the log was at that moment, which orders it among the log's lines. A
//! line that a crash tore is skipped when reading and closed off before the next is appended.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::EventData;
use crate::clock::Timestamp;
use crate::log::timeline::Lengths;
use crate::store::{FORMAT_VERSION, TaskDir, file, read_all};
use crate::task::{Facts, Generation};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// On-disk format.
    pub version: u32,
    /// Which `start` it belongs to: a reader of an earlier one must not take it for its own.
    pub generation: Generation,
    /// Counts up from 1 within the generation.
    pub number: u64,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The execution of the command that it belongs to.
    pub run: u32,
    /// Bytes in the log at that moment.
    pub log_offset: u64,
    /// Bytes in the log of standard error at that moment, 0 without one.
    pub stderr_offset: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: EventData,
}

impl JournalEntry {
    /// Whether it tells that this run has begun.
    pub(crate) fn begins(&self, generation: &Generation, run: u32) -> bool {
        self.generation == *generation
            && self.run == run
            && matches!(self.event, EventData::Started { .. })
    }
}

/// The supervisor's end of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    next_number: u64,
    file: &'static str,
}

impl Journal {
    /// The journal of a new task.
    pub(crate) fn first() -> Self {
        Self {
            next_number: 1,
            file: file::EVENTS,
        }
    }

    /// The journal of a new generation, aside: an earlier generation's stays until this one is
    /// [published](Journal::publish).
    pub(crate) fn anew(dir: &TaskDir) -> io::Result<Self> {
        match unlinkat(dir, file::NEXT_EVENTS, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(Self {
            next_number: 1,
            file: file::NEXT_EVENTS,
        })
    }

    /// Goes on with the journal that is there.
    pub(crate) fn continued(dir: &TaskDir) -> Self {
        let last = read_journal(dir).last().map_or(0, |entry| entry.number);
        Self {
            // Damage may have made it the largest that there is.
            next_number: last.saturating_add(1),
            file: file::EVENTS,
        }
    }

    /// Puts a new generation's journal in the place of the earlier one.
    pub(crate) fn publish(&mut self, dir: &TaskDir) -> io::Result<()> {
        if self.file == file::NEXT_EVENTS {
            Self::publish_aside(dir)?;
            self.file = file::EVENTS;
        }
        Ok(())
    }

    /// Whether the journal of this generation has not been published.
    pub(crate) fn is_aside(dir: &TaskDir, generation: &Generation) -> bool {
        let entries = read_entries(dir, file::NEXT_EVENTS);
        entries.iter().any(|entry| entry.generation == *generation)
    }

    /// Publishes it.
    pub(crate) fn publish_aside(dir: &TaskDir) -> io::Result<()> {
        Ok(renameat(dir, file::NEXT_EVENTS, dir, file::EVENTS)?)
    }

    /// Throws away what was not published.
    pub(crate) fn discard(&self, dir: &TaskDir) {
        if self.file == file::NEXT_EVENTS {
            let _ = unlinkat(dir, file::NEXT_EVENTS, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// Appends one event. `lengths`: how long the logs are at that moment.
    pub(crate) fn append(
        &mut self,
        dir: &TaskDir,
        facts: &Facts,
        lengths: Lengths,
        event: EventData,
    ) -> io::Result<()> {
        let entry = JournalEntry {
            version: FORMAT_VERSION,
            generation: facts.generation.clone(),
            number: self.next_number,
            timestamp: Timestamp::now(),
            run: facts.run,
            log_offset: lengths.main,
            stderr_offset: lengths.stderr,
            event,
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        let flags = OFlag::O_RDWR
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut journal = File::from(openat(dir, self.file, flags, mode)?);
        if is_torn(&journal)? {
            line.insert(0, b'\n');
        }
        journal.write_all(&line)?;
        self.next_number = self.next_number.saturating_add(1);
        Ok(())
    }
}

/// Whether the last line lacks its end: a crash or a full disk cut it.
fn is_torn(journal: &File) -> io::Result<bool> {
    let size = journal.metadata()?.len();
    if size == 0 {
        return Ok(false);
    }
    let mut last = [0];
    journal.read_exact_at(&mut last, size - 1)?;
    Ok(last != *b"\n")
}

/// Every entry that can be read, in order. What cannot be read is skipped: it hurts nothing else.
pub(crate) fn read_journal(dir: &TaskDir) -> Vec<JournalEntry> {
    read_entries(dir, file::EVENTS)
}

fn read_entries(dir: &TaskDir, file: &str) -> Vec<JournalEntry> {
    use std::os::fd::AsFd;
    let bytes = read_all(dir.as_fd(), file).unwrap_or_default();
    bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(|entry: &JournalEntry| entry.version <= FORMAT_VERSION)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_behind_whatever_number_damage_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let dir = TaskDir::open_path(folder.path()).unwrap();
        let last = r#"{"version":1,"generation":"a","number":18446744073709551615,
            "timestamp":"2026-01-31T09:30:00Z","run":1,"log_offset":0,"stderr_offset":0,
            "type":"task.paused","data":{}}"#;
        let torn = last.replace('\n', "") + "\n{\"version\":1,";
        std::fs::write(folder.path().join(file::EVENTS), torn).unwrap();
        let facts = r#"{"revision":1,"generation":"a","run":1,"run_token":"b","restart_count":0,
            "boot_id":"c","created_at":"2026-01-31T09:30:00Z","updated_at":"2026-01-31T09:30:00Z",
            "wish_done":0,"cleared":true,"state":"starting"}"#;
        let facts: Facts = serde_json::from_str(facts).unwrap();
        let mut journal = Journal::continued(&dir);
        for _ in 0..2 {
            let lengths = Lengths::default();
            let event = EventData::Resumed {};
            journal.append(&dir, &facts, lengths, event).unwrap();
        }
        let events: Vec<_> = read_journal(&dir).into_iter().map(|it| it.event).collect();
        let resumed = EventData::Resumed {};
        assert_eq!(events, [EventData::Paused {}, resumed.clone(), resumed]);
    }
}
