//! A log line by line, from any place on, also while it grows and while its oldest bytes are freed.

mod plain;

pub(crate) use plain::PlainLines;

use std::io;

use super::block::{Blocks, CutFile, Step};
use super::cursor::Position;
use super::{LogSource, Place, Renderer, Shown, View, find_newline, settled_length};

/// How much is read at once, and how much of one line is in memory at most.
const BLOCK: usize = 128 << 10;
/// For a log that is read on a little at a time. A reader that rests keeps it: a page costs less
/// than to map it anew for each line.
const FIRST_BLOCK: usize = 4 << 10;

/// What is done with the line at the end that has no end yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It is left for later.
    Wait,
    /// What can be told apart from what follows is given.
    GiveSettled,
    /// All of it is given: nothing will follow.
    GiveAll,
}

/// A line that has been found and not been given yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Counts from 1.
    pub number: u64,
    /// Offset of its first byte, or of the first that has not been given.
    pub start: u64,
    /// Offset behind it and its end.
    pub end: u64,
    /// Whether its end is there.
    pub ended: bool,
    /// Whether its beginning has been given before.
    pub continues: bool,
}

/// Reads a log on from a place. Memory is bounded, however long a line is.
#[derive(Debug)]
pub(crate) struct Lines {
    renderer: Renderer,
    view: View,
    position: Position,
    /// Bytes of the line at `position` that the renderer has, when the line is longer than memory.
    fed: u64,
    /// Room for what has been read behind that; cleared once, not for each block.
    buffer: Vec<u8>,
    /// Where in `buffer` the unread part begins.
    from: usize,
    /// Where it ends.
    to: usize,
    /// How much of the unread part holds no line end.
    searched: usize,
    /// Bytes that had been freed before they could be read, since it was last asked.
    lost: u64,
    /// The record of the cut as it was when this was last read on.
    cut_file: Option<CutFile>,
    /// Whether there was so much to read that it is given by the block.
    is_long: bool,
    /// Room for the ends of lines.
    ends: Vec<u32>,
}

impl Lines {
    /// Begins at a place.
    pub(crate) fn at(position: Position, view: View, max_line_bytes: usize) -> Self {
        Self {
            renderer: Renderer::new(view, max_line_bytes),
            view,
            position,
            fed: 0,
            buffer: Vec::new(),
            from: 0,
            to: 0,
            searched: 0,
            lost: 0,
            cut_file: None,
            is_long: false,
            ends: Vec::new(),
        }
    }

    /// Where the reader stands: behind the last line that was given.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Bytes that had been freed before they could be read, since this was last asked.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Whether there are any.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Begins at a place instead; what was lost is still to be asked for.
    pub(crate) fn seek(&mut self, position: Position, max_line_bytes: usize) {
        let lost = self.lost;
        *self = Self::at(position, self.view, max_line_bytes);
        self.lost = lost;
    }

