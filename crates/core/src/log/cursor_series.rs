//! The cursors behind the lines of a block, which differ in two numbers only.
//!
//! A checksum over all of the text would take longer than everything else about a line. But CRC-32
//! is linear: what a digit adds to it depends on the digit and on how many bytes follow, not on the
//! others. So what each digit would add is worked out once for texts of one length.

use super::cursor_text::{hex_digits, hex_text};
use super::{Cursor, CursorText, CursorWriter, LogStream, Position};

/// Writes cursors of one generation of a task that differ in the place in one of its logs only.
#[derive(Clone, Debug)]
pub struct CursorSeries {
    writer: CursorWriter,
    stream: LogStream,
    at: Cursor,
    /// What stands before the two numbers.
    head: Part,
    /// What stands behind them, up to the checksum.
    tail: Part,
    /// How many digits the two numbers have.
    digits: [usize; 2],
    /// The checksum if all of them were 0.
    sum_of_zeros: u32,
    /// What each digit, the lowest first, adds to that.
    effects: [[[u32; 16]; MOST_DIGITS]; 2],
}

const MOST_DIGITS: usize = 16;
/// A piece of the text in room for the longest one, so that its copy needs no loop.
const PART: usize = 80;
/// What most of them fit into.
const SHORT: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Part {
    bytes: [u8; PART],
    length: usize,
}

impl Part {
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; PART];
        bytes[..text.len()].copy_from_slice(text);
        let length = text.len();
        Self { bytes, length }
    }

    /// May write more than its length; what is behind it is written later.
    #[inline]
    fn put(&self, room: &mut [u8; CursorSeries::ROOM], at: usize) -> usize {
        if self.length <= SHORT {
            room[at..at + SHORT].copy_from_slice(&self.bytes[..SHORT]);
        } else {
            room[at..at + PART].copy_from_slice(&self.bytes);
        }
        at + self.length
    }
}

impl CursorSeries {
    /// The room that a cursor is written into: it takes less, but is written in steps.
    pub const ROOM: usize = 256;

    pub(crate) fn new(writer: &CursorWriter, at: &Cursor, stream: LogStream) -> Self {
        let mut series = Self {
            writer: writer.clone(),
            stream,
            at: at.clone(),
            head: Part::of(b""),
            tail: Part::of(b""),
            digits: [0; 2],
            sum_of_zeros: 0,
            effects: [[[0; 16]; MOST_DIGITS]; 2],
        };
        series.fit([1, 1]);
        series
    }

    /// Writes the cursor behind a line of this number that ends at `end`; how long it is.
    #[inline]
    pub fn write(&mut self, end: u64, number: u64, room: &mut [u8; Self::ROOM]) -> usize {
        let numbers = [end, number];
        let digits = numbers.map(digits_of);
        if digits != self.digits {
            self.fit(digits);
        }
        let mut at = self.head.put(room, 0);
        let mut sum = self.sum_of_zeros;
        for ((number, digits), effects) in numbers.into_iter().zip(digits).zip(&self.effects) {
            put_hex(number, room, at);
            at += 1 + digits;
            let mut rest = number;
            for effect in &effects[..digits] {
                sum ^= effect[(rest & 15) as usize];
                rest >>= 4;
            }
        }
        at = self.tail.put(room, at);
        put_hex(u64::from(sum), room, at);
        at + 1 + digits_of(u64::from(sum))
    }

