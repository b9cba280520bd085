//! A task's history, read on from where it was left.
//!
//! A line stands before an event when it was complete at that moment: the journal says how long
//! the log was. A stored history and a live one are so in the same order.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::events::{Follow, Sink};
use super::logs::generation_of;
use super::wait::{Vigil, has_writer, open_live};
use crate::client::{find, not_found};
use crate::clock::{Deadline, Timestamp};
use crate::error::Result;
use crate::event::{EventData, Framer, read_journal};
use crate::log::{
    self, Cursor, GrowthWatch, LineReader, count_lines, last_line_starts, sleep_until_told,
};
use crate::request::Logs;
use crate::store::{Condition, Home, Observed, TaskDir};
use crate::task::{FailReason, TaskId};
use crate::wait::poll_timeout;

/// How much of the history is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All that there is.
    All,
    /// What is complete, up to and including the terminal event.
    UntilTerminal,
}

/// A task's history, read on from where it was left.
pub(super) struct History<'a> {
    home: &'a Home,
    id: &'a TaskId,
    dir: TaskDir,
    observed: Observed,
    log: Option<File>,
    lines: LineReader,
    pub framer: Framer,
    pub total_lines: u64,
    pub events_seen: u64,
    /// The latest run whose beginning has been given.
    run_begun: u32,
    terminal_given: bool,
}

impl<'a> History<'a> {
    pub(super) fn open(home: &'a Home, id: &'a TaskId, lines: Option<usize>) -> Result<Self> {
        let observed = find(home, id)?;
        let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        let log = log::open(home, &dir, id)?;
        let wanted = lines.unwrap_or(Logs::DEFAULT_LINES);
        let place = |file: &File| -> io::Result<(u64, u64, u64)> {
            let size = file.metadata()?.len();
            let total = count_lines(file, size)?;
            let starts = last_line_starts(file, size, wanted)?;
            Ok((
                starts.first().copied().unwrap_or(size),
                total - starts.len() as u64,
                total,
            ))
        };
        let (offset, before, total_lines) = match &log {
            Some(file) => {
                place(file).map_err(|error| home.error("read", &Home::log_name(id), error))?
            }
            None => (0, 0, 0),
        };
        let at = Cursor {
            generation: generation_of(&observed),
            log_offset: offset,
            line: before,
            journal: 0,
        };
        Ok(Self {
            home,
            id,
            dir,
            observed,
            log,
            lines: LineReader::at(offset, before),
            framer: Framer::new(id.clone(), at, Logs::DEFAULT_MAX_LINE_BYTES),
            total_lines,
            events_seen: 0,
            run_begun: 0,
            terminal_given: false,
        })
    }

    pub(super) fn snapshot(&mut self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let frame = self.framer.snapshot(&self.observed.task());
        sink(&frame)
    }

