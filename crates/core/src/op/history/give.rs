//! Giving what a round has found.

use std::ops::ControlFlow;

use serde_json::json;

use super::{History, Round, Translation};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::{EventData, JournalEntry, Outlet};
use crate::log::{LogStream, Next, Position, Unfinished};
use crate::store::Home;
use crate::task::FailReason;

/// So many lines in a row that do not match, and those behind them are searched by the block.
const MANY_MISSES: u32 = 64;

/// What comes next.
enum Step {
    Line(Next),
    Entry(JournalEntry),
    /// An end that no supervisor could put into the journal.
    UnrecordedEnd,
}

impl History<'_> {
    /// How the task is now.
    pub(in crate::op) fn snapshot(&self, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        outlet.send(self.framer.snapshot(&self.observed.task()))
    }

    /// A frame about the history as a whole.
    pub(in crate::op) fn tell(
        &self,
        name: &'static str,
        facts: serde_json::Value,
        outlet: &mut Outlet<'_>,
    ) -> ControlFlow<()> {
        outlet.send(self.framer.facts(name, Timestamp::now(), facts))
    }

    /// Gives everything that the round has found.
    pub(in crate::op) fn give_all(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        self.give_until(None, outlet)
    }

    /// When what comes next happened; `None` when there is nothing more in this round.
    pub(in crate::op) fn next_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.next()?.map(|step| match step {
            Step::Line(next) => next.written_at,
            Step::Entry(entry) => entry.timestamp,
            Step::UnrecordedEnd => Timestamp::now(),
        }))
    }

    /// Gives what happened until then.
    pub(in crate::op) fn give_until(
        &mut self,
        until: Option<Timestamp>,
        outlet: &mut Outlet<'_>,
    ) -> Result<ControlFlow<()>> {
        let is_later = |at: Timestamp| until.is_some_and(|until| at > until);
        while let Some(step) = self.next()? {
            let given = match step {
                Step::Line(next) if is_later(next.written_at) => break,
                Step::Entry(entry) if is_later(entry.timestamp) => break,
                Step::Line(next) => match self.give_plain(&next, outlet) {
                    Some(given) => given,
                    None => self.give_line(&next, outlet),
                },
                Step::Entry(entry) => self.give_entry(&entry, outlet),
                Step::UnrecordedEnd => self.give_unrecorded_end(outlet),
            };
            if given.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if outlet.is_late() {
                break;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn next(&mut self) -> Result<Option<Step>> {
        if self.terminal_given && self.wanted.ends_with_task || self.is_over() {
            return Ok(None);
        }
        if self.misses >= MANY_MISSES {
            self.misses = 0;
            self.pass_over_misses()?;
        }
        let round = &self.round;
        let entry = round.entries.front();
        let is_last_word = match entry {
            Some(entry) => Some(entry.number) == round.terminal,
            None => round.ended,
        };
        let ends_run = entry.is_some_and(Translation::ends_with);
        let unfinished = if self.translation.is_some() {
            // What another run writes is no part of the line that this one left.
            match is_last_word || ends_run {
                true => Unfinished::GiveAll,
                false => Unfinished::Wait,
            }
        } else if is_last_word {
            Unfinished::GiveAll
        } else if entry.is_none() && round.give_unfinished {
            Unfinished::GiveSettled
        } else {
            Unfinished::Wait
        };
        let limit = limit_of(round);
        let line = self.logs.find(&self.dir, limit, unfinished);
        let read_error = |error| self.home.error("read", &Home::log_name(&self.id), error);
        if let Some(next) = line.map_err(read_error)? {
            let may_come = self
                .wanted
                .most
                .is_none_or(|most| self.lines_given < most as u64);
            return Ok(may_come.then_some(Step::Line(next)));
        }
        Ok(match entry {
            Some(entry) => Some(Step::Entry(entry.clone())),
            None if round.ended && !self.terminal_given => Some(Step::UnrecordedEnd),
            None => None,
        })
    }

    /// What follows will hardly match: by the block that is found out many times faster.
    fn pass_over_misses(&mut self) -> Result<()> {
        // Whether a line lies within a span of time is asked line by line.
        let is_limited = self.wanted.since.is_some() || self.wanted.until.is_some();
        let Some(pattern) = self.wanted.pattern.as_ref().filter(|_| !is_limited) else {
            return Ok(());
        };
        self.logs
            .pass_over_misses(&self.dir, limit_of(&self.round), pattern)
            .map_err(|error| self.home.error("read", &Home::log_name(&self.id), error))?;
        for stream in [LogStream::Main, LogStream::Stderr] {
            if let Some(position) = self.logs.position(stream) {
                *self.framer.cursor_mut().position_mut(stream) = position;
            }
        }
        Ok(())
    }

    /// Gives a line together with many that come behind it, where that can be done.
    fn give_plain(&mut self, next: &Next, outlet: &mut Outlet<'_>) -> Option<ControlFlow<()>> {
        if self.wanted.pattern.is_some() || self.translation.is_some() {
            return None;
        }
        let given = usize::try_from(self.lines_given).unwrap_or(usize::MAX);
        let most = self
            .wanted
            .most
            .map_or(usize::MAX, |most| most.saturating_sub(given));
        let lines = self.logs.give_plain(next, most)?;
        let block = self.framer.lines(next.stream, lines, next.written_at);
        self.lines_given += block.count();
        Some(outlet.send_lines(block))
    }

    fn give_line(&mut self, next: &Next, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        if let Some((stream, bytes)) = self.logs.take_lost() {
            let position = self.framer.cursor_mut().position_mut(stream);
            if stream == next.stream {
                position.offset = next.found.start;
                position.lines = next.found.number - 1;
                position.mid_line = false;
            }
            self.tell_lost(stream, bytes, outlet)?;
        }
        if self.translation.is_some() {
            return self.give_translated(next, outlet);
        }
        let before = self.logs.position(next.stream).unwrap_or_default();
        let mut shown = self.logs.give(next);
        let position = self.framer.cursor_mut().position_mut(next.stream);
        *position = Position {
            offset: next.found.end,
            lines: next.found.number - u64::from(next.is_unfinished()),
            mid_line: next.is_unfinished(),
        };
        if let Some(pattern) = &self.wanted.pattern {
            // The rest of a line of which a part was given belongs to that.
            if !next.found.continues && !pattern.matches(shown.text) {
                self.misses += 1;
                if next.is_unfinished() && !self.round.ended {
                    // What follows may make it match: it is looked at again as a whole.
                    *position = before;
                    self.logs.seek(next.stream, before);
                    self.round.give_unfinished = false;
                } else if next.is_unfinished() {
                    // No part of it has been given: what another run adds stands for itself.
                    position.mid_line = false;
                    self.logs.seek(next.stream, *position);
                }
                return ControlFlow::Continue(());
            }
            self.misses = 0;
            shown = self.clipper.whole(shown.text.as_bytes(), true);
        }
        self.lines_given += 1;
        let frame = self
            .framer
            .line(next.stream, &next.found, shown, next.written_at);
        outlet.send(frame)
    }

    /// Lines of a capped log that were freed before this reader came to them.
    fn tell_lost(&self, stream: LogStream, bytes: u64, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        let facts = json!({
            "truncated_bytes": bytes,
            "stream": crate::event::StreamName(stream).as_str(),
        });
        self.tell("task.log.truncated", facts, outlet)
    }

    fn give_entry(&mut self, entry: &JournalEntry, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        self.translate_entry(&entry.event, entry.run, entry.timestamp, outlet)?;
        if self.is_over() {
            return ControlFlow::Continue(());
        }
        self.round.entries.pop_front();
        self.terminal_given |= Some(entry.number) == self.round.terminal;
        if let EventData::Started { .. } = entry.event {
            // That was an earlier run.
            self.framer.cursor_mut().end_told = false;
        }
        self.all_told(&entry.event, entry.log_offset);
        let frame = self.framer.event(entry);
        if self.wanted.events {
            outlet.send(frame)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn give_unrecorded_end(&mut self, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        let task = self.observed.task();
        let timestamp = task.updated_at.unwrap_or_else(Timestamp::now);
        let event = match self.observed.record() {
            Ok(record) => EventData::of_end(&record.facts.state, &record.spec),
            Err(_) => Some(EventData::Failed {
                reason: FailReason::RecordCorrupt,
                problem: task.problem.unwrap_or_default(),
                notify_session: None,
            }),
        };
        if let Some(event) = &event {
            self.translate_entry(event, task.run, timestamp, outlet)?;
            if self.is_over() {
                return ControlFlow::Continue(());
            }
            self.all_told(event, 0);
        }
        self.terminal_given = true;
        self.framer.cursor_mut().end_told = true;
        let Some(event) = event.filter(|_| self.wanted.events) else {
            return ControlFlow::Continue(());
        };
        self.events_seen += 1;
        outlet.send(self.framer.lifecycle(&event, timestamp))
    }
}

/// Up to where lines stand before what comes next in a round.
fn limit_of(round: &Round) -> impl Fn(LogStream, u64) -> u64 + use<> {
    let ends = match round.entries.front() {
        Some(entry) => Some([entry.log_offset, entry.stderr_offset]),
        None => round.run_is_beginning.then_some([0, 0]),
    };
    move |stream, size| match (ends, stream) {
        (Some([main, _]), LogStream::Main) => main,
        (Some([_, stderr]), LogStream::Stderr) => stderr,
        (None, _) => size,
    }
}

/// Takes frames that are only counted.
pub(super) struct Nobody;

impl crate::event::FrameSink for Nobody {
    fn frame(&mut self, _: &crate::event::Frame<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Collects frames for an answer.
#[derive(Default)]
pub(in crate::op) struct Collected(pub Vec<crate::event::Frame<'static>>);

impl crate::event::FrameSink for Collected {
    fn frame(&mut self, frame: &crate::event::Frame<'_>) -> ControlFlow<()> {
        self.0.push(frame.clone().into_owned());
        ControlFlow::Continue(())
    }
}
