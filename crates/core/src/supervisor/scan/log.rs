//! A log that is searched as it grows.

use std::fs::File;

use super::LONGEST;
use crate::log::{Lines, LogStream, Position, View};

/// One log, and how far it has been searched.
#[derive(Debug)]
pub(super) struct Log {
    pub stream: LogStream,
    pub file: File,
    pub lines: Lines,
    /// How far it has been read.
    pub reached: u64,
    /// Watches are told of lines that begin here or later.
    pub watched_from: u64,
    /// Not searched, since the last event told so.
    pub skipped: u64,
}

pub(super) fn lines_from(offset: u64, mid_line: bool) -> Lines {
    let position = Position {
        offset,
        lines: 0,
        mid_line,
    };
    Lines::at(position, View::Clean, LONGEST)
}

impl Log {
    pub fn length(&self) -> u64 {
        let metadata = self.file.metadata();
        metadata.map_or(self.reached, |metadata| metadata.len())
    }

    /// If the end is further away than that, skips all but so much.
    pub fn approach(&mut self, length: u64, farthest: u64, kept: u64) {
        if length < self.reached {
            // Somebody has truncated it.
            self.lines.rewind();
            (self.reached, self.watched_from) = (0, 0);
        }
        if length - self.reached > farthest {
            let to = length - kept;
            self.skipped += to - self.reached;
            self.lines = lines_from(to, true);
            self.reached = to;
        }
    }
}
