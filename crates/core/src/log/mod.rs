//! Reading logs: the last lines, the number of lines, line by line as they come.
//!
//! The file holds exactly the bytes that the command wrote. A line ends with `\n`; what stands
//! behind the last `\n` is an unfinished line and counts as one.

mod block;
mod control;
mod count;
mod cursor;
mod cursor_series;
mod cursor_text;
mod cut;
mod line;
mod lines_file;
mod literal;
mod open;
mod pattern;
mod reader;
#[cfg(test)]
mod sample;
mod search;
mod tail;
pub(crate) mod timeline;
mod view;
mod watch;

pub(crate) use block::{LogSource, Place};
pub(crate) use count::{lines_before, newlines, total_lines};
pub(crate) use cursor::{Cursor, CursorWriter, Position};
pub use cursor_series::CursorSeries;
pub use cursor_text::CursorText;
pub(crate) use cut::Cut;
pub(crate) use line::{Found, Lines, PlainLines, Unfinished};
pub(crate) use open::open;
pub(crate) use pattern::{LARGEST_PATTERN, Pattern};
pub(crate) use reader::{LONGEST_SEARCHED, LogReader, Look, Match, Next};
pub(crate) use search::{Hit, search};
pub(crate) use tail::{find_tail, last_lines};
pub use view::View;
pub(crate) use view::{Renderer, Shown, settled_length};
pub(crate) use watch::{Change, FolderWatch};

use std::fs::File;
use std::io;

use crate::store::{Home, file};
use crate::task::TaskId;

/// Which of a task's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStream {
    /// What the command wrote; all of it, unless standard error has a log of its own.
    Main,
    /// What it wrote to standard error.
    Stderr,
}

impl LogStream {
    /// The log's name in the task's folder.
    pub(crate) fn log_name(self) -> &'static str {
        match self {
            Self::Main => file::LOG,
            Self::Stderr => file::STDERR_LOG,
        }
    }

    /// The name of a new one that is not in place yet.
    pub(crate) fn next_name(self) -> &'static str {
        match self {
            Self::Main => file::NEXT_LOG,
            Self::Stderr => file::NEXT_STDERR_LOG,
        }
    }

    /// Where it begins, once some of it has been freed.
    pub(crate) fn cut_name(self) -> &'static str {
        match self {
            Self::Main => file::CUT,
            Self::Stderr => file::STDERR_CUT,
        }
    }

    /// How far its lines have been counted.
    pub(crate) fn lines_name(self) -> &'static str {
        match self {
            Self::Main => file::LINES,
            Self::Stderr => file::STDERR_LINES,
        }
    }

    /// Its public name, relative to the root.
    pub(crate) fn public_name(self, id: &TaskId) -> String {
        match self {
            Self::Main => Home::log_name(id),
            Self::Stderr => Home::stderr_log_name(id),
        }
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

/// Most lines end within this; calling memchr for them takes longer than looking.
const NEAR: usize = 128;

/// The first newline.
pub(crate) fn find_newline(bytes: &[u8]) -> Option<usize> {
    if bytes.len() <= SMALL {
        return find_near_newline(bytes);
    }
    let (near, rest) = bytes.split_at(NEAR);
    find_near_newline(near).or_else(|| Some(NEAR + memchr::memchr(b'\n', rest)?))
}

/// Looks at eight bytes at a time.
fn find_near_newline(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // A newline is a zero byte now. Subtracting sets the top bit of the lowest zero byte, and
        // of no byte below it.
        let word = u64::from_le_bytes(*word) ^ (u64::from(b'\n') * EACH);
        let zero = word.wrapping_sub(EACH) & !word & (0x80 * EACH);
        if zero != 0 {
            return Some(at * 8 + zero.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&byte| byte == b'\n')?;
    Some(words.len() * 8 + at)
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