    /// Gives what there is, then what comes.
    pub(super) fn run(
        &mut self,
        follow: Follow<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>> {
        match follow {
            Follow::No => self.drain(Part::All, sink),
            Follow::On { deadline, output } => self.follow(deadline, output, sink),
        }
    }

    fn follow(
        &mut self,
        deadline: Deadline,
        output: Option<BorrowedFd<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>> {
        let mut growth = None;
        loop {
            if self.log.is_none() {
                self.log = log::open(self.home, &self.dir, self.id)?;
            }
            if growth.is_none() {
                growth = self.log.as_ref().and_then(|log| GrowthWatch::of(log).ok());
            }
            // Told first, then looked at: what is written in between is told again.
            if let Some(growth) = &growth {
                growth.reset();
            }
            let (observed, vigil) = Vigil::keep(self.home, self.id)?;
            if generation_of(&observed) != *self.framer.generation() {
                // Started anew: this generation's history is over, and partly gone.
                return Ok(ControlFlow::Continue(()));
            }
            self.observed = observed;
            let Some(vigil) = vigil else {
                return self.drain(Part::UntilTerminal, sink);
            };
            if self.drain(Part::UntilTerminal, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.terminal_given || deadline.has_passed() {
                return Ok(ControlFlow::Continue(()));
            }
            if sleep_until_told(growth.as_ref(), vigil.fd.as_ref(), output, deadline)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Gives what has not been given yet.
    pub(super) fn drain(&mut self, part: Part, sink: &mut Sink<'_>) -> Result<ControlFlow<()>> {
        let ended = self.observed.status().is_terminal();
        if ended && !self.terminal_given {
            self.await_last_word();
        }
        let known = self.framer.journal_number();
        let mut entries: Vec<_> = read_journal(&self.dir)
            .into_iter()
            .filter(|entry| entry.generation == *self.framer.generation() && entry.number > known)
            .collect();
        // A later run may follow a terminal event of an earlier one; only the last one counts.
        let last_terminal = entries.iter().rposition(|entry| entry.event.is_terminal());
        if part == Part::UntilTerminal
            && ended
            && let Some(at) = last_terminal
        {
            entries.truncate(at + 1);
        }
        for entry in &entries {
            if self.give_lines(entry.log_offset, false, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let is_last = ended && entry.event.is_terminal() && Some(entry) == entries.last();
            if is_last && self.give_lines(entry.log_offset, true, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.events_seen += 1;
            if let EventData::Started { run, .. } = entry.event {
                self.run_begun = run;
            }
            let frame = self.framer.event(entry);
            if sink(&frame).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if is_last {
                self.terminal_given = true;
                if part == Part::UntilTerminal {
                    return Ok(ControlFlow::Continue(()));
                }
            }
        }
        if !ended && self.is_run_about_to_begin() {
            return Ok(ControlFlow::Continue(()));
        }
        if self.give_lines(u64::MAX, ended, sink)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if ended && !self.terminal_given {
            return Ok(self.give_unrecorded_end(sink));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An end is on record a moment before it is in the journal; then the supervisor lets go of the
    /// FIFO.
    fn await_last_word(&self) {
        let Some(live) = open_live(&self.dir) else {
            return;
        };
        let patience = Deadline::after(Duration::from_secs(1));
        while has_writer(&live) && !patience.has_passed() {
            // Where poll(2) does not tell of the hang-up, has_writer does.
            let moment = Deadline::after(Duration::from_millis(5));
            let _ = poll(
                &mut [PollFd::new(live.as_fd(), PollFlags::POLLIN)],
                poll_timeout(moment),
            );
        }
    }

    /// The command writes from the moment when it is executed, which is a moment before that is on
    /// record: its lines wait for the event.
    fn is_run_about_to_begin(&self) -> bool {
        self.observed.condition != Condition::Unsupervised
            && self
                .observed
                .record()
                .is_ok_and(|record| record.facts.run > self.run_begun)
    }

    /// Gives the lines that end at or before an offset.
    fn give_lines(
        &mut self,
        up_to: u64,
        to_the_end: bool,
        sink: &mut Sink<'_>,
    ) -> Result<ControlFlow<()>> {
        let Some(log) = &self.log else {
            return Ok(ControlFlow::Continue(()));
        };
        let read_error = |error| self.home.error("read", &Home::log_name(self.id), error);
        let meta = log.metadata().map_err(read_error)?;
        let written_at = meta
            .modified()
            .map_or_else(|_| Timestamp::now(), Timestamp::from);
        let limit = up_to.min(meta.len());
        while let Some(line) = self
            .lines
            .next(log, limit, to_the_end)
            .map_err(read_error)?
        {
            let frame = self.framer.line(&line, written_at);
            if sink(&frame).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An end that no supervisor could put into the journal.
    fn give_unrecorded_end(&mut self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        self.terminal_given = true;
        let task = self.observed.task();
        let timestamp = task.updated_at.unwrap_or_else(Timestamp::now);
        let event = match self.observed.record() {
            Ok(record) => EventData::of_end(&record.facts.state),
            Err(_) => Some(EventData::Failed {
                reason: FailReason::RecordCorrupt,
                problem: task.problem.unwrap_or_default(),
            }),
        };
        match event {
            Some(event) => {
                self.events_seen += 1;
                let frame = self.framer.lifecycle(&event, timestamp);
                sink(&frame)
            }
            None => ControlFlow::Continue(()),
        }
    }
}
