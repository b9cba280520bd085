//! The frames of many lines as JSON text, at the speed at which a log can be read.
//!
//! Nearly all of such a frame is the same as in the one before, so it is put together from parts
//! that are copied whole. Each is copied in steps of a fixed length, which takes a few moves
//! instead of a call; what is copied too much is written over by the next part.
//!
//! The text is serde_json's, byte for byte; a test compares them.

use std::ops::Range;

use background_tasks_core::event::LineBlock;
use background_tasks_core::log::CursorSeries;

use wide::u8x16;

use crate::piece::Piece;

/// The length of a step.
const STEP: usize = 64;
/// What a frame takes at most beside its text, and what is copied too much.
const BESIDE_TEXT: usize = 1024;

/// What stands in each frame, with a number in it that counts up.
#[derive(Debug)]
struct Part {
    before: String,
    behind: String,
    number: u64,
    bytes: [[u8; STEP]; 4],
    length: usize,
    /// The eight characters up to the number's end, the last one in the lowest byte: all that
    /// changes from frame to frame, nearly always.
    changing: u64,
    end: usize,
}

/// How many of the characters change.
const CHANGING: usize = size_of::<u64>();

impl Part {
    /// What stands before the number is at least as long as what changes.
    fn of(before: String, number: u64, behind: String) -> Self {
        let mut part = Self {
            before,
            behind,
            number,
            bytes: [[0; STEP]; 4],
            length: 0,
            changing: 0,
            end: 0,
        };
        part.fit();
        part
    }

    /// Makes the text for this number.
    #[cold]
    #[inline(never)]
    fn fit(&mut self) {
        let mut buffer = itoa::Buffer::new();
        let parts = [&self.before, buffer.format(self.number), &self.behind];
        let text = parts.concat();
        self.length = text.len();
        self.end = self.length - self.behind.len();
        // The longest holds an id, which has up to 64 characters.
        self.bytes.as_flattened_mut()[..self.length].copy_from_slice(text.as_bytes());
        let changing = text.as_bytes()[..self.end].last_chunk();
        self.changing = changing.map_or(0, |last| u64::from_be_bytes(*last));
    }

    // The compiler, told to make small code, would call it.
    #[inline(always)]
    fn put(&self, room: &mut [u8], at: usize) -> usize {
        let room = &mut room[at..at + self.bytes.as_flattened().len()];
        let (steps, _) = room.as_chunks_mut::<STEP>();
        let [first, second, third, fourth] = steps else {
            return at;
        };
        *first = self.bytes[0];
        if self.length > STEP {
            *second = self.bytes[1];
        }
        if self.length > 2 * STEP {
            *third = self.bytes[2];
            *fourth = self.bytes[3];
        }
        room[self.end - CHANGING..self.end].copy_from_slice(&self.changing.to_be_bytes());
        at + self.length
    }

    #[inline(always)]
    fn count(&mut self) {
        self.number += 1;
        self.changing += 1;
        if self.changing as u8 > b'9' {
            self.carry();
        }
    }

    #[inline(never)]
    fn carry(&mut self) {
        let mut digits = self.changing.to_be_bytes();
        for at in (1..CHANGING).rev() {
            if digits[at] <= b'9' {
                self.changing = u64::from_be_bytes(digits);
                return;
            }
            digits[at] = b'0';
            if !digits[at - 1].is_ascii_digit() {
                break;
            }
            digits[at - 1] += 1;
        }
        // It has one digit more, or more of them change than are kept at hand.
        self.fit();
    }
}

