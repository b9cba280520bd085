//! Where a reader stands, as opaque text that checks itself.
//!
//! ```text
//! v1.<generation>.<offset>.<lines>.<stderr offset>.<stderr lines>.<journal>.<state>.<crc32>
//! ```
//!
//! Numbers are in hex. The checksum covers the task's id as well, which is not in the text: the
//! cursor of another task does not fit.

use super::{CursorText, LogStream, Place};
use crate::error::{Error, Result};
use crate::request::invalid;
use crate::task::{Generation, TaskId};

/// Where a reader of one log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes that are behind the reader.
    pub offset: u64,
    /// Line ends that are behind the reader.
    pub lines: u64,
    /// Whether the reader has been given the beginning of the line that goes on here.
    pub mid_line: bool,
}

impl From<Place> for Position {
    fn from(place: Place) -> Self {
        Self {
            offset: place.offset,
            lines: place.lines,
            mid_line: false,
        }
    }
}

/// A place in the history of one generation of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Which generation.
    pub generation: Generation,
    /// In the log.
    pub main: Position,
    /// In the log of standard error; at its beginning where there is none.
    pub stderr: Position,
    /// The last journal entry that is behind the reader.
    pub journal: u64,
    /// Whether the reader has been told of an end that is not in the journal.
    pub end_told: bool,
    /// How much the reader has been told of the next line, or of the event behind it, in another
    /// language (see `event/translate.rs`), where that is not all.
    pub told: u64,
}

const VERSION: &str = "v1.";
const MAIN_MID_LINE: u64 = 1;
const STDERR_MID_LINE: u64 = 2;
const END_TOLD: u64 = 4;
/// What is above the flags counts.
const TOLD_SHIFT: u32 = 3;

impl Cursor {
    /// Before everything.
    pub(crate) fn start_of(generation: Generation) -> Self {
        Self {
            generation,
            main: Position::default(),
            stderr: Position::default(),
            journal: 0,
            end_told: false,
            told: 0,
        }
    }

    /// Where the reader of one log stands.
    pub(crate) fn position(&self, stream: LogStream) -> Position {
        match stream {
            LogStream::Main => self.main,
            LogStream::Stderr => self.stderr,
        }
    }

    /// The same, to be changed.
    pub(crate) fn position_mut(&mut self, stream: LogStream) -> &mut Position {
        match stream {
            LogStream::Main => &mut self.main,
            LogStream::Stderr => &mut self.stderr,
        }
    }

    fn state(&self) -> u64 {
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        flag(self.main.mid_line, MAIN_MID_LINE)
            | flag(self.stderr.mid_line, STDERR_MID_LINE)
            | flag(self.end_told, END_TOLD)
            | self.told << TOLD_SHIFT
    }

    /// As text, for the task with this id.
    pub(crate) fn encode(&self, id: &TaskId) -> CursorText {
        CursorWriter::new(id, &self.generation).write(self)
    }

    /// Reads what [`Cursor::encode`] has written for this task. `field` names it in errors.
    ///
    /// # Errors
    /// [`Error::CommandInput`] when it is damaged, or another task's.
    pub(crate) fn parse(field: &str, text: &str, id: &TaskId) -> Result<Self> {
        Self::read(text, id).ok_or_else(|| {
            let problem = format!("it is damaged, or not a cursor of {id}");
            invalid(
                field,
                problem,
                "Pass a cursor on as it was, to the task that it came from.",
            )
            .with("reason", "cursor_invalid")
        })
    }

    fn read(text: &str, id: &TaskId) -> Option<Self> {
        let (body, _checksum) = text.rsplit_once('.')?;
        let mut parts = body.strip_prefix(VERSION)?.split('.');
        let generation = Generation::parse(parts.next()?)?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let [offset, lines] = [number()?, number()?];
        let [stderr_offset, stderr_lines] = [number()?, number()?];
        let [journal, state] = [number()?, number()?];
        let position = |offset, lines, mid_line| Position {
            offset,
            lines,
            mid_line: state & mid_line != 0,
        };
        let cursor = Self {
            generation,
            main: position(offset, lines, MAIN_MID_LINE),
            stderr: position(stderr_offset, stderr_lines, STDERR_MID_LINE),
            journal,
            end_told: state & END_TOLD != 0,
            told: state >> TOLD_SHIFT,
        };
        // The one spelling that we write, its checksum included: no signs, no more zeros.
        let is_ours = cursor.encode(id).as_str() == text;
        // A line takes a byte at least.
        let is_possible = |position: Position| position.lines <= position.offset;
        let is_sound = is_ours && is_possible(cursor.main) && is_possible(cursor.stderr);
        is_sound.then_some(cursor)
    }