    /// The next line, if it ends at or before `limit`; it is given by [`Lines::give`].
    pub(crate) fn find(
        &mut self,
        source: LogSource<'_>,
        limit: u64,
        unfinished: Unfinished,
    ) -> io::Result<Option<Found>> {
        loop {
            let unread = self.to - self.from;
            let at = self.position.offset + self.fed;
            let allowed = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX);
            let within = allowed.min(unread);
            let searched = self.searched.min(within);
            let news = &self.buffer[self.from + searched..self.from + within];
            if let Some(length) = find_newline(news) {
                self.searched = searched + length;
                return Ok(Some(self.found(at + self.searched as u64 + 1, true)));
            }
            self.searched = within;
            let has_more = within == unread && allowed > unread && self.read_on(source, limit)?;
            if !has_more {
                return Ok(self.unfinished(within, unfinished));
            }
        }
    }

    fn found(&self, end: u64, ended: bool) -> Found {
        Found {
            number: self.position.lines + 1,
            start: self.position.offset,
            end,
            ended,
            continues: self.position.mid_line,
        }
    }

    fn unfinished(&self, within: usize, unfinished: Unfinished) -> Option<Found> {
        let length = match unfinished {
            Unfinished::Wait => return None,
            Unfinished::GiveAll => within,
            Unfinished::GiveSettled => {
                settled_length(self.view, &self.buffer[self.from..self.from + within])
            }
        };
        let end = self.position.offset + self.fed + length as u64;
        (end > self.position.offset).then(|| self.found(end, false))
    }

    /// The text of a line that was just found; it is behind the reader then.
    pub(crate) fn give(&mut self, found: &Found) -> Shown<'_> {
        let behind = self.position.offset + self.fed;
        let length = usize::try_from(found.end - behind).unwrap_or(0);
        let line = self.from..self.from + length - usize::from(found.ended);
        let fed = self.fed;
        self.from += length;
        self.searched = 0;
        self.fed = 0;
        self.position = Position {
            offset: found.end,
            lines: self.position.lines + u64::from(found.ended),
            mid_line: !found.ended,
        };
        let line = &self.buffer[line];
        if fed == 0 {
            return self.renderer.whole(line, found.ended);
        }
        self.renderer.feed(line);
        self.renderer.finish(found.ended)
    }

    /// Forgets what has been read ahead, for a reader that will rest for a while.
    pub(crate) fn rest(&mut self) {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            if self.buffer.len() > FIRST_BLOCK {
                self.buffer = Vec::new();
            }
        }
    }

    /// The log is shorter than what has been read: somebody has truncated it, and it begins anew.
    pub(crate) fn rewind(&mut self) {
        self.cut_file = None;
        self.jump(Place {
            offset: 0,
            lines: 0,
        });
    }

    fn jump(&mut self, to: Place) {
        self.position = to.into();
        self.fed = 0;
        (self.from, self.to) = (0, 0);
        self.searched = 0;
    }

    /// Reads more behind what is there, up to `limit`; `false` at the end.
    fn read_on(&mut self, source: LogSource<'_>, limit: u64) -> io::Result<bool> {
        self.make_room();
        let at = self.position.offset + self.fed + self.to as u64;
        let mut blocks = match self.cut_file.take() {
            Some(seen) => Blocks::resume(source, seen, at, limit),
            None => {
                let from = Place {
                    offset: at,
                    lines: self.position.lines,
                };
                let (blocks, begin) = Blocks::new(source, from, limit);
                if begin.offset > at {
                    return self.skip_to(begin);
                }
                blocks
            }
        };
        let is_little = self.to as u64 + (limit - at) <= FIRST_BLOCK as u64;
        let room = if is_little { FIRST_BLOCK } else { BLOCK };
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let step = blocks.read(&mut self.buffer[self.to..])?;
        self.cut_file = Some(blocks.seen());
        match step {
            Step::Read(n) => {
                self.to += n;
                Ok(n > 0)
            }
            Step::Freed(begin) => self.skip_to(begin),
        }
    }

    fn skip_to(&mut self, begin: Place) -> io::Result<bool> {
        self.lost += begin.offset - self.position.offset;
        self.jump(begin);
        Ok(true)
    }

    /// Moves the unread part to the front; where that fills the buffer, the line is longer than
    /// memory and what is settled of it goes to the renderer.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.to < BLOCK {
            return;
        }
        if self.fed == 0 {
            self.renderer.begin();
        }
        let settled = settled_length(self.view, &self.buffer[..self.to]);
        self.renderer.feed(&self.buffer[..settled]);
        self.buffer.copy_within(settled..self.to, 0);
        self.to -= settled;
        self.fed += settled as u64;
        self.searched = self.searched.saturating_sub(settled);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::sample::SampleLog;
    use super::*;

    /// Reads all that can be given now; what the lines were, and their text put together again.
    fn read_on(
        lines: &mut Lines,
        log: &SampleLog,
        unfinished: Unfinished,
        text: &mut String,
        all: &mut Vec<Found>,
    ) {
        while let Some(found) = lines.find(log.source(), log.size(), unfinished).unwrap() {
            // Looking twice finds the same.
            let again = lines.find(log.source(), log.size(), unfinished).unwrap();
            assert_eq!(again, Some(found));
            text.push_str(lines.give(&found).text);
            if found.ended {
                text.push('\n');
            }
            all.push(found);
        }
    }

    /// Reads a log that grows from piece to piece.
    fn read_growing(pieces: &[Vec<u8>], view: View) -> (String, Vec<Found>) {
        let mut log = SampleLog::holding(b"");
        let mut lines = Lines::at(Position::default(), view, usize::MAX >> 1);
        let (mut text, mut all) = (String::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            log.file.write_all(piece).unwrap();
            let unfinished = [Unfinished::Wait, Unfinished::GiveSettled][at % 2];
            read_on(&mut lines, &log, unfinished, &mut text, &mut all);
            if at % 3 == 0 {
                // A reader that comes back with a cursor.
                lines = Lines::at(lines.position(), view, usize::MAX >> 1);
            }
        }
        read_on(&mut lines, &log, Unfinished::GiveAll, &mut text, &mut all);
        assert_eq!(lines.position().offset, log.size());
        (text, all)
    }

    fn check_order(all: &[Found], bytes: &[u8]) {
        let (mut offset, mut number, mut mid_line) = (0, 1, false);
        for found in all {
            assert_eq!(found.start, offset);
            assert_eq!((found.number, found.continues), (number, mid_line));
            let end = usize::try_from(found.end).unwrap();
            let line = &bytes[usize::try_from(found.start).unwrap()..end];
            assert_eq!(found.ended, line.ends_with(b"\n"));
            assert!(!line[..line.len() - usize::from(found.ended)].contains(&b'\n'));
            offset = found.end;
            number += u64::from(found.ended);
            mid_line = !found.ended;
        }
        assert_eq!(offset, bytes.len() as u64);
    }

    fn text_pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let piece = prop_oneof![
            4 => "[a-zé\u{20ac}\u{1f600}\r\n ]{0,40}".prop_map(String::into_bytes),
            1 => Just(b"\n".to_vec()),
            1 => Just(vec![b'x'; BLOCK + 10]),
            1 => Just("é".repeat(BLOCK).into_bytes()),
        ];
        (proptest::collection::vec(piece, 0..12), any::<u8>()).prop_map(|(pieces, shift)| {
            // Cut anywhere, also within a character.
            let whole = pieces.concat();
            let mut cuts: Vec<usize> = pieces.iter().map(Vec::len).collect();
            let mut rest = whole.as_slice();
            let mut cut = Vec::new();
            for length in &mut cuts {
                let (piece, behind) =
                    rest.split_at((*length + usize::from(shift) % 5).min(rest.len()));
                cut.push(piece.to_vec());
                rest = behind;
            }
            cut.push(rest.to_vec());
            cut
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_read_piece_by_piece_is_the_file(pieces in text_pieces()) {
            let bytes = pieces.concat();
            let (text, all) = read_growing(&pieces, View::Raw);
            check_order(&all, &bytes);
            prop_assert!(text.as_bytes() == bytes);
        }

        #[test]
        fn any_bytes_are_read_once_and_in_order(
            pieces in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![1 => Just(b'\n'), 1 => Just(0x1b), 1 => Just(0xc3), 6 => any::<u8>()],
                0..300), 0..12),
        ) {
            let bytes = pieces.concat();
            for view in [View::Clean, View::Raw] {
                let (_, all) = read_growing(&pieces, view);
                check_order(&all, &bytes);
            }
        }

        #[test]
        fn lines_before_a_cut_are_passed_over_and_counted(
            count in 1_usize..60, freed in 0_usize..60, at in 0_usize..60,
        ) {
            let freed = freed.min(count);
            let bytes: Vec<u8> = (1..=count).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
            let log = SampleLog::holding(&bytes);
            let starts: Vec<u64> = std::iter::once(0)
                .chain((0..bytes.len()).filter(|&at| bytes[at] == b'\n').map(|at| at as u64 + 1))
                .collect();
            let at = at.min(count);
            let position = Position { offset: starts[at], lines: at as u64, mid_line: false };
            let mut lines = Lines::at(position, View::Clean, 100);
            log.free_lines(&bytes, freed);
            let (mut text, mut all) = (String::new(), Vec::new());
            read_on(&mut lines, &log, Unfinished::GiveAll, &mut text, &mut all);
            let expected: String = (at.max(freed) + 1..=count).map(|n| format!("line {n}\n")).collect();
            prop_assert_eq!(text, expected);
            prop_assert!(all.first().is_none_or(|first| first.number == at.max(freed) as u64 + 1));
            let lost = starts[at.max(freed)] - starts[at];
            prop_assert!(lines.take_lost() == lost || at.max(freed) == count);
        }
    }

    #[test]
    fn a_long_line_takes_little_memory_and_is_cut() {
        let mut bytes = vec![b'x'; 5 << 20];
        bytes.extend(b"\r\nshort\n");
        let log = SampleLog::holding(&bytes);
        let mut lines = Lines::at(Position::default(), View::Clean, 10);
        let found = lines.find(log.source(), log.size(), Unfinished::Wait);
        let found = found.unwrap().unwrap();
        assert!(lines.buffer.capacity() <= 2 * BLOCK);
        let shown = lines.give(&found);
        assert_eq!(
            shown.text,
            format!("xxxxxxxxxx… [{} bytes cut]", (5 << 20) - 10)
        );
        assert!(shown.clipped);
        let found = lines.find(log.source(), log.size(), Unfinished::Wait);
        let found = found.unwrap().unwrap();
        assert_eq!((found.number, lines.give(&found).text), (2, "short"));
    }

    #[test]
    fn a_log_that_was_truncated_is_read_anew() {
        let mut log = SampleLog::holding(b"one\ntwo\n");
        let mut lines = Lines::at(Position::default(), View::Clean, 100);
        let (mut text, mut all) = (String::new(), Vec::new());
        read_on(&mut lines, &log, Unfinished::Wait, &mut text, &mut all);
        log.file.set_len(0).unwrap();
        lines.rewind();
        log.file.write_all(b"three\n").unwrap();
        read_on(&mut lines, &log, Unfinished::Wait, &mut text, &mut all);
        assert_eq!(text, "one\ntwo\nthree\n");
        assert_eq!(all.last().unwrap().number, 1);
    }
}
