//! One task's folder, held by descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstat};

use super::format::{
    self, FORMAT_VERSION, ReadFailure, Unsettled, decode, read_all, write_aside,
    write_aside_at_leisure,
};
use super::list_cache::announce;
use super::{EndRecord, Want};
use crate::task::{Facts, TaskRecord};

/// Every file name of a task's folder.
pub(crate) mod file {
    pub(crate) const RECORD: &str = "task.json";
    pub(crate) const PREVIOUS_RECORD: &str = "task.prev.json";
    pub(crate) const WANT: &str = "want.json";
    pub(crate) const AWAITED: &str = "after.json";
    pub(crate) const END: &str = "end";
    pub(crate) const ENVIRON: &str = "environ";
    pub(crate) const EVENTS: &str = "events.ndjson";
    pub(crate) const NEXT_EVENTS: &str = "events.next.ndjson";
    pub(crate) const LIVE: &str = "live";
    pub(crate) const LOG: &str = "log";
    pub(crate) const NEXT_LOG: &str = "log.next";
    pub(crate) const STDERR_LOG: &str = "log.stderr";
    pub(crate) const NEXT_STDERR_LOG: &str = "log.stderr.next";
    pub(crate) const TIMELINE: &str = "timeline";
    pub(crate) const CUT: &str = "cut";
    pub(crate) const STDERR_CUT: &str = "cut.stderr";
    pub(crate) const LINES: &str = "lines";
    pub(crate) const STDERR_LINES: &str = "lines.stderr";
    pub(crate) const SUPERVISOR_LOCK: &str = "supervisor.lock";
    pub(crate) const INPUT: &str = "stdin";
    pub(crate) const INPUT_END: &str = "stdin.end";
    pub(crate) const INPUT_LOCK: &str = "stdin.lock";
    pub(crate) const INPUT_TEXT: &str = "stdin.text";
    pub(crate) const CGROUP: &str = "cgroup";
    pub(crate) const PANIC: &str = "supervisor.panic";
}

/// From a task's folder to the home.
const HOME: &str = "../../";

/// What a record is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaces {
    /// None at all, or that of a task that has not ended.
    NoEnd,
    /// That of an ended task, which a cache may hold.
    AnEnd,
}

impl Replaces {
    /// What the next record is written over where this one is on disk.
    pub(crate) fn of(record: &TaskRecord) -> Self {
        if record.facts.state.status().is_terminal() {
            Self::AnEnd
        } else {
            Self::NoEnd
        }
    }
}

/// An open folder of a task.
#[derive(Debug)]
pub(crate) struct TaskDir {
    fd: OwnedFd,
}

const FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);

