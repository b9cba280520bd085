//! Reading logs: the last lines, the number of lines, line by line as they come.
//!
//! The file holds exactly the bytes that the command wrote. A line ends with `\n`; what stands
//! behind the last `\n` is an unfinished line and counts as one.

// Until `logs` and `events` are built on all of it.
#![allow(dead_code, unused_imports)]

mod block;
mod control;
mod count;
mod cursor;
mod cut;
mod follow;
mod line;
mod lines_file;
mod pattern;
#[cfg(test)]
mod sample;
mod search;
mod tail;

pub(crate) use block::{LogSource, Place};
pub(crate) use count::{count_lines, lines_before, total_lines};
pub(crate) use cursor::Cursor;
pub(crate) use cut::Cut;
pub(crate) use follow::{GrowthWatch, sleep_until_told};
pub(crate) use line::{Line, LineReader, clip};
pub(crate) use pattern::Pattern;
pub(crate) use search::{Clean, Hit, search};
pub(crate) use tail::{Tail, find_tail, last_line_starts, last_lines};

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::error::Result;
use crate::store::{Home, TaskDir, file};
use crate::task::TaskId;

/// Which of a task's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LogStream {
    /// Standard output, or both streams in true order.
    Main,
    /// Standard error, where it is kept apart.
    Stderr,
}

impl LogStream {
    /// Name of the log in the task's folder.
    pub(crate) fn log_name(self) -> &'static str {
        match self {
            Self::Main => file::LOG,
            Self::Stderr => file::STDERR_LOG,
        }
    }

    /// Name of the file that tells where a capped log begins.
    pub(crate) fn cut_name(self) -> &'static str {
        match self {
            Self::Main => file::CUT,
            Self::Stderr => file::STDERR_CUT,
        }
    }

    /// Name of the file that remembers counts.
    pub(crate) fn lines_name(self) -> &'static str {
        match self {
            Self::Main => file::LINES,
            Self::Stderr => file::STDERR_LINES,
        }
    }
}

/// Opens a task's log; `None` when it has none (yet). Never through a symbolic link.
pub(crate) fn open(home: &Home, dir: &TaskDir, id: &TaskId) -> Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let public = Home::log_name(id);
    let opened = match openat(dir, file::LOG, flags, Mode::empty()) {
        Err(Errno::ENOENT) => openat(home, public.as_str(), flags, Mode::empty()),
        other => other,
    };
    match opened {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(home.error("read", &public, errno)),
    }
}

/// Fills as much of `buffer` as there is behind `offset`.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::os::unix::fs::FileExt;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Below this a plain search is done before memchr has asked the processor what it can (some
/// 80 us on a virtual machine, where each `cpuid` is a trap).
const SMALL: usize = 16 << 10;

/// The first newline.
pub(crate) fn find_newline(bytes: &[u8]) -> Option<usize> {
    if bytes.len() <= SMALL {
        return bytes.iter().position(|&byte| byte == b'\n');
    }
    memchr::memchr(b'\n', bytes)
}

/// The last newline.
pub(crate) fn find_last_newline(bytes: &[u8]) -> Option<usize> {
    let near_end = bytes.len().saturating_sub(SMALL);
    match bytes[near_end..].iter().rposition(|&byte| byte == b'\n') {
        Some(at) => Some(near_end + at),
        None if near_end == 0 => None,
        None => memchr::memrchr(b'\n', &bytes[..near_end]),
    }
}