/// Writes the frames of a block. `flush` is called when the piece is full.
pub(crate) fn write<E>(
    block: &LineBlock<'_>,
    piece: &mut Piece,
    mut flush: impl FnMut(&mut Piece) -> Result<(), E>,
) -> Result<(), E> {
    let Some(first) = block.lines().next() else {
        return Ok(());
    };
    // Neither an id nor a cursor holds anything to be escaped.
    let mut begin = Part::of(
        format!(
            "{{\"type\":\"task.log.line\",\"task_id\":\"{}\",\"sequence\":",
            block.task_id()
        ),
        block.sequence(),
        format!(
            ",\"timestamp\":\"{}\",\"data\":{{\"line\":\"",
            block.timestamp()
        ),
    );
    let mut middle = Part::of(
        "\",\"number\":".to_owned(),
        first.number,
        format!(
            ",\"stream\":\"{}\"}},\"cursor\":\"",
            block.stream().as_str()
        ),
    );
    let mut cursors = block.cursors();
    let text = block.text().as_bytes();
    for line in block.lines() {
        let room = piece.room(BESIDE_TEXT + 6 * line.place.len());
        let mut at = begin.put(room, 0);
        at = put_text(text, line.place, room, at);
        at = middle.put(room, at);
        if let Some(room) = room[at..].first_chunk_mut::<{ CursorSeries::ROOM }>() {
            at += cursors.write(line.end, line.number, room);
        }
        room[at..at + END.len()].copy_from_slice(&END);
        at += END.len();
        begin.count();
        middle.count();
        if piece.fill(at) {
            flush(piece)?;
        }
    }
    Ok(())
}

/// What every frame ends with.
const END: [u8; 3] = *b"\"}\n";

/// A part of a text within a JSON string.
#[inline(always)]
fn put_text(text: &[u8], place: Range<usize>, room: &mut [u8], mut at: usize) -> usize {
    let mut from = place.start;
    while from < place.end {
        let left = place.end - from;
        // What comes behind the line is copied too, and written over.
        let Some(step) = text[from..].first_chunk::<STEP>() else {
            return put_rest(&text[from..place.end], room, at);
        };
        room[at..at + STEP].copy_from_slice(step);
        let within = u64::MAX >> (STEP - left.min(STEP));
        let escapes = escapes_in(step) & within;
        if escapes != 0 {
            at = put_escapes(step, left.min(STEP), escapes, room, at);
        } else {
            at += left.min(STEP);
        }
        from += left.min(STEP);
    }
    at
}

/// What stands at the very end of a text.
#[inline(never)]
fn put_rest(rest: &[u8], room: &mut [u8], at: usize) -> usize {
    let mut step = [b' '; STEP];
    step[..rest.len()].copy_from_slice(rest);
    put_escapes(&step, rest.len(), escapes_in(&step), room, at)
}

/// A step of which some is escaped; what stands before the first of it may be in the room by now.
#[inline(never)]
fn put_escapes(
    step: &[u8; STEP],
    length: usize,
    mut escapes: u64,
    room: &mut [u8],
    mut at: usize,
) -> usize {
    // So that as much can be copied from anywhere in it.
    let mut twice = [0; 2 * STEP];
    twice[..STEP].copy_from_slice(step);
    let mut from = 0;
    while from < length {
        let to = (escapes.trailing_zeros() as usize).min(length);
        let plain = twice[from..].first_chunk::<STEP>().unwrap_or(step);
        room[at..at + STEP].copy_from_slice(plain);
        at += to - from;
        from = to;
        if from < length {
            at += put_escape(step[from], &mut room[at..]);
            from += 1;
            escapes &= escapes - 1;
        }
    }
    at
}

/// A bit for each character to be escaped.
#[inline(always)]
fn escapes_in(step: &[u8; STEP]) -> u64 {
    let (quarters, _) = step.as_chunks::<16>();
    let [a, b, c, d] = quarters else { return 0 };
    let bits = |quarter: &[u8; 16]| {
        let bytes = u8x16::from(*quarter);
        let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let is_mark = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
        u64::from((is_control | is_mark).to_bitmask())
    };
    bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
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
                    let length = put_text(&text, 0..text.len(), &mut room, 0);
                    let json = serde_json::to_string(std::str::from_utf8(&text).unwrap()).unwrap();
                    assert_eq!(&room[..length], &json.as_bytes()[1..json.len() - 1]);
                }
            }
        }
    }

    #[test]
    fn counting_carries() {
        for first in [
            0,
            5,
            98,
            9_999_990,
            99_999_990,
            1_099_999_995,
            u64::MAX - 1101,
        ] {
            let mut part = Part::of("{\"number\":".to_owned(), first, "}".to_owned());
            for number in first..first + 1100 {
                let mut room = [0; 512];
                let length = part.put(&mut room, 0);
                let written = std::str::from_utf8(&room[..length]);
                assert_eq!(written, Ok(format!("{{\"number\":{number}}}").as_str()));
                part.count();
            }
        }
    }
}
