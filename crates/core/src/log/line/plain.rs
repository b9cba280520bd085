//! Many lines at once, where nothing has to be done for each of them.

use super::Lines;
use crate::log::{Position, SMALL};

/// How much is given at once: what fits the processor's nearest cache.
const PLAIN: usize = 32 << 10;
/// Fewer are given one by one.
const FEW: usize = 8;

/// Lines of a log, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainLines<'a> {
    /// Where the reader stood.
    pub before: Position,
    /// Each of them with its `\n`.
    pub text: &'a str,
    /// Where each of them ends in `text`.
    pub ends: &'a [u32],
}

impl PlainLines<'_> {
    /// Where the reader stands now.
    pub(crate) fn behind(&self) -> Position {
        Position {
            offset: self.before.offset + self.text.len() as u64,
            lines: self.before.lines + self.ends.len() as u64,
            mid_line: false,
        }
    }
}

impl Lines {
    /// The lines that are in memory, end at or before `limit` and are shown just as they are stored:
    /// at most `most` from the next one on. They are behind the reader then. `None` where they are
    /// too few to be worth it.
    pub(crate) fn give_plain(&mut self, limit: u64, most: usize) -> Option<PlainLines<'_>> {
        let before = self.position;
        let allowed = usize::try_from(limit.saturating_sub(before.offset)).unwrap_or(usize::MAX);
        let within = allowed.min(self.to - self.from).min(PLAIN);
        self.is_long |= within > SMALL;
        if !self.is_long || self.fed > 0 || before.mid_line {
            return None;
        }
        let block = &self.buffer[self.from..self.from + within];
        let text = self.renderer.plain_lines(block, most, &mut self.ends);
        if self.ends.len() < FEW {
            return None;
        }
        self.from += text.len();
        self.searched = 0;
        let lines = PlainLines {
            before,
            text,
            ends: &self.ends,
        };
        self.position = lines.behind();
        Some(lines)
    }
}
