//! A log line by line, from any place on, also while it grows and while its oldest bytes are freed.

use std::io;

use super::block::{Blocks, Step};
use super::cursor::Position;
use super::{LogSource, Place, Renderer, Shown, View, find_newline, settled_length};

/// How much is read at once, and how much of one line is in memory at most.
const BLOCK: usize = 128 << 10;
/// For a log that is read on a little at a time.
const FIRST_BLOCK: usize = 16 << 10;

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
            let has_more = within == unread && allowed > unread && self.read_on(source)?;
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
            (self.buffer, self.from, self.to) = (Vec::new(), 0, 0);
        }
    }

    /// The log is shorter than what has been read: somebody has truncated it, and it begins anew.
    pub(crate) fn rewind(&mut self) {
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

    /// Reads more behind what is there; `false` at the end.
    fn read_on(&mut self, source: LogSource<'_>) -> io::Result<bool> {
        self.make_room();
        let at = self.position.offset + self.fed + self.to as u64;
        let from = Place {
            offset: at,
            lines: self.position.lines,
        };
        let (mut blocks, begin) = Blocks::new(source, from, u64::MAX);
        if begin.offset > at {
            return self.skip_to(begin);
        }
        let room = if self.buffer.is_empty() {
            FIRST_BLOCK
        } else {
            BLOCK
        };
        self.buffer.resize(room, 0);
        match blocks.read(&mut self.buffer[self.to..])? {
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
