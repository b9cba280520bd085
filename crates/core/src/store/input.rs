//! What a task keeps of its standard input: the text that it is given, and the lock that gives
//! each `send` its turn.
//!
//! The text is not in the record, which every reader of the task reads whole. Like a new log it
//! lies aside, under the name of its generation, until the command has been executed: a start that
//! comes to nothing leaves the earlier one's text as it was.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::format::{create_new, open_for_reading};
use super::lock::wait_for_lock;
use super::{TaskDir, file};
use crate::clock::Deadline;
use crate::task::{Generation, Stdin, TaskRecord};

/// Held while one caller writes to the task's standard input, so that what several send is not
/// mixed up.
#[derive(Debug)]
pub(crate) struct InputLock {
    _file: File,
}

impl InputLock {
    /// Takes the lock; `None` when others have it until the deadline.
    pub(crate) fn take(dir: &TaskDir, deadline: Deadline) -> io::Result<Option<Self>> {
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let lock = File::from(openat(dir, file::INPUT_LOCK, flags, mode)?);
        let lock = match lock.try_lock() {
            Ok(()) => Some(lock),
            Err(TryLockError::WouldBlock) => wait_for_lock(lock, deadline)?,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        Ok(lock.map(|file| Self { _file: file }))
    }
}

fn aside(generation: &Generation) -> String {
    format!("{}.{}", file::INPUT, generation.as_str())
}

/// Keeps the text of a generation that is about to begin, where it has one.
pub(crate) fn keep_text(dir: &TaskDir, record: &TaskRecord) -> io::Result<()> {
    match &record.spec.stdin {
        Stdin::Text(text) => {
            let mut file = create_new(dir.as_fd(), &aside(&record.facts.generation))?;
            file.write_all(text.as_bytes())
        }
        Stdin::Null | Stdin::Open | Stdin::File(_) => Ok(()),
    }
}

/// Takes the text of a generation away that has come to nothing.
pub(crate) fn forget_text(dir: &TaskDir, record: &TaskRecord) {
    if let Stdin::Text(_) = record.spec.stdin {
        let aside = aside(&record.facts.generation);
        let _ = unlinkat(dir, aside.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Puts the text of a generation that has begun in place. `replaces`: of an earlier one, which is
/// to be gone.
pub(crate) fn settle_text(dir: &TaskDir, record: &TaskRecord, replaces: bool) -> io::Result<()> {
    let settled = match record.spec.stdin {
        Stdin::Text(_) => {
            let aside = aside(&record.facts.generation);
            renameat(dir, aside.as_str(), dir, file::INPUT_TEXT)
        }
        _ if replaces => unlinkat(dir, file::INPUT_TEXT, UnlinkatFlags::NoRemoveDir),
        _ => return Ok(()),
    };
    match settled {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens the text of a generation at its beginning.
pub(crate) fn open_text(dir: &TaskDir, generation: &Generation) -> io::Result<File> {
    match open_for_reading(dir.as_fd(), &aside(generation)) {
        // In place already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            open_for_reading(dir.as_fd(), file::INPUT_TEXT)
        }
        other => other,
    }
}
