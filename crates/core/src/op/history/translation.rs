//! A history whose lines are told in another language.

use std::fmt;
use std::io;
use std::ops::ControlFlow;

use super::History;
use super::telling::{Telling, Until, run_end};
use crate::clock::Timestamp;
use crate::event::{EventData, JournalEntry, Outlet, Told, Translate};
use crate::log::{Cursor, LogReader, LogStream, Look, Next, Position, Unfinished, View};
use crate::request::Include;
use crate::store::TaskDir;
use crate::task::FailReason;

/// No line that matters is longer.
const LONGEST: usize = 32 << 20;

/// How lines are read that are translated.
pub(in crate::op) const READING: Look = Look {
    view: View::Raw,
    max_line_bytes: LONGEST,
};

/// A translator at work.
pub(super) struct Translation<'a> {
    telling: Telling<'a>,
    /// What was told of the next line, or end, before the cursor that the history began behind.
    behind: u64,
    /// How many frames are passed over: more than so many of the last are not wanted.
    pub hidden: u64,
    /// What else is given.
    include: Vec<Include>,
    told: Vec<Told>,
    /// More would come than is wanted. The cursor stands before it, the reader of lines may not.
    pub is_over: bool,
}

impl fmt::Debug for Translation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation").finish_non_exhaustive()
    }
}

impl<'a> Translation<'a> {
    pub(super) fn new(translator: Box<dyn Translate + 'a>, include: &[Include]) -> Self {
        Self {
            telling: Telling::new(translator),
            behind: 0,
            hidden: 0,
            include: include.to_vec(),
            told: Vec::new(),
            is_over: false,
        }
    }

    /// Whether a run ends with this event.
    pub(super) fn ends_with(entry: &JournalEntry) -> bool {
        run_end(&entry.event).is_some()
    }

    /// Has everything told again, and passed over, that is before a cursor.
    pub(super) fn catch_up(
        &mut self,
        entries: &[JournalEntry],
        at: &Cursor,
        logs: LogReader,
        dir: &TaskDir,
    ) -> io::Result<()> {
        self.behind = at.told;
        let known = entries.partition_point(|entry| entry.number <= at.journal);
        let until = Until {
            entries: &entries[..known],
            offset: &|stream, _| at.position(stream).offset,
            unfinished: match at.end_told {
                true => Unfinished::GiveAll,
                false => Unfinished::Wait,
            },
        };
        self.telling.everything(logs, dir, &until, &mut drop)?;
        if at.end_told {
            let lost = EventData::Failed {
                reason: FailReason::SupervisorLost,
                problem: String::new(),
                notify_session: None,
            };
            self.telling.before(&lost, 0, &mut Vec::new());
        }
        Ok(())
    }
}

