//! Where to begin: at the start, at the last lines, at a time.

use std::io;
use std::ops::Range;

use super::{LogReader, OpenLog, source};
use crate::clock::Timestamp;
use crate::log::{
    LogSource, LogStream, Place, Position, find_tail, last_lines, lines_before, read_at,
    total_lines,
};
use crate::store::TaskDir;

/// The part of a log that is asked for.
pub(super) struct Span {
    /// Where a line begins.
    pub from: Place,
    /// Where a line ends, or the log.
    pub to: u64,
    /// The same for a log that grows: no limit where `to` is its end.
    pub limit: u64,
}

impl LogReader {
    /// The part of a log that lines from `since` to `until` are in: from a line's beginning to a
    /// line's end, or to the end of the log.
    pub(super) fn span(&self, log: &OpenLog, dir: &TaskDir) -> io::Result<Span> {
        let source = source(log, dir, &self.generation);
        let millis = |moment: Option<Timestamp>| moment.map(Timestamp::as_millis);
        let Range { start, end } = self.timeline.offset_range(
            log.stream,
            millis(self.since),
            millis(self.until),
            log.size,
            log.modified.as_millis(),
        );
        let from = if self.since.is_none() {
            source.cut().into()
        } else {
            line_at(source, start.min(log.size))?
        };
        let (to, limit) = if end >= log.size {
            (log.size, u64::MAX)
        } else {
            let end = line_at(source, end)?.offset;
            (end, end)
        };
        let to = to.max(from.offset);
        Ok(Span { from, to, limit })
    }

    /// Goes to the beginning of what `since` asks for.
    pub(crate) fn seek_to_start(&mut self, dir: &TaskDir) -> io::Result<()> {
        for at in 0..self.logs.len() {
            let Span { from, limit, .. } = self.span(&self.logs[at], dir)?;
            self.seek(self.logs[at].stream, from.into());
            self.logs[at].to = limit;
        }
        Ok(())
    }

    /// Goes to the last `count` lines of what `since` and `until` ask for; where that is none,
    /// before an unfinished line, which is then given as a whole.
    pub(crate) fn seek_to_tail(&mut self, dir: &TaskDir, count: usize) -> io::Result<()> {
        if let [log] = self.logs.as_slice() {
            let Span { from, to, limit } = self.span(log, dir)?;
            let source = source(log, dir, &self.generation);
            let there = total_lines(source, to)?.saturating_sub(from.lines);
            let position = if there <= count as u64 {
                from.into()
            } else if count == 0 {
                line_at(source, to)?.into()
            } else {
                let tail = find_tail(source, to, count as u64)?;
                Position {
                    offset: tail.start,
                    lines: from.lines + there - tail.lines,
                    mid_line: false,
                }
            };
            let stream = log.stream;
            self.seek(stream, position);
            self.logs[0].to = limit;
            return Ok(());
        }
        let mut tails = Vec::with_capacity(self.logs.len());
        for log in &self.logs {
            let source = source(log, dir, &self.generation);
            let Span { from, to, limit } = self.span(log, dir)?;
            let mut starts = last_lines(source, to, count)?;
            starts.retain(|&start| start >= from.offset);
            let lines = total_lines(source, to)?;
            let left_out = lines - starts.len() as u64;
            tails.push(Tail {
                starts,
                to,
                limit,
                left_out,
            });
        }
        self.keep_latest(&mut tails, count);
        for (at, tail) in tails.iter().enumerate() {
            let log = &self.logs[at];
            let position = match tail.starts.first() {
                Some(&offset) => Position {
                    offset,
                    lines: tail.left_out,
                    mid_line: false,
                },
                None => line_at(source(log, dir, &self.generation), tail.to)?.into(),
            };
            self.seek(log.stream, position);
            self.logs[at].to = tail.limit;
        }
        Ok(())
    }

    /// Goes to where the logs were so long.
    pub(crate) fn seek_to_lengths(
        &mut self,
        dir: &TaskDir,
        length: impl Fn(LogStream, u64) -> u64,
    ) -> io::Result<()> {
        for at in 0..self.logs.len() {
            let log = &self.logs[at];
            let source = source(log, dir, &self.generation);
            let offset = length(log.stream, log.size).min(log.size);
            let line = line_at(source, offset)?;
            let position = Position {
                offset,
                lines: line.lines,
                mid_line: line.offset < offset,
            };
            self.seek(self.logs[at].stream, position);
        }
        Ok(())
    }

    /// How many lines there are of what `since` and `until` ask for, freed ones left out.
    pub(crate) fn lines_in_span(&self, dir: &TaskDir) -> io::Result<u64> {
        let lines = |log: &OpenLog| -> io::Result<u64> {
            let Span { from, to, .. } = self.span(log, dir)?;
            let total = total_lines(source(log, dir, &self.generation), to)?;
            Ok(total.saturating_sub(from.lines))
        };
        self.logs.iter().map(lines).sum()
    }

    /// Of the last lines of each log, leaves those that are the last `count` of all.
    fn keep_latest(&self, tails: &mut [Tail], count: usize) {
        let mut kept: usize = tails.iter().map(|tail| tail.starts.len()).sum();
        let first_end = |tail: &Tail| {
            let end = tail.starts.get(1).copied().unwrap_or(tail.to);
            (!tail.starts.is_empty()).then_some(end)
        };
        while kept > count {
            let earliest = (0..tails.len())
                .filter_map(|at| Some((self.written_at(at, first_end(&tails[at])?), at)))
                .min();
            let Some((_, at)) = earliest else { return };
            // A shift of at most `count` numbers, and only where there are two logs.
            tails[at].starts.remove(0);
            tails[at].left_out += 1;
            kept -= 1;
        }
    }
}

/// The last lines of one log.
struct Tail {
    starts: Vec<u64>,
    to: u64,
    limit: u64,
    left_out: u64,
}

/// The line that the byte at `offset` belongs to.
pub(super) fn line_at(source: LogSource<'_>, offset: u64) -> io::Result<Place> {
    let lines = lines_before(source, offset)?;
    let mut before = [b'\n'];
    if offset > 0 {
        read_at(source.file, &mut before, offset - 1)?;
    }
    let offset = match before {
        [b'\n'] => offset,
        _ => last_lines(source, offset, 1)?
            .first()
            .copied()
            .unwrap_or(offset),
    };
    Ok(Place { offset, lines })
}
