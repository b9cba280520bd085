//! Putting a view of a log together: which lines, how many of them, and where it ends.

use std::collections::VecDeque;
use std::io;

use crate::event::{StreamName, read_journal};
use crate::log::{Cursor, LogReader, LogStream, Next, Pattern, Unfinished};
use crate::request::{DetailedLine, LogMatch, Logs};
use crate::store::TaskDir;
use crate::task::Generation;

/// A view being put together.
pub(super) struct Viewing<'a> {
    dir: &'a TaskDir,
    reader: LogReader,
    request: &'a Logs,
    unfinished: Unfinished,
    /// Bytes of text that may still be shown.
    budget: usize,
    shown: Shown,
    /// Where the view ends in each log, where that is not where the reader stands.
    behind: Option<[Option<crate::log::Position>; 2]>,
}

/// What is shown.
#[derive(Default)]
pub(super) struct Shown {
    pub lines: Vec<DetailedLine>,
    pub clipped: usize,
    pub has_more: bool,
    pub omitted: Option<u64>,
    pub matches: Option<Vec<LogMatch>>,
    pub first_continues: bool,
    pub last_is_partial: bool,
}

/// A line, and whether it was cut.
struct Taken {
    line: DetailedLine,
    clipped: bool,
    continues: bool,
    partial: bool,
}

const STREAMS: [LogStream; 2] = [LogStream::Main, LogStream::Stderr];

impl<'a> Viewing<'a> {
    pub(super) fn new(dir: &'a TaskDir, reader: LogReader, request: &'a Logs, ended: bool) -> Self {
        Self {
            dir,
            reader,
            request,
            // What a running task may still go on with is given as far as it can be told apart.
            unfinished: if ended {
                Unfinished::GiveAll
            } else {
                Unfinished::GiveSettled
            },
            budget: request.max_bytes.unwrap_or(Logs::DEFAULT_MAX_BYTES),
            shown: Shown::default(),
            behind: None,
        }
    }

    /// Looks at what is asked for. With a cursor: the bytes behind it that are gone.
    pub(super) fn look(
        &mut self,
        given: Option<&Cursor>,
        pattern: Option<&Pattern>,
    ) -> io::Result<Option<u64>> {
        if let Some(cursor) = given {
            for stream in STREAMS {
                self.reader.seek(stream, cursor.position(stream));
            }
        }
        let lines = self.request.lines.unwrap_or(Logs::DEFAULT_LINES);
        let freed = self.reader.freed_ahead(self.dir);
        match (pattern, given) {
            (Some(pattern), _) => self.search(pattern)?,
            (None, Some(_)) => self.take_next(lines)?,
            (None, None) => self.take_both_ends(self.request.head, lines)?,
        }
        let mut lost = 0;
        while let Some((_, bytes)) = self.reader.take_lost() {
            lost += bytes;
        }
        // A search passes over what is gone without a word.
        let lost = if pattern.is_some() { freed } else { lost };
        Ok(given.map(|_| lost))
    }

    /// What is shown, and a cursor behind it.
    pub(super) fn finish(self, generation: Generation, given: Option<Cursor>) -> (Shown, Cursor) {
        let is_first = given.is_none();
        let mut cursor = given.unwrap_or_else(|| Cursor::start_of(generation));
        for (at, stream) in STREAMS.into_iter().enumerate() {
            let behind = match self.behind {
                Some(behind) => behind[at],
                None => self.reader.position(stream),
            };
            if let Some(position) = behind {
                *cursor.position_mut(stream) = position;
            }
        }
        if is_first {
            // What happened before the end of this view is behind whoever goes on from there.
            let entries = read_journal(self.dir);
            let is_behind = |entry: &&crate::event::JournalEntry| {
                entry.generation == cursor.generation && entry.log_offset < cursor.main.offset
            };
            let numbers = entries.iter().filter(is_behind).map(|entry| entry.number);
            cursor.journal = numbers.max().unwrap_or(0);
        }
        (self.shown, cursor)
    }

    fn find(&mut self) -> io::Result<Option<Next>> {
        let unfinished = self.unfinished;
        self.reader.find(self.dir, |_, size| size, unfinished)
    }

    fn give(&mut self, next: &Next) -> Taken {
        let text = self.reader.give(next);
        Taken {
            clipped: text.clipped,
            continues: next.found.continues,
            partial: !next.found.ended,
            line: DetailedLine {
                number: next.found.number,
                timestamp: next.written_at,
                stream: StreamName(next.stream),
                line: text.text.to_owned(),
            },
        }
    }

    fn show(&mut self, taken: Taken) {
        if self.shown.lines.is_empty() {
            self.shown.first_continues = taken.continues;
        }
        self.shown.clipped += usize::from(taken.clipped);
        self.shown.last_is_partial = taken.partial;
        self.shown.lines.push(taken.line);
    }