    /// Refuses a cursor of an earlier start of the id.
    pub(crate) fn must_be_of(self, field: &str, id: &TaskId, now: &Generation) -> Result<Self> {
        if self.generation == *now {
            return Ok(self);
        }
        let problem = format!("{id} has been started anew since this cursor was given");
        let error: Error = invalid(
            field,
            problem,
            "Leave it out to read the new log from its end.",
        );
        Err(error.with("reason", "task_started_anew"))
    }
}

/// Writes the cursors of one generation of a task. What they all begin with is written, and its
/// checksum taken, once: every line of a stream has a cursor.
#[derive(Clone, Debug)]
pub(crate) struct CursorWriter {
    begin: CursorText,
    /// Of the id and `begin`.
    checksum: crc32fast::Hasher,
}

impl CursorWriter {
    pub(crate) fn new(id: &TaskId, generation: &Generation) -> Self {
        let mut begin = CursorText::default();
        begin.push(VERSION.as_bytes());
        begin.push(generation.as_str().as_bytes());
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(id.as_str().as_bytes());
        checksum.update(b"/");
        checksum.update(begin.as_bytes());
        Self { begin, checksum }
    }

    /// What all of them begin with.
    pub(super) fn begin(&self) -> &[u8] {
        self.begin.as_bytes()
    }

    /// A cursor of this generation as text.
    pub(crate) fn write(&self, cursor: &Cursor) -> CursorText {
        let mut text = self.begin;
        let numbers = [
            cursor.main.offset,
            cursor.main.lines,
            cursor.stderr.offset,
            cursor.stderr.lines,
            cursor.journal,
            cursor.state(),
        ];
        for number in numbers {
            text.push_hex(number);
        }
        let mut checksum = self.checksum.clone();
        checksum.update(&text.as_bytes()[self.begin.as_bytes().len()..]);
        text.push_hex(u64::from(checksum.finalize()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position() -> impl Strategy<Value = Position> {
        (any::<[u64; 2]>(), any::<bool>()).prop_map(|([one, other], mid_line)| Position {
            offset: one.max(other),
            lines: one.min(other),
            mid_line,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            main in position(), stderr in position(), journal: u64, end_told: bool, told in 0..u64::MAX >> 3,
        ) {
            let id = TaskId::parse("a").unwrap();
            let generation = Generation::generate();
            let cursor = Cursor { generation, main, stderr, journal, end_told, told };
            let text = cursor.encode(&id).to_string();
            prop_assert_eq!(Cursor::parse("cursor", &text, &id).unwrap(), cursor);
        }

        #[test]
        fn a_changed_one_is_refused(at in 0_usize..60, byte in 0x20_u8..0x7f) {
            let id = TaskId::parse("a").unwrap();
            let mut text = Cursor::start_of(Generation::generate()).encode(&id).to_string().into_bytes();
            let at = at % text.len();
            prop_assume!(text[at] != byte);
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            prop_assert!(Cursor::parse("cursor", &text, &id).is_err());
        }
    }

    /// The checksum is no secret: whoever means harm makes one that fits.
    #[test]
    fn what_we_never_write_is_refused_whatever_its_checksum() {
        let id = TaskId::parse("a").unwrap();
        let read = |numbers: &str| {
            let body = format!("v1.0123456789abcdef.{numbers}");
            let checksum = crc32fast::hash(format!("a/{body}").as_bytes());
            Cursor::read(&format!("{body}.{checksum:x}"), &id)
        };
        assert!(read("a.5.0.0.3.7").is_some());
        let other_spellings = ["+a.5.0.0.3.7", "0a.5.0.0.3.7", "A.5.0.0.3.7"];
        // A line takes a byte at least; counting on from there would overflow.
        let impossible = ["a.b.0.0.3.7", "a.5.0.ffffffffffffffff.3.7"];
        for numbers in other_spellings.into_iter().chain(impossible) {
            assert_eq!(read(numbers), None, "{numbers}");
        }
    }

    #[test]
    fn another_tasks_is_refused() {
        let [a, b] = ["a", "b"].map(|id| TaskId::parse(id).unwrap());
        let text = Cursor::start_of(Generation::generate())
            .encode(&a)
            .to_string();
        assert!(Cursor::parse("cursor", &text, &b).is_err());
        for text in ["", "v1", "v1.......", ".", "v2.0.0.0.0.0.0.0.0"] {
            assert!(Cursor::parse("cursor", text, &a).is_err(), "{text}");
        }
    }
}
