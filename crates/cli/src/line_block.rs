//! The frames of many lines as JSON text, at the speed at which a log can be read.
//!
//! Nearly all of such a frame is the same as in the one before, so it is put together from parts
//! that are copied whole. Each is copied in steps of a fixed length, which takes a few moves
//! instead of a call; what is copied too much is written over by the next part.
//!
//! The text is serde_json's, byte for byte; a test compares them.

use background_tasks_core::event::LineBlock;
use background_tasks_core::log::CursorSeries;

use wide::u8x16;

use crate::piece::Piece;

/// The length of a step.
const STEP: usize = 64;
/// What a frame takes at most beside its text, and what is copied too much.
const BESIDE_TEXT: usize = 1024;

/// A text that stands in each frame.
#[derive(Debug)]
struct Part {
    bytes: [[u8; STEP]; 2],
    length: usize,
}

impl Part {
    /// The longest holds an id, which has up to 64 characters.
    fn of(text: &str) -> Self {
        let mut bytes = [[0; STEP]; 2];
        bytes.as_flattened_mut()[..text.len()].copy_from_slice(text.as_bytes());
        let length = text.len();
        Self { bytes, length }
    }

    // The compiler, told to make small code, would call it.
    #[inline(always)]
    fn put(&self, room: &mut [u8], at: usize) -> usize {
        let [first, second] = &self.bytes;
        room[at..at + STEP].copy_from_slice(first);
        if self.length > STEP {
            room[at + STEP..at + 2 * STEP].copy_from_slice(second);
        }
        at + self.length
    }
}

/// Writes the frames of a block. `flush` is called when the piece is full.
pub(crate) fn write<E>(
    block: &LineBlock<'_>,
    piece: &mut Piece,
    mut flush: impl FnMut(&mut Piece) -> Result<(), E>,
) -> Result<(), E> {
    // Neither an id nor a cursor holds anything to be escaped.
    let begin = Part::of(&format!(
        "{{\"type\":\"task.log.line\",\"task_id\":\"{}\",\"sequence\":",
        block.task_id()
    ));
    let time = Part::of(&format!(
        ",\"timestamp\":\"{}\",\"data\":{{\"line\":\"",
        block.timestamp()
    ));
    let number_name = Part::of("\",\"number\":");
    let stream = Part::of(&format!(
        ",\"stream\":\"{}\"}},\"cursor\":\"",
        block.stream().as_str()
    ));
    let end = Part::of("\"}\n");
    let mut sequence = Counter::from(block.sequence());
    let mut number = Counter::default();
    let mut cursors = block.cursors();
    for (count, line) in block.lines().enumerate() {
        if count == 0 {
            number = Counter::from(line.number);
        }
        let room = piece.room(BESIDE_TEXT + 6 * line.text.len());
        let mut at = begin.put(room, 0);
        at = sequence.put(room, at);
        at = time.put(room, at);
        at = put_text(line.text.as_bytes(), room, at);
        at = number_name.put(room, at);
        at = number.put(room, at);
        at = stream.put(room, at);
        if let Some(room) = room[at..].first_chunk_mut::<{ CursorSeries::ROOM }>() {
            at += cursors.write(line.end, line.number, room);
        }
        at = end.put(room, at);
        sequence.count();
        number.count();
        if piece.fill(at) {
            flush(piece)?;
        }
    }
    Ok(())
}

/// A number in decimal that is counted up by one.
#[derive(Clone, Debug)]
struct Counter {
    /// The digits end in the middle.
    digits: [u8; 2 * Self::MOST],
    length: usize,
}

impl Default for Counter {
    fn default() -> Self {
        Self::from(0)
    }
}

impl Counter {
    /// Those of the greatest number.
    const MOST: usize = 20;

    fn from(number: u64) -> Self {
        let mut digits = [b'0'; 2 * Self::MOST];
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        digits[Self::MOST - text.len()..Self::MOST].copy_from_slice(text);
        let length = text.len();
        Self { digits, length }
    }

    #[inline(always)]
    fn put(&self, room: &mut [u8], at: usize) -> usize {
        let from = Self::MOST - self.length;
        room[at..at + Self::MOST].copy_from_slice(&self.digits[from..from + Self::MOST]);
        at + self.length
    }

    fn count(&mut self) {
        for (place, digit) in self.digits[..Self::MOST].iter_mut().rev().enumerate() {
            if *digit < b'9' {
                *digit += 1;
                self.length = self.length.max(place + 1);
                return;
            }
            *digit = b'0';
        }
    }
}

/// A text within a JSON string.
fn put_text(text: &[u8], room: &mut [u8], mut at: usize) -> usize {
    let mut rest = text;
    loop {
        let plain = put_plain(rest, &mut room[at..]);
        at += plain;
        let Some((&escaped, behind)) = rest[plain..].split_first() else {
            return at;
        };
        at += put_escape(escaped, &mut room[at..]);
        rest = behind;
    }
}