    /// Makes ready for numbers of so many digits.
    #[cold]
    fn fit(&mut self, digits: [usize; 2]) {
        // Numbers of that length whose first digit is 1 and whose others are 0.
        let [offset, lines] = digits.map(|digits| 1 << (4 * (digits - 1)));
        *self.at.position_mut(self.stream) = Position {
            offset,
            lines,
            mid_line: false,
        };
        let text = self.writer.write(&self.at);
        let text = text.as_bytes();
        let behind = text.iter().rposition(|&byte| byte == b'.').unwrap_or(0);
        // The generation is followed by the numbers of the two logs.
        let head = self.writer.begin().len()
            + match self.stream {
                LogStream::Main => 0,
                LogStream::Stderr => {
                    CursorText::width(self.at.main.offset) + CursorText::width(self.at.main.lines)
                }
            };
        let tail = head + digits[0] + digits[1] + 2;
        self.head = Part::of(&text[..head]);
        self.tail = Part::of(&text[tail..behind]);
        self.digits = digits;
        let mut effects = Effects::of_last_byte();
        effects.follow(self.tail.length);
        for (which, digits) in digits.into_iter().enumerate().rev() {
            for of_digit in &mut self.effects[which][..digits] {
                *of_digit = effects.0;
                effects.follow(1);
            }
            // The dot.
            effects.follow(1);
        }
        let sum = u32::from_str_radix(&text_of(&text[behind + 1..]), 16).unwrap_or(0);
        let first = |which: usize| self.effects[which][digits[which] - 1][1];
        self.sum_of_zeros = sum ^ first(0) ^ first(1);
    }
}

fn digits_of(number: u64) -> usize {
    16 - (number | 1).leading_zeros() as usize / 4
}

/// A dot and a number in hex. Most are small, which takes half as long.
#[inline]
fn put_hex(number: u64, room: &mut [u8; CursorSeries::ROOM], at: usize) {
    room[at] = b'.';
    match u32::try_from(number) {
        Ok(number) => {
            let digits = hex_digits(number) << ((number | 1).leading_zeros() / 4 * 8);
            room[at + 1..at + 9].copy_from_slice(&digits.to_be_bytes());
        }
        Err(_) => room[at + 1..at + 17].copy_from_slice(&hex_text(number).0),
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What each digit adds to the checksum beside what `0` would add.
struct Effects([u32; 16]);

impl Effects {
    fn of_last_byte() -> Self {
        Self(b"0123456789abcdef".map(|digit| STEPS[usize::from(digit ^ b'0')]))
    }

    /// So many more bytes follow.
    fn follow(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.0 = self.0.map(|sum| sum >> 8 ^ STEPS[(sum & 0xff) as usize]);
        }
    }
}

/// What one byte makes of a sum, as in every table-driven CRC-32.
static STEPS: [u32; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        steps[byte] = sum;
        byte += 1;
    }
    steps
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::{Generation, TaskId};

    fn number() -> impl Strategy<Value = u64> {
        (0_u32..64, any::<u64>()).prop_map(|(shift, number)| number >> shift)
    }

    proptest! {
        #[test]
        fn they_are_those_that_are_written_one_by_one(
            others in [number(), number(), number()],
            end_told: bool,
            is_stderr: bool,
            places in proptest::collection::vec([number(), number()], 1..20),
        ) {
            let id = TaskId::parse("some-task").unwrap();
            let mut cursor = Cursor::start_of(Generation::generate());
            let [stream, other] = match is_stderr {
                true => [LogStream::Stderr, LogStream::Main],
                false => [LogStream::Main, LogStream::Stderr],
            };
            let [offset, lines, journal] = others;
            *cursor.position_mut(other) = Position { offset, lines, mid_line: offset % 2 == 0 };
            (cursor.journal, cursor.end_told) = (journal, end_told);
            let writer = CursorWriter::new(&id, &cursor.generation);
            let mut series = CursorSeries::new(&writer, &cursor, stream);
            for [offset, lines] in places {
                *cursor.position_mut(stream) = Position { offset, lines, mid_line: false };
                let mut room = [b'?'; CursorSeries::ROOM];
                let length = series.write(offset, lines, &mut room);
                let expected = writer.write(&cursor);
                prop_assert_eq!(std::str::from_utf8(&room[..length]).unwrap(), expected.as_str());
            }
        }
    }
}
