//! The cursors behind the lines of a block, which differ in two numbers only.
//!
//! A checksum over all of the text would take longer than everything else about a line. But CRC-32
//! is linear: what a digit adds to it depends on the digit and on how many bytes follow, not on the
//! others. So what each digit would add is worked out once for texts of one length.
//!
//! Of the two numbers only the last four digits are written for each line. Once in 65,536 bytes or
//! lines, and where a number gets longer, the whole text is made anew.

use super::cursor_text::{hex_digits, hex_four};
use super::{Cursor, CursorText, CursorWriter, LogStream, Position};

/// Writes cursors of one generation of a task that differ in the place in one of its logs only.
#[derive(Clone, Debug)]
pub struct CursorSeries {
    writer: CursorWriter,
    stream: LogStream,
    at: Cursor,
    /// The text up to the checksum, in room for the longest one, so that its copy needs no loop.
    text: [u8; CursorSeries::ROOM],
    length: usize,
    /// The checksum if the last digits were 0.
    sum_of_zeros: u32,
    /// How many bytes and how many lines are behind the reader.
    numbers: [LastDigits; 2],
}

/// What of a number is written for each line.
#[derive(Clone, Copy, Debug, Default)]
struct LastDigits {
    /// The numbers that have the same other digits: the first of them, and how many there are.
    from: u64,
    count: u64,
    /// Where the number ends in the text.
    end: usize,
    /// Which bits of the last four characters are those of digits, and what the others are.
    mask: u32,
    before: u32,
    /// What each digit, the lowest first, adds to the checksum.
    effects: [[u32; 16]; LAST],
}

const LAST: usize = 4;
/// What most of the texts fit into.
const SHORT: usize = 64;

impl LastDigits {
    #[inline(always)]
    fn fits(&self, number: u64) -> bool {
        number.wrapping_sub(self.from) < self.count
    }

    /// Writes them; what they add to the checksum.
    #[inline(always)]
    fn put(&self, number: u64, room: &mut [u8; CursorSeries::ROOM]) -> u32 {
        let digits = hex_four(number as u16) & self.mask | self.before;
        room[self.end - LAST..self.end].copy_from_slice(&digits.to_be_bytes());
        let [a, b, c, d] = &self.effects;
        let digit = |place: u32| (number >> (4 * place)) as usize & 15;
        a[digit(0)] ^ b[digit(1)] ^ c[digit(2)] ^ d[digit(3)]
    }
}

impl CursorSeries {
    /// The room that a cursor is written into: it takes less, but is written in steps.
    pub const ROOM: usize = 256;

    pub(crate) fn new(writer: &CursorWriter, at: &Cursor, stream: LogStream) -> Self {
        Self {
            writer: writer.clone(),
            stream,
            at: at.clone(),
            text: [0; Self::ROOM],
            length: 0,
            sum_of_zeros: 0,
            // They fit no number.
            numbers: [LastDigits::default(); 2],
        }
    }

    /// Writes the cursor behind a line of this number that ends at `end`; how long it is. What is
    /// behind it in the room may be written over.
    // The compiler, told to make small code, would call it.
    #[inline(always)]
    pub fn write(&mut self, end: u64, number: u64, room: &mut [u8; Self::ROOM]) -> usize {
        let [bytes, lines] = &self.numbers;
        if !(bytes.fits(end) && lines.fits(number)) {
            self.fit([end, number]);
        }
        room[..SHORT].copy_from_slice(&self.text[..SHORT]);
        if self.length > SHORT {
            room[SHORT..].copy_from_slice(&self.text[SHORT..]);
        }
        let [bytes, lines] = &self.numbers;
        // In this order: where the lines have few digits, what is written with them reaches into
        // the number before.
        let of_lines = lines.put(number, room);
        let sum = self.sum_of_zeros ^ of_lines ^ bytes.put(end, room);
        let zeros = (sum | 1).leading_zeros() / 4;
        let digits = hex_digits(sum) << (8 * zeros);
        room[self.length..self.length + 8].copy_from_slice(&digits.to_be_bytes());
        self.length + 8 - zeros as usize
    }

    /// Makes ready for these numbers and those that differ from them in the last digits.
    #[cold]
    #[inline(never)]
    fn fit(&mut self, numbers: [u64; 2]) {
        let [offset, lines] = numbers;
        *self.at.position_mut(self.stream) = Position {
            offset,
            lines,
            mid_line: false,
        };
        let text = self.writer.write(&self.at);
        let text = text.as_bytes();
        let behind = text.iter().rposition(|&byte| byte == b'.').unwrap_or(0);
        self.length = behind + 1;
        self.text[..self.length].copy_from_slice(&text[..self.length]);
        // The generation is followed by the numbers of the two logs.
        let width = CursorText::width;
        let before = self.writer.begin().len()
            + match self.stream {
                LogStream::Main => 0,
                LogStream::Stderr => width(self.at.main.offset) + width(self.at.main.lines),
            };
        let ends = [
            before + width(offset),
            before + width(offset) + width(lines),
        ];
        let sum = u32::from_str_radix(&text_of(&text[behind + 1..]), 16).unwrap_or(0);
        self.sum_of_zeros = sum;
        for ((last, number), end) in self.numbers.iter_mut().zip(numbers).zip(ends) {
            *last = LastDigits::of(number, &text[..behind], end);
            self.sum_of_zeros ^= last.put(number, &mut [0; Self::ROOM]);
        }
    }
}

impl LastDigits {
    /// Of a number that ends at `end` in this text.
    fn of(number: u64, text: &[u8], end: usize) -> Self {
        let digits = CursorText::width(number) - 1;
        let first = match digits {
            // 0 has a digit too.
            1 => 0,
            _ => 1 << (4 * (digits - 1)),
        };
        let from = first.max(number & !0xffff);
        let beside = 8 * (LAST - digits.min(LAST)) as u32;
        let mask = u32::MAX.checked_shr(beside).unwrap_or(0);
        let last = text[..end]
            .last_chunk()
            .map_or(0, |&last| u32::from_be_bytes(last));
        let mut effects = Effects::of_last_byte();
        effects.follow(text.len() - end);
        let mut of_digits = [[0; 16]; LAST];
        for of_digit in &mut of_digits[..digits.min(LAST)] {
            *of_digit = effects.0;
            effects.follow(1);
        }
        let most = match digits {
            1..LAST => (1 << (4 * digits)) - 1,
            _ => number | 0xffff,
        };
        Self {
            from,
            count: (most - from).saturating_add(1),
            end,
            mask,
            before: last & !mask,
            effects: of_digits,
        }
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
            steps in proptest::collection::vec([0_u64..3000, 0_u64..3], 0..90),
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
            let mut places = places;
            // And one behind the other, from the last one on.
            for [bytes, lines] in steps {
                let [offset, line] = places.last().copied().unwrap_or_default();
                places.push([offset.saturating_add(bytes), line.saturating_add(lines)]);
            }
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
