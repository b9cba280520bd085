//! A task's history, read on from where it was left.
//!
//! A line stands before an event when it was complete at that moment: the journal says how long
//! the logs were. A stored history and a live one are so in the same order.
//!
//! It is read in rounds: [`History::refresh`] looks how far things have got, then
//! [`History::give_until`] gives what was found, step by step.

mod give;
mod last_word;
mod seek;
mod telling;
mod translation;
mod wanted;

pub(super) use give::Collected;
use give::Nobody;
use last_word::await_last_word;
use seek::seek_to_run;
pub(super) use telling::{Telling, Until, run_end};
pub(super) use translation::READING;
use translation::Translation;
pub(super) use wanted::{Begin, Wanted};

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::logs::generation_of;
use crate::client::{find, not_found};
use crate::error::Result;
use crate::event::{EventData, Framer, JournalEntry, Outlet, read_journal};
use crate::log::{Cursor, LogReader, LogStream, Renderer, View};
use crate::request::Logs;
use crate::store::{Condition, Home, Observed, TaskDir, file};
use crate::task::{Generation, TaskId};

/// What was found in the latest round and has not been given.
#[derive(Debug, Default)]
struct Round {
    entries: VecDeque<JournalEntry>,
    /// The command of a run writes from the moment when it is executed, which is a moment before
    /// that is in the journal: its lines wait for the event.
    run_is_beginning: bool,
    /// The task has ended.
    ended: bool,
    /// The number of the last entry of an ended task that is terminal.
    terminal: Option<u64>,
    /// Unfinished lines may be given though they may go on.
    give_unfinished: bool,
}

/// A task's history, read on from where it was left.
#[derive(Debug)]
pub(super) struct History<'a> {
    home: &'a Home,
    pub id: TaskId,
    pub dir: TaskDir,
    pub observed: Observed,
    wanted: Wanted,
    /// Cuts lines that were looked at whole.
    clipper: Renderer,
    logs: LogReader,
    framer: Framer,
    /// Set where lines are told in another language.
    translation: Option<Translation<'a>>,
    round: Round,
    journal_size: u64,
    refreshed: Option<Instant>,
    /// How many events there are, given or not.
    pub events_seen: u64,
    pub terminal_given: bool,
    /// How many lines have been given.
    pub lines_given: u64,
}

impl<'a> History<'a> {
    /// Opens the history of a task that must exist.
    pub(super) fn open(home: &'a Home, id: &TaskId, begin: Begin, wanted: Wanted) -> Result<Self> {
        let observed = find(home, id)?;
        let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        let generation = generation_of(&observed);
        let mut translation = wanted.translation(&observed);
        let reading = match translation {
            Some(_) => READING,
            None => wanted.reading(),
        };
        let open = || LogReader::open(home, &dir, id, &generation, wanted.streams, reading);
        let mut logs = open()?;
        (logs.since, logs.until) = (wanted.since, wanted.until);
        let read_error = |error| home.error("read", &Home::log_name(id), error);
        let mut at = Cursor::start_of(generation.clone());
        match begin {
            Begin::Tail(lines) if translation.is_some() => {
                logs.seek_to_start(&dir).map_err(read_error)?;
                if let (Some(lines), Some(translation)) = (lines, &mut translation) {
                    let all = Self::count_told(home, id, &wanted)?;
                    translation.hidden = all.saturating_sub(lines as u64);
                }
            }
            Begin::Tail(lines) => {
                let lines = lines.unwrap_or(Logs::DEFAULT_LINES);
                logs.seek_to_tail(&dir, lines).map_err(read_error)?;
            }
            Begin::Start => logs.seek_to_start(&dir).map_err(read_error)?,
            Begin::PresentRun => {
                at.journal = seek_to_run(&mut logs, &dir, &observed).map_err(read_error)?;
            }
            Begin::Behind(field, text) => {
                at = Cursor::parse(field, &text, id)?.must_be_of(field, id, &generation)?;
                logs.seek(LogStream::Main, at.main);
                logs.seek(LogStream::Stderr, at.stderr);
                if let Some(translation) = &mut translation {
                    let mut entries = read_journal(&dir);
                    entries.retain(|entry| entry.generation == generation);
                    let caught_up = translation.catch_up(&entries, &at, open()?, &dir);
                    caught_up.map_err(read_error)?;
                }
            }
        }
        for stream in [LogStream::Main, LogStream::Stderr] {
            if let Some(position) = logs.position(stream) {
                *at.position_mut(stream) = position;
            }
        }
        Ok(Self {
            home,
            id: id.clone(),
            dir,
            observed,
            terminal_given: at.end_told,
            clipper: Renderer::new(View::Raw, wanted.look.max_line_bytes),
            wanted,
            logs,
            framer: Framer::new(id.clone(), at),
            translation,
            round: Round::default(),
            journal_size: u64::MAX,
            refreshed: None,
            events_seen: 0,
            lines_given: 0,
        })
    }

    /// How much there is to tell, in another language than lines.
    fn count_told(home: &'a Home, id: &TaskId, wanted: &Wanted) -> Result<u64> {
        let mut history = Self::open(home, id, Begin::Start, wanted.clone())?;
        let mut nobody = Nobody;
        if history.refresh()? {
            let _ = history.give_all(&mut Outlet::new(&mut nobody))?;
        }
        Ok(history.lines_given)
    }

