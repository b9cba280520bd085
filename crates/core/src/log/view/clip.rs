//! Text up to a limit.

use std::fmt::Write;

use super::Shown;

/// Takes text, keeps what fits and counts the rest.
#[derive(Debug)]
pub(super) struct Clip {
    text: String,
    limit: usize,
    /// Bytes that did not fit.
    left_out: u64,
}

impl Clip {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
            left_out: 0,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.left_out = 0;
    }

    pub(super) fn push_str(&mut self, more: &str) {
        let room = self.limit.saturating_sub(self.text.len());
        // Behind the first character that does not fit nothing is taken, even if it would fit.
        let taken = if self.left_out == 0 {
            more.floor_char_boundary(room)
        } else {
            0
        };
        self.text.push_str(&more[..taken]);
        self.leave_out((more.len() - taken) as u64);
    }

    pub(super) fn push(&mut self, character: char) {
        let length = character.len_utf8();
        if self.left_out == 0 && self.text.len() + length <= self.limit {
            self.text.push(character);
        } else {
            self.leave_out(length as u64);
        }
    }

    /// Counts text that is not at hand any more.
    pub(super) fn leave_out(&mut self, bytes: u64) {
        self.left_out = self.left_out.saturating_add(bytes);
    }

    /// What was taken, with a mark if it was not all.
    pub(super) fn shown(&mut self) -> Shown<'_> {
        let clipped = self.left_out > 0;
        if clipped {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "… [{} bytes cut]", self.left_out);
        }
        Shown {
            text: &self.text,
            clipped,
        }
    }
}
