//! A log line by line, from any offset on, also while it grows.

use std::fs::File;
use std::io;

use super::{find_newline, read_at};

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counts from 1.
    pub number: u64,
    /// Offset of its first byte.
    pub start: u64,
    /// Offset behind it and its end.
    pub end: u64,
    /// What stands before its `\n`.
    pub bytes: Vec<u8>,
    /// Whether it has no end yet.
    pub partial: bool,
}

/// Reads on from an offset.
#[derive(Debug)]
pub(crate) struct LineReader {
    /// Bytes from `start` on that have been read but not handed out.
    buffer: Vec<u8>,
    start: u64,
    /// How far `buffer` has been searched for a line end.
    searched: usize,
    number: u64,
}

impl LineReader {
    /// Begins at `offset`, behind `lines_before` lines.
    pub(crate) fn at(offset: u64, lines_before: u64) -> Self {
        Self {
            buffer: Vec::new(),
            start: offset,
            searched: 0,
            number: lines_before,
        }
    }

    /// The next line that ends at or before `limit`. An unfinished one is given only if it is
    /// `to_the_end`, when nothing will be added to it any more.
    pub(crate) fn next(
        &mut self,
        file: &File,
        limit: u64,
        to_the_end: bool,
    ) -> io::Result<Option<Line>> {
        loop {
            let allowed = usize::try_from(limit.saturating_sub(self.start)).unwrap_or(usize::MAX);
            let within = allowed.min(self.buffer.len());
            let from = self.searched.min(within);
            if let Some(at) = find_newline(&self.buffer[from..within]) {
                let length = from + at;
                return Ok(Some(self.hand_out(length, length + 1, false)));
            }
            self.searched = within;
            let wanted = BLOCK.min(allowed - within);
            let n = if within < self.buffer.len() {
                0
            } else {
                self.read_more(file, wanted)?
            };
            if n == 0 {
                let give = to_the_end && within > 0;
                return Ok(give.then(|| self.hand_out(within, within, true)));
            }
        }
    }

    fn read_more(&mut self, file: &File, wanted: usize) -> io::Result<usize> {
        let filled = self.buffer.len();
        let read_to = self.start + filled as u64;
        self.buffer.resize(filled + wanted, 0);
        let n = read_at(file, &mut self.buffer[filled..], read_to)?;
        self.buffer.truncate(filled + n);
        Ok(n)
    }

    fn hand_out(&mut self, length: usize, consumed: usize, partial: bool) -> Line {
        let rest = self.buffer.split_off(consumed);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(length);
        let start = self.start;
        self.start += consumed as u64;
        self.searched = 0;
        self.number += 1;
        Line {
            number: self.number,
            start,
            end: self.start,
            bytes,
            partial,
        }
    }
}

/// The text of a line: invalid UTF-8 becomes U+FFFD, one `\r` before the end goes, and what is
/// longer than `limit` bytes is cut at a character, with a mark. Returns whether it was cut.
pub(crate) fn clip(bytes: &[u8], whole_length: u64, limit: usize) -> (String, bool) {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if whole_length <= limit as u64 {
        return (String::from_utf8_lossy(bytes).into_owned(), false);
    }
    let mut cut = limit.min(bytes.len());
    // Not in the middle of a character: its following bytes begin with the bits 10.
    while cut > 0 && bytes.get(cut).is_some_and(|byte| byte & 0xC0 == 0x80) && limit - cut < 4 {
        cut -= 1;
    }
    let left_out = whole_length - cut as u64;
    let mut text = String::from_utf8_lossy(&bytes[..cut]).into_owned();
    text.push_str(&format!("… [{left_out} bytes cut]"));
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_unfinished_line_waits_for_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\ntw").unwrap();
        let mut reader = LineReader::at(0, 0);
        assert_eq!(reader.next(&file, 6, false).unwrap().unwrap().bytes, b"one");
        assert_eq!(reader.next(&file, 6, false).unwrap(), None);
        file.write_all(b"o\nthree").unwrap();
        let two = reader.next(&file, 13, false).unwrap().unwrap();
        assert_eq!(
            (two.number, two.start, two.bytes.as_slice()),
            (2, 4, &b"two"[..])
        );
        assert_eq!(reader.next(&file, 13, false).unwrap(), None);
        let three = reader.next(&file, 13, true).unwrap().unwrap();
        assert!(three.partial);
        assert_eq!(reader.next(&file, 13, true).unwrap(), None);
    }

    #[test]
    fn cuts_fall_between_characters_and_are_marked() {
        assert_eq!(clip(b"short\r", 6, 10), ("short".to_owned(), false));
        assert_eq!(
            clip("aé".as_bytes(), 3, 2),
            ("a… [2 bytes cut]".to_owned(), true)
        );
        assert_eq!(clip(b"\xff\0", 2, 9), ("\u{fffd}\0".to_owned(), false));
    }
}