    /// The next lines, as many as fit; at least one.
    fn take_next(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let Some(next) = self.find()? else {
                return Ok(());
            };
            let before = self.reader.position(next.stream);
            let taken = self.give(&next);
            let size = taken.line.line.len();
            if size > self.budget && !self.shown.lines.is_empty() {
                // Not taken after all: the cursor stands before it.
                if let Some(before) = before {
                    self.reader.seek(next.stream, before);
                }
                self.shown.has_more = true;
                return Ok(());
            }
            self.budget = self.budget.saturating_sub(size);
            self.show(taken);
        }
        self.shown.has_more = self.find()?.is_some();
        Ok(())
    }

    /// Lines from the start and lines from the end, both of what `since` and `until` ask for.
    fn take_both_ends(&mut self, head: Option<usize>, tail: usize) -> io::Result<()> {
        let there = self.reader.lines_in_span(self.dir)?;
        if let Some(head) = head {
            self.reader.seek_to_start(self.dir)?;
            self.take_next(head)?;
        }
        let left = there.saturating_sub(self.shown.lines.len() as u64);
        self.shown.omitted = head.map(|_| left);
        if left == 0 {
            self.shown.has_more = false;
            return Ok(());
        }
        // Where not even the lines from the start fit, none from the end follow: nobody could tell
        // where the gap is.
        let tail = if head.is_some_and(|head| self.shown.lines.len() < head) {
            0
        } else {
            tail
        };
        // Empty lines cost nothing of the budget, but there is an end to them, too.
        let most = self.request.max_bytes.unwrap_or(Logs::DEFAULT_MAX_BYTES);
        let count = tail
            .min(most)
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        self.reader.seek_to_tail(self.dir, count)?;
        self.take_last(count)?;
        let shown = self.shown.lines.len() as u64;
        self.shown.has_more = there > shown;
        self.shown.omitted = head.map(|_| there.saturating_sub(shown));
        Ok(())
    }

    /// The last of the lines up to the end that fit; at least one.
    fn take_last(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut last = VecDeque::new();
        let mut size = 0;
        let is_first = self.shown.lines.is_empty();
        while let Some(next) = self.find()? {
            let taken = self.give(&next);
            size += taken.line.line.len();
            last.push_back(taken);
            // A log that grows meanwhile gives more than it was asked for.
            while last.len() > 1 && (size > self.budget || last.len() > count) {
                size -= last.pop_front().map_or(0, |first| first.line.line.len());
            }
        }
        if !is_first && size > self.budget {
            return Ok(());
        }
        last.into_iter().for_each(|taken| self.show(taken));
        Ok(())
    }

    /// The first matches that fit; at least one.
    fn search(&mut self, pattern: &Pattern) -> io::Result<()> {
        let most = self
            .request
            .max_matches
            .unwrap_or(Logs::DEFAULT_MAX_MATCHES);
        let found = self.reader.search(self.dir, pattern, most)?;
        let mut behind = STREAMS.map(|stream| self.reader.position(stream));
        self.shown.has_more = found.more;
        let mut matches = Vec::new();
        let context = self.request.context;
        for (at, one) in found.found.iter().enumerate() {
            let shown = self
                .reader
                .show_match(self.dir, one, context.unwrap_or(0))?;
            let around = shown.before.iter().chain(&shown.after);
            let size = shown.line.len() + around.map(String::len).sum::<usize>();
            if size > self.budget && !matches.is_empty() {
                self.shown.has_more = true;
                self.stand_before(&found.found[at..], &mut behind);
                break;
            }
            self.budget = self.budget.saturating_sub(size);
            self.shown.clipped += shown.clipped;
            self.shown.last_is_partial = one.hit.partial;
            matches.push(LogMatch {
                number: one.hit.number,
                timestamp: self.request.timestamps.then_some(one.written_at),
                stream: (self.reader.is_separate() || self.request.timestamps)
                    .then_some(StreamName(one.stream)),
                line: shown.line,
                before: context.map(|_| shown.before),
                after: context.map(|_| shown.after),
            });
        }
        self.shown.matches = Some(matches);
        self.behind = Some(behind);
        Ok(())
    }

    /// The first match of each log that is left out is where the next search begins.
    fn stand_before(
        &self,
        left_out: &[crate::log::Match],
        behind: &mut [Option<crate::log::Position>; 2],
    ) {
        for (at, stream) in STREAMS.into_iter().enumerate() {
            if let Some(first) = left_out.iter().find(|found| found.stream == stream) {
                behind[at] = Some(crate::log::Position {
                    offset: first.hit.start,
                    lines: first.hit.number - 1,
                    mid_line: false,
                });
            }
        }
    }
}