impl History<'_> {
    /// Tells what a line is in the other language. The line is behind the reader then; while a part
    /// of what is told of it has been given, the cursor stands before it.
    pub(super) fn give_translated(
        &mut self,
        next: &Next,
        outlet: &mut Outlet<'_>,
    ) -> ControlFlow<()> {
        let shown = self.logs.give(next);
        let Some(translation) = &mut self.translation else {
            return ControlFlow::Continue(());
        };
        let mut told = std::mem::take(&mut translation.told);
        translation.telling.line(next.stream, shown.text, &mut told);
        let as_it_is = told.is_empty() && translation.include.contains(&Include::Lines);
        let behind = Position {
            offset: next.found.end,
            lines: next.found.number - u64::from(next.is_unfinished()),
            mid_line: next.is_unfinished(),
        };
        if as_it_is {
            *self.framer.cursor_mut().position_mut(next.stream) = behind;
            self.lines_given += 1;
            let shown = self.clipper.whole(shown.text.as_bytes(), true);
            let frame = self
                .framer
                .line(next.stream, &next.found, shown, next.written_at);
            return outlet.send(frame);
        }
        let (last, flow) = self.give_all_but_last(told, next.written_at, outlet);
        flow?;
        if last
            .as_ref()
            .is_some_and(|(_, count)| self.is_held_back(*count))
        {
            return ControlFlow::Continue(());
        }
        *self.framer.cursor_mut().position_mut(next.stream) = behind;
        self.give_last(last, next.written_at, outlet)
    }

    /// Tells what belongs to a run's end, or beginning, before the event itself.
    pub(super) fn translate_entry(
        &mut self,
        event: &EventData,
        run: u32,
        at: Timestamp,
        outlet: &mut Outlet<'_>,
    ) -> ControlFlow<()> {
        let Some(translation) = &mut self.translation else {
            return ControlFlow::Continue(());
        };
        let mut told = std::mem::take(&mut translation.told);
        translation.telling.freed = self.logs.freed_of(LogStream::Main, &self.dir);
        translation.telling.before(event, run, &mut told);
        let (last, flow) = self.give_all_but_last(told, at, outlet);
        flow?;
        // The event itself comes behind it: until then the cursor is in between.
        if let Some((last, count)) = last {
            self.give_told(last, count, at, outlet)?;
        }
        ControlFlow::Continue(())
    }

    /// Gives what was told but the last of it, each with a cursor that says how much has been given.
    /// Returns the last, and its number.
    fn give_all_but_last(
        &mut self,
        mut told: Vec<Told>,
        at: Timestamp,
        outlet: &mut Outlet<'_>,
    ) -> (Option<(Told, u64)>, ControlFlow<()>) {
        let last = told.pop();
        let mut count = 0;
        for one in told.drain(..) {
            count += 1;
            if self.give_told(one, count, at, outlet).is_break() {
                return (None, ControlFlow::Break(()));
            }
        }
        if let Some(translation) = &mut self.translation {
            translation.told = told;
        }
        (
            last.map(|last| (last, count + 1)),
            ControlFlow::Continue(()),
        )
    }

    /// Gives the last that was told of a line, which is behind the reader with it.
    fn give_last(
        &mut self,
        last: Option<(Told, u64)>,
        at: Timestamp,
        outlet: &mut Outlet<'_>,
    ) -> ControlFlow<()> {
        let Some((last, count)) = last else {
            return ControlFlow::Continue(());
        };
        let is_behind = self.is_behind(count);
        self.framer.cursor_mut().told = 0;
        if let Some(translation) = &mut self.translation {
            translation.behind = 0;
        }
        if is_behind {
            return ControlFlow::Continue(());
        }
        self.send_told(last, at, outlet)
    }

    fn give_told(
        &mut self,
        told: Told,
        count: u64,
        at: Timestamp,
        outlet: &mut Outlet<'_>,
    ) -> ControlFlow<()> {
        if self.is_behind(count) || self.is_held_back(count) {
            return ControlFlow::Continue(());
        }
        self.framer.cursor_mut().told = count;
        self.send_told(told, at, outlet)
    }

    /// Whether it was given to whoever has the cursor that this history began behind.
    fn is_behind(&self, count: u64) -> bool {
        let translation = self.translation.as_ref();
        translation.is_some_and(|translation| count <= translation.behind)
    }

    /// Whether it is more than was asked for.
    fn is_held_back(&mut self, count: u64) -> bool {
        let is_behind = self.is_behind(count);
        let most = self.wanted.most.map_or(u64::MAX, |most| most as u64);
        match &mut self.translation {
            Some(translation) => {
                translation.is_over |= !is_behind && self.lines_given >= most;
                translation.is_over
            }
            None => false,
        }
    }

    /// Whether something that was told is more than was asked for, so that nothing follows.
    pub(super) fn is_over(&self) -> bool {
        let translation = self.translation.as_ref();
        translation.is_some_and(|translation| translation.is_over)
    }

    fn send_told(&mut self, told: Told, at: Timestamp, outlet: &mut Outlet<'_>) -> ControlFlow<()> {
        if let Some(translation) = &mut self.translation {
            let is_asked_for = |include| translation.include.contains(include);
            if !told.only_with.as_ref().is_none_or(is_asked_for) {
                return ControlFlow::Continue(());
            }
            self.lines_given += 1;
            if translation.hidden > 0 {
                translation.hidden -= 1;
                return ControlFlow::Continue(());
            }
        }
        outlet.send(self.framer.facts(told.r#type, at, told.data))
    }

    /// The event is behind the reader, with all that was told of it.
    pub(super) fn all_told(&mut self, event: &EventData, log_offset: u64) {
        self.framer.cursor_mut().told = 0;
        if let Some(translation) = &mut self.translation {
            translation.behind = 0;
            translation.telling.behind(event, log_offset);
        }
    }
}
