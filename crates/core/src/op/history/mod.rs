//! A task's history, read on from where it was left.
//!
//! A line stands before an event when it was complete at that moment: the journal says how long
//! the logs were. A stored history and a live one are so in the same order.
//!
//! It is read in rounds: [`History::refresh`] looks how far things have got, then
//! [`History::give_until`] gives what was found, step by step.

mod give;
mod last_word;
mod refresh;
mod seek;
mod telling;
mod translation;
mod wanted;

pub(super) use give::Collected;
use give::Nobody;
use seek::seek_to_run;
pub(super) use telling::{Telling, Until, run_end};
pub(super) use translation::READING;
use translation::Translation;
pub(super) use wanted::{Begin, Wanted};

use std::collections::VecDeque;
use std::time::Instant;

use super::logs::generation_of;
use crate::client::{find, not_found};
use crate::error::Result;
use crate::event::{Framer, JournalEntry, Outlet, read_journal};
use crate::log::{Cursor, LogReader, LogStream, Renderer, View};
use crate::request::Logs;
use crate::store::{Home, Observed, TaskDir};
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
    /// The latest run that the journal tells of.
    last_begun: u32,
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
    /// How many lines in a row did not match.
    misses: u32,
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
            Begin::Whole if wanted.since.is_none() => {}
            Begin::Start | Begin::Whole => logs.seek_to_start(&dir).map_err(read_error)?,
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
            misses: 0,
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