    /// How many lines and events there are; of what is told in another language, what was given.
    pub(super) fn total(&self) -> Result<u64> {
        let told = match self.translation {
            Some(_) => self.lines_given,
            None => self.total_lines()?,
        };
        Ok(told + self.events_seen)
    }

    pub(super) fn generation(&self) -> &Generation {
        self.framer.generation()
    }

    /// Where a reader of everything that was given stands.
    pub(super) fn cursor(&self) -> String {
        self.framer.cursor().encode(&self.id).to_string()
    }

    /// How many lines there are.
    pub(super) fn total_lines(&self) -> Result<u64> {
        let read_error = |error| self.home.error("read", &Home::log_name(&self.id), error);
        self.logs.total_lines(&self.dir).map_err(read_error)
    }

    /// Looks how far things have got. `false` when the task was started anew: this history is over,
    /// and partly gone.
    pub(super) fn refresh(&mut self) -> Result<bool> {
        let (home, id) = (self.home, self.id.clone());
        self.refresh_as(|| find(home, &id))
    }

    /// The same, observed by the caller, who does more with it.
    pub(super) fn refresh_as(
        &mut self,
        observe: impl FnOnce() -> Result<Observed>,
    ) -> Result<bool> {
        self.logs.open_missing(self.home, &self.dir, &self.id)?;
        self.refresh_logs()?;
        // The logs first: what the journal tells of what is in them is there by now.
        let observed = observe()?;
        if generation_of(&observed) != *self.framer.generation() {
            // Nothing completes its last line any more.
            self.round = Round {
                ended: true,
                ..Round::default()
            };
            return Ok(false);
        }
        self.observed = observed;
        self.round.ended = self.observed.status().is_terminal();
        if self.round.ended {
            if !self.terminal_given {
                await_last_word(&self.dir);
            }
            self.logs.refresh(self.home, &self.id)?;
        }
        self.read_journal();
        if self.journal_size == 0 && !self.dir.is_same(self.home.task_dir(&self.id)?.as_ref()) {
            // Removed in between: better none of it than a part.
            return Err(not_found(&self.id));
        }
        Ok(true)
    }

    /// The same where only a log has been written to. `false` when it is not only that.
    pub(super) fn refresh_lines(&mut self) -> Result<bool> {
        self.refresh_logs()?;
        let is_known = self.dir.size_of(file::EVENTS) == self.journal_size;
        Ok(is_known && !self.round.ended && !self.round.run_is_beginning)
    }

    fn refresh_logs(&mut self) -> Result<()> {
        self.logs.refresh(self.home, &self.id)?;
        self.round.give_unfinished = false;
        // What was written since a moment ago has the time of the last change; what has been
        // waiting for longer needs to be looked up.
        const A_MOMENT: Duration = Duration::from_millis(150);
        let now = Instant::now();
        let was_away = self.refreshed.is_some_and(|then| now - then > A_MOMENT);
        if was_away && self.logs.has_unread() {
            self.logs.refresh_times(&self.dir);
        }
        self.refreshed = Some(now);
        Ok(())
    }

    fn read_journal(&mut self) {
        self.journal_size = self.dir.size_of(file::EVENTS);
        let known = self.framer.cursor().journal;
        let mut entries = read_journal(&self.dir);
        entries.retain(|entry| entry.generation == *self.framer.generation());
        self.events_seen = entries.len() as u64;
        let facts = self.observed.record().ok().map(|record| &record.facts);
        let last_begun = entries.iter().filter_map(|entry| match entry.event {
            EventData::Started { run, .. } => Some(run),
            _ => None,
        });
        let last_begun = last_begun.max().unwrap_or(0);
        let round = &mut self.round;
        round.run_is_beginning = !round.ended
            && self.observed.condition != Condition::Unsupervised
            && facts.is_some_and(|facts| facts.run > last_begun);
        // A later run may follow a terminal event of an earlier one; only the last one counts.
        let last_terminal = entries.iter().rfind(|entry| entry.event.is_terminal());
        round.terminal = last_terminal
            .filter(|entry| round.ended && facts.is_some_and(|facts| facts.run == entry.run))
            .map(|entry| entry.number);
        if !round.ended {
            self.terminal_given = false;
        } else if round.terminal.is_some_and(|number| number <= known) {
            self.terminal_given = true;
        }
        if let Some(terminal) = round.terminal
            && self.wanted.ends_with_task
        {
            entries.retain(|entry| entry.number <= terminal);
        }
        entries.retain(|entry| entry.number > known);
        round.entries = entries.into();
    }

    /// Whether there is something that has not been given: an unfinished line, mostly.
    pub(super) fn has_unread(&self) -> bool {
        self.logs.has_unread()
    }

    /// Whether standard error is kept apart.
    pub(super) fn has_stderr(&self) -> bool {
        self.logs.is_separate()
    }

    /// How many bytes there are in the logs.
    pub(super) fn log_size(&self) -> u64 {
        self.logs.size()
    }

    /// Lets the unfinished line that nobody has gone on with for a while be given.
    pub(super) fn give_unfinished(&mut self) {
        self.round.give_unfinished = true;
    }

    /// Forgets what has been read ahead.
    pub(super) fn rest(&mut self) {
        self.logs.rest();
    }
}
