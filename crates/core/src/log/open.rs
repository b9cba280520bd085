//! Opening a log of a generation of a task.
//!
//! A start of an id that exists puts its record in place before its logs. In between the names of
//! the logs lead to those of the generation before, and the new ones are aside. Whoever was told of
//! the start by the first of the new names looks at just that moment.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::LogStream;
use crate::client::not_found;
use crate::error::Result;
use crate::store::{Home, TaskDir};
use crate::task::{Generation, Stderr, TaskId, TaskState};

const FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK);

/// Opens one of a task's logs; `None` when it has none (yet). Never through a symbolic link.
///
/// # Errors
/// When something else than a log stands in its place.
pub(crate) fn open(
    home: &Home,
    dir: &TaskDir,
    id: &TaskId,
    stream: LogStream,
    generation: &Generation,
) -> Result<Option<File>> {
    let previous = dir.read_previous();
    if previous.is_some_and(|previous| previous.facts.generation != *generation) {
        match openat(dir, stream.next_name(), FLAGS, Mode::empty()) {
            Ok(fd) => return Ok(Some(File::from(fd))),
            Err(_) if !is_in_place(dir, stream, generation) => return Ok(None),
            Err(_) => {}
        }
    }
    let public = stream.public_name(id);
    let opened = match openat(dir, stream.log_name(), FLAGS, Mode::empty()) {
        Err(Errno::ENOENT) => openat(home, public.as_str(), FLAGS, Mode::empty()),
        other => other,
    };
    match opened {
        Ok(fd) => Ok(Some(File::from(fd))),
        // A task that is removed meanwhile is none, not one without a log.
        Err(Errno::ENOENT) if !dir.is_same(home.task_dir(id)?.as_ref()) => Err(not_found(id)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(home.error("read", &public, errno)),
    }
}

/// Whether a log that is not aside is in place, while the record before is still kept.
fn is_in_place(dir: &TaskDir, stream: LogStream, generation: &Generation) -> bool {
    let Ok(record) = dir.read_record() else {
        return true;
    };
    // Before the command is executed they may not have been made yet.
    let is_made = record.facts.generation == *generation
        && !matches!(record.facts.state, TaskState::Starting);
    is_made && (stream == LogStream::Main || record.spec.stderr == Stderr::Separate)
}
