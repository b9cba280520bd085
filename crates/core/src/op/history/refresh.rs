//! Looking how far things have got.

use std::time::{Duration, Instant};

use super::super::logs::generation_of;
use super::last_word::await_last_word;
use super::{History, Round};
use crate::client::{find, not_found};
use crate::error::Result;
use crate::event::{EventData, JournalEntry, read_journal};
use crate::store::{Condition, Observed, file};

impl History<'_> {
    /// Looks how far things have got. `false` when the task was started anew: this history is over,
    /// and partly gone.
    pub(in crate::op) fn refresh(&mut self) -> Result<bool> {
        let (home, id) = (self.home, self.id.clone());
        self.refresh_as(|| find(home, &id))
    }

    /// The same, observed by the caller, who does more with it.
    pub(in crate::op) fn refresh_as(
        &mut self,
        mut observe: impl FnMut() -> Result<Observed>,
    ) -> Result<bool> {
        // Runs that follow each other at once are seen in the journal before the record is looked at
        // again: an end that was observed is none by then.
        const LOOKS: usize = 10;
        for _ in 0..LOOKS {
            if !self.look(&mut observe)? {
                return Ok(false);
            }
            let facts = self.observed.record().ok().map(|record| &record.facts);
            if !self.round.ended || facts.is_none_or(|facts| facts.run >= self.round.last_begun) {
                break;
            }
        }
        Ok(true)
    }

    fn look(&mut self, observe: &mut impl FnMut() -> Result<Observed>) -> Result<bool> {
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
    pub(in crate::op) fn refresh_lines(&mut self) -> Result<bool> {
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
        round.last_begun = last_begun;
        round.run_is_beginning = !round.ended
            && self.observed.condition != Condition::Unsupervised
            && facts.is_some_and(|facts| facts.run > last_begun);
        // A later run may follow a terminal event of an earlier one; only the last one counts.
        let last_terminal = entries.iter().rfind(|entry| entry.event.is_terminal());
        round.terminal = last_terminal
            .filter(|entry| round.ended && facts.is_some_and(|facts| facts.run == entry.run))
            .map(|entry| entry.number);
        // Whoever was told of an end that is not in the journal may have missed a beginning since.
        let is_news = |entry: &&JournalEntry| {
            matches!(entry.event, EventData::Started { .. }) && entry.number > known
        };
        if !round.ended || entries.iter().any(|entry| is_news(&entry)) {
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
}
