//! The logs of one task, read as one: its lines in the order in which they were written, with times.
//!
//! Where standard error has a log of its own the two are put together by the timeline, so their
//! order is right to within 100 ms; each of them is in order in any case.

mod give;
mod grep;
mod span;

pub(crate) use grep::{LONGEST as LONGEST_SEARCHED, Match};

use std::fs::File;
use std::io;
use std::time::SystemTime;

use super::timeline::Timeline;
use super::{Found, Lines, LogSource, LogStream, Position, Unfinished, View, open, total_lines};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::request::StreamChoice;
use crate::store::{Home, TaskDir};
use crate::task::{Generation, TaskId};

/// How lines are to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub view: View,
    pub max_line_bytes: usize,
}

/// One of the logs.
#[derive(Debug)]
struct OpenLog {
    stream: LogStream,
    file: File,
    lines: Lines,
    size: u64,
    /// Lines that end behind it are not wanted.
    to: u64,
    modified: Timestamp,
}

/// The logs of one generation of a task.
#[derive(Debug)]
pub(crate) struct LogReader {
    generation: Generation,
    choice: StreamChoice,
    look: Look,
    logs: Vec<OpenLog>,
    timeline: Timeline,
    /// Lines before and after are passed over.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A line that has been found, of one of the logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    log: usize,
    pub stream: LogStream,
    pub found: Found,
    pub written_at: Timestamp,
    /// Where the last line that could be found would have ended.
    limit: u64,
}

impl Next {
    /// Whether it has no end yet.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.found.ended
    }
}

impl LogReader {
    /// Opens the logs that there are, to be read from their beginning.
    pub(crate) fn open(
        home: &Home,
        dir: &TaskDir,
        id: &TaskId,
        generation: &Generation,
        choice: StreamChoice,
        look: Look,
    ) -> Result<Self> {
        let mut reader = Self {
            generation: generation.clone(),
            choice,
            look,
            logs: Vec::new(),
            timeline: Timeline::load(dir, generation),
            since: None,
            until: None,
        };
        reader.open_missing(home, dir, id)?;
        reader.refresh(home, id)?;
        Ok(reader)
    }

    /// Opens what was not there before.
    pub(crate) fn open_missing(&mut self, home: &Home, dir: &TaskDir, id: &TaskId) -> Result<()> {
        for stream in [LogStream::Main, LogStream::Stderr] {
            let is_wanted = match self.choice {
                StreamChoice::All => true,
                StreamChoice::Stdout => stream == LogStream::Main,
                StreamChoice::Stderr => stream == LogStream::Stderr,
            };
            if !is_wanted || self.logs.iter().any(|log| log.stream == stream) {
                continue;
            }
            if let Some(file) = open(home, dir, id, stream, &self.generation)? {
                let Look {
                    view,
                    max_line_bytes,
                } = self.look;
                self.logs.push(OpenLog {
                    stream,
                    file,
                    lines: Lines::at(Position::default(), view, max_line_bytes),
                    size: 0,
                    to: u64::MAX,
                    modified: Timestamp::now(),
                });
            }
        }
        Ok(())
    }

    /// Looks how long the logs are by now. Everything until the next call is about these lengths.
    pub(crate) fn refresh(&mut self, home: &Home, id: &TaskId) -> Result<()> {
        for log in &mut self.logs {
            let error = |error| home.error("read", &log.stream.public_name(id), error);
            let metadata = log.file.metadata().map_err(error)?;
            log.size = metadata.len();
            log.modified =
                Timestamp::from(metadata.modified().unwrap_or_else(|_| SystemTime::now()));
            if log.size < log.lines.position().offset {
                log.lines.rewind();
            }
        }
        Ok(())
    }

    /// Reads the times again.
    pub(crate) fn refresh_times(&mut self, dir: &TaskDir) {
        self.timeline = Timeline::load(dir, &self.generation);
    }

    /// Whether the streams are apart.
    pub(crate) fn is_separate(&self) -> bool {
        self.logs.iter().any(|log| log.stream == LogStream::Stderr)
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.logs.iter().map(|log| log.size).sum()
    }

    /// How many bytes there are of one of them.
    pub(crate) fn size_of(&self, stream: LogStream) -> u64 {
        let log = self.logs.iter().find(|log| log.stream == stream);
        log.map_or(0, |log| log.size)
    }