impl TaskDir {
    /// Opens the folder under a name relative to `dir`, never through a symbolic link.
    pub(crate) fn open_at(dir: BorrowedFd<'_>, name: &str) -> Result<Self, Errno> {
        let fd = openat(dir, name, FLAGS, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens the folder under an absolute path.
    pub(crate) fn open_path(path: &std::path::Path) -> Result<Self, Errno> {
        let fd = open(path, FLAGS, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens the folder in which this process is.
    pub(crate) fn open_current() -> Result<Self, Errno> {
        let fd = open(".", FLAGS, Mode::empty())?;
        Ok(Self { fd })
    }

    /// The record as it is stored, whatever has become of its supervisor.
    pub(crate) fn read_record(&self) -> Result<TaskRecord, ReadFailure> {
        let record: TaskRecord = decode(&read_all(self.fd.as_fd(), file::RECORD)?)?;
        if record.version > FORMAT_VERSION {
            // It happens to hold all that we know; what else it holds we would take away.
            return Err(ReadFailure::Newer(record.version));
        }
        Ok(record)
    }

    /// The record that a start which came to nothing was about to replace.
    pub(crate) fn read_previous(&self) -> Option<TaskRecord> {
        decode(&read_all(self.fd.as_fd(), file::PREVIOUS_RECORD).ok()?).ok()
    }

    /// The same, if it is what stood before the run that these facts announce. Whoever was killed at the
    /// wrong moment may have left another.
    pub(crate) fn read_previous_of(&self, facts: &Facts) -> Option<TaskRecord> {
        let previous = self.read_previous()?;
        let before = &previous.facts;
        let is_before = if before.generation == facts.generation {
            before.run == facts.run || before.run.checked_add(1) == Some(facts.run)
        } else {
            facts.run == 1
        };
        is_before.then_some(previous)
    }

    /// Replaces the record. Whoever calls this holds the task's short lock while no supervisor
    /// has taken over, or its supervisor lock.
    pub(crate) fn write_record(&self, record: &TaskRecord, replaces: Replaces) -> io::Result<()> {
        self.replace_record(record, replaces, write_aside)
    }

    /// The same, but the rest of it, such as going to the disk, is left to whoever is given what is
    /// returned.
    pub(crate) fn write_record_at_leisure(
        &self,
        record: &TaskRecord,
        replaces: Replaces,
    ) -> io::Result<Option<Unsettled>> {
        self.replace_record(record, replaces, write_aside_at_leisure)
    }

    fn replace_record<T>(
        &self,
        record: &TaskRecord,
        replaces: Replaces,
        write: impl FnOnce(BorrowedFd<'_>, &str, &[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        let bytes = encode_record(record)?;
        let _announced = match replaces {
            Replaces::AnEnd => Some(announce(self.fd.as_fd(), HOME, &record.id)),
            Replaces::NoEnd => None,
        };
        write(self.fd.as_fd(), file::RECORD, &bytes)
    }

    /// Brings back a record that [`TaskDir::keep_previous`] has kept: a rename needs no space. What
    /// is kept may also be a leftover of another start, so it is compared.
    pub(crate) fn restore(&self, record: &[u8]) -> io::Result<()> {
        if read_all(self.fd.as_fd(), file::PREVIOUS_RECORD)? == record {
            renameat(&self.fd, file::PREVIOUS_RECORD, &self.fd, file::RECORD)?;
        }
        Ok(())
    }

    /// Keeps a record under a second name until the one that replaces it has proved itself.
    pub(crate) fn keep_previous(&self, record: &[u8]) -> io::Result<()> {
        write_aside(self.fd.as_fd(), file::PREVIOUS_RECORD, record)
    }

    /// The preallocated record of an end, when it holds a valid one (of whatever run).
    pub(crate) fn read_end(&self) -> Option<EndRecord> {
        EndRecord::decode(&read_all(self.fd.as_fd(), file::END).ok()?)
    }

    /// The latest wish, when there is a readable one (for whatever run).
    pub(crate) fn read_want(&self) -> Option<Want> {
        decode(&read_all(self.fd.as_fd(), file::WANT).ok()?).ok()
    }

    /// Replaces the wish. Whoever calls this holds the task's short lock.
    pub(crate) fn write_want(&self, want: &Want) -> io::Result<()> {
        write_aside(self.fd.as_fd(), file::WANT, &serde_json::to_vec(want)?)
    }

    /// What a supervisor of this task said when it broke.
    pub(crate) fn read_panic(&self) -> Option<String> {
        let bytes = read_all(self.fd.as_fd(), file::PANIC).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Whether anything stands under this name.
    pub(crate) fn exists(&self, name: &str) -> bool {
        !matches!(format::stat(&self.fd, name), Ok(None))
    }

    /// Whether two descriptors are of one folder.
    pub(crate) fn is_same(&self, other: Option<&TaskDir>) -> bool {
        let identity = |dir: &TaskDir| fstat(&dir.fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
        other.is_some_and(|other| identity(other) == identity(self))
    }

    /// Size of a file in bytes, 0 when there is none.
    pub(crate) fn size_of(&self, name: &str) -> u64 {
        match format::stat(&self.fd, name) {
            Ok(Some(stat)) => u64::try_from(stat.st_size).unwrap_or(0),
            _ => 0,
        }
    }
}

/// A record as it is stored.
pub(crate) fn encode_record(record: &TaskRecord) -> io::Result<Vec<u8>> {
    // Enough for most, so that it need not grow.
    let mut bytes = Vec::with_capacity(2048);
    serde_json::to_writer(&mut bytes, record)?;
    bytes.push(b'\n');
    Ok(bytes)
}

impl AsFd for TaskDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