/// What stands before the first character to be escaped; how long that is.
fn put_plain(text: &[u8], room: &mut [u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<CHUNK>();
    let (room_chunks, _) = room.as_chunks_mut::<CHUNK>();
    for (at, (chunk, room)) in chunks.iter().zip(room_chunks).enumerate() {
        *room = *chunk;
        if let Some(found) = first_escape(chunk) {
            return at * CHUNK + found;
        }
    }
    let done = text.len() - rest.len();
    if let Some(last) = text.last_chunk::<CHUNK>() {
        // Again what is in the last chunk but one: there is nothing to be escaped in there.
        let at = text.len() - CHUNK;
        room[at..at + CHUNK].copy_from_slice(last);
        return first_escape(last).map_or(text.len(), |found| at + found);
    }
    let plain = rest.iter().take_while(|&&byte| !is_escaped(byte)).count();
    room[done..done + plain].copy_from_slice(&rest[..plain]);
    done + plain
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// What is looked at at once.
const CHUNK: usize = 16;

/// Where the first character to be escaped is.
#[inline(always)]
fn first_escape(chunk: &[u8; CHUNK]) -> Option<usize> {
    let bytes = u8x16::from(*chunk);
    let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let is_mark = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
    let found = (is_control | is_mark).to_bitmask();
    (found != 0).then(|| found.trailing_zeros() as usize)
}

fn put_escape(byte: u8, room: &mut [u8]) -> usize {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            room[..4].copy_from_slice(b"\\u00");
            room[4] = hex(byte >> 4);
            room[5] = hex(byte & 15);
            return 6;
        }
    };
    room[..2].copy_from_slice(&[b'\\', short]);
    2
}

#[cfg(test)]
mod tests {
    use background_tasks_core::Timestamp;
    use background_tasks_core::event::StreamName;
    use background_tasks_core::task::{Generation, TaskId};
    use proptest::prelude::*;

    use super::*;

    fn written(block: &LineBlock<'_>) -> String {
        let (mut piece, mut all) = (Piece::default(), Vec::new());
        let written = write(block, &mut piece, |piece| {
            piece.write_full(&mut all)?;
            assert_eq!(all.len() % Piece::FULL, 0);
            Ok::<(), std::io::Error>(())
        });
        written.and_then(|()| piece.write_all(&mut all)).unwrap();
        String::from_utf8(all).unwrap()
    }

    fn expected(block: &LineBlock<'_>) -> String {
        let line = |frame| serde_json::to_string(&frame).unwrap() + "\n";
        block.frames().map(line).collect()
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_serde_json(
            lines in proptest::collection::vec(prop_oneof!["[ -~]{0,90}", any::<String>()], 0..40),
            id in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            is_stderr: bool,
        ) {
            let id = TaskId::parse(&id).unwrap();
            let text: String = lines.iter().map(|line| line.replace('\n', "") + "\n").collect();
            let stream = if is_stderr { StreamName::STDERR } else { StreamName::STDOUT };
            let generation = Generation::generate();
            let block = LineBlock::new(&id, &generation, Timestamp::now(), stream, &text);
            prop_assert_eq!(block.count(), lines.len() as u64);
            prop_assert_eq!(written(&block), expected(&block));
        }
    }

    #[test]
    fn pieces_are_put_together_to_the_same() {
        let id = TaskId::parse("a").unwrap();
        let text: String = (0..2000)
            .map(|n| format!("{}\"{n}\n", "\u{1}".repeat(n % 70)))
            .collect();
        let generation = Generation::generate();
        let block = LineBlock::new(
            &id,
            &generation,
            Timestamp::now(),
            StreamName::STDOUT,
            &text,
        );
        let written = written(&block);
        assert!(written.len() > 4 * Piece::FULL);
        assert_eq!(written, expected(&block));
    }

    #[test]
    fn every_character_that_has_an_escape_is_found_anywhere() {
        for byte in 0..=0x7f_u8 {
            for (length, at) in [0, 7, 15, 16, 17, 31, 32, 36].map(|at| (at + 1, at)) {
                for length in [length, 37, 40] {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let mut room = [0; 1024];
                    let length = put_text(&text, &mut room, 0);
                    let json = serde_json::to_string(std::str::from_utf8(&text).unwrap()).unwrap();
                    assert_eq!(&room[..length], &json.as_bytes()[1..json.len() - 1]);
                }
            }
        }
    }

    #[test]
    fn counting_carries() {
        let mut counter = Counter::from(0);
        for number in 0..1100_u64 {
            let mut room = [0; 64];
            let length = counter.put(&mut room, 0);
            assert_eq!(&room[..length], number.to_string().as_bytes());
            counter.count();
        }
    }
}