    /// Whether there is something behind the reader.
    pub(crate) fn has_unread(&self) -> bool {
        let is_unread = |log: &OpenLog| log.size > log.lines.position().offset;
        self.logs.iter().any(is_unread)
    }

    /// How many lines there are, unfinished ones and freed ones included.
    pub(crate) fn total_lines(&self, dir: &TaskDir) -> io::Result<u64> {
        let total = |log: &OpenLog| total_lines(source(log, dir, &self.generation), log.size);
        self.logs.iter().map(total).sum()
    }

    /// Bytes that have been freed.
    pub(crate) fn freed_bytes(&self, dir: &TaskDir) -> u64 {
        let freed = |log: &OpenLog| source(log, dir, &self.generation).cut().offset;
        self.logs.iter().map(freed).sum()
    }

    /// The same of one of them.
    pub(crate) fn freed_of(&self, stream: LogStream, dir: &TaskDir) -> u64 {
        let log = self.logs.iter().find(|log| log.stream == stream);
        log.map_or(0, |log| source(log, dir, &self.generation).cut().offset)
    }

    /// Where the reader of one log stands, if there is that log.
    pub(crate) fn position(&self, stream: LogStream) -> Option<Position> {
        let log = self.logs.iter().find(|log| log.stream == stream)?;
        Some(log.lines.position())
    }

    /// Goes to a place. One behind the end is of a log that somebody has truncated since: it has
    /// begun anew.
    pub(crate) fn seek(&mut self, stream: LogStream, position: Position) {
        let max_line_bytes = self.look.max_line_bytes;
        for log in self.logs.iter_mut().filter(|log| log.stream == stream) {
            let is_there = position.offset <= log.size;
            let position = if is_there {
                position
            } else {
                Position::default()
            };
            log.lines.seek(position, max_line_bytes);
        }
    }

    /// Bytes behind the reader that have been freed.
    pub(crate) fn freed_ahead(&self, dir: &TaskDir) -> u64 {
        let freed = |log: &OpenLog| {
            let cut = source(log, dir, &self.generation).cut().offset;
            cut.saturating_sub(log.lines.position().offset)
        };
        self.logs.iter().map(freed).sum()
    }

    /// When the line that ends there was written.
    fn written_at(&self, log: usize, end: u64) -> Timestamp {
        let log = &self.logs[log];
        match self.timeline.time_of(log.stream, end) {
            Some(millis) => Timestamp::from_millis(millis),
            None => log.modified,
        }
    }

    /// The next line of all, among those that end at or before the limits.
    pub(crate) fn find(
        &mut self,
        dir: &TaskDir,
        limit: impl Fn(LogStream, u64) -> u64,
        unfinished: Unfinished,
    ) -> io::Result<Option<Next>> {
        let mut next: Option<Next> = None;
        for at in 0..self.logs.len() {
            let log = &self.logs[at];
            let limit = limit(log.stream, log.size).min(log.to);
            let found = loop {
                let log = &mut self.logs[at];
                // Beside `log.lines`, which is changed.
                let source = LogSource {
                    file: &log.file,
                    dir,
                    stream: log.stream,
                    generation: &self.generation,
                };
                let Some(found) = log.lines.find(source, limit, unfinished)? else {
                    break None;
                };
                let written_at = self.written_at(at, found.end);
                let is_early = self.since.is_some_and(|since| written_at < since);
                let is_late = self.until.is_some_and(|until| written_at > until);
                if !is_early && !is_late {
                    break Some((found, written_at));
                }
                self.logs[at].lines.give(&found);
            };
            if let Some((found, written_at)) = found
                && next.is_none_or(|next| written_at < next.written_at)
            {
                let stream = self.logs[at].stream;
                next = Some(Next {
                    log: at,
                    stream,
                    found,
                    written_at,
                    limit,
                });
            }
        }
        Ok(next)
    }

    /// Forgets what has been read ahead.
    pub(crate) fn rest(&mut self) {
        self.logs.iter_mut().for_each(|log| log.lines.rest());
    }
}

fn source<'a>(log: &'a OpenLog, dir: &'a TaskDir, generation: &'a Generation) -> LogSource<'a> {
    LogSource {
        file: &log.file,
        dir,
        stream: log.stream,
        generation,
    }
}
