//! From aside to their places: the logs, the journal and the text of a generation that has begun.

use std::io;

use super::cgroup::{Leaf, sweep_leaf};
use super::log_file::{LogPlace, LogSource, remove};
use crate::event::Journal;
use crate::log::LogStream;
use crate::store::{Home, Replaced, TaskDir, file, settle_text, sweep_leftovers};
use crate::task::{Stderr, TaskRecord, TaskState};

/// A generation on record.
pub(super) struct Placement<'a> {
    pub home: &'a Home,
    pub dir: &'a TaskDir,
    pub record: &'a TaskRecord,
}

impl Placement<'_> {
    /// Puts new logs in their place. What was known of those that they replace is of no use any
    /// more. Returns whether each of them has a name in the task folder.
    ///
    /// `has_leaf`: whether the run has a group of its own, so that none of an earlier one is known.
    pub(super) fn put_in_place(&self, source: LogSource, has_leaf: bool) -> io::Result<bool> {
        let replaces = matches!(source, LogSource::Anew);
        settle_text(self.dir, self.record, replaces)?;
        let mut in_folder = self.log(LogStream::Main).put_in_place(source)?;
        if self.record.spec.stderr == Stderr::Separate {
            in_folder &= self.log(LogStream::Stderr).put_in_place(source)?;
        }
        if replaces {
            self.forget_replaced(has_leaf)?;
        }
        Ok(in_folder)
    }

    fn forget_replaced(&self, has_leaf: bool) -> io::Result<()> {
        if self.record.spec.stderr == Stderr::Merge {
            self.log(LogStream::Stderr).remove()?;
        }
        for stream in [LogStream::Main, LogStream::Stderr] {
            // They name their generation, so a leftover is only litter.
            let _ = remove(self.dir, stream.cut_name());
            let _ = remove(self.dir, stream.lines_name());
        }
        let _ = remove(self.dir, file::TIMELINE);
        if !has_leaf {
            sweep_leaf(self.dir);
        }
        Ok(())
    }

    fn log(&self, stream: LogStream) -> LogPlace<'_> {
        LogPlace {
            home: self.home,
            dir: self.dir,
            id: &self.record.id,
            stream,
        }
    }

    /// Does what the supervisor that began this generation was killed before it could do: its
    /// command may be alive, but its logs and its journal are still aside, and what was there before
    /// is still in their places. The journal goes last, so that it tells whether all is done.
    ///
    /// `is_alone`: whether we hold the short lock, so that what lies aside is nobody's work in progress.
    ///
    /// # Errors
    /// When something cannot be renamed; it is tried again by the next supervisor.
    pub(super) fn finish(&self, is_alone: bool) -> io::Result<()> {
        let generation = &self.record.facts.generation;
        let has_journal = Journal::is_aside(self.dir, generation);
        if !has_journal && !self.is_executed_in_place_of_another() {
            for stream in [LogStream::Main, LogStream::Stderr] {
                self.log(stream).publish_if_unknown()?;
            }
            return Ok(());
        }
        settle_text(self.dir, self.record, true)?;
        self.log(LogStream::Main).put_in_place_if_aside()?;
        if self.record.spec.stderr == Stderr::Separate {
            self.log(LogStream::Stderr).put_in_place_if_aside()?;
        }
        let leaf = Leaf::of_run(self.dir, &self.record.id, &self.record.facts.run_token);
        self.forget_replaced(leaf.is_some())?;
        if has_journal {
            Journal::publish_aside(self.dir)?;
        } else {
            remove(self.dir, file::EVENTS)?;
        }
        if is_alone {
            sweep_leftovers(self.dir, self.record, Replaced::Generation);
        }
        let _ = remove(self.dir, file::ENVIRON);
        let _ = remove(self.dir, file::PREVIOUS_RECORD);
        Ok(())
    }

    /// Whether the command has been executed, as whoever found the task has made sure, by a supervisor
    /// that was killed before anything said so.
    fn is_executed_in_place_of_another(&self) -> bool {
        let facts = &self.record.facts;
        let replaces_another = || {
            let previous = self.dir.read_previous();
            previous.is_none_or(|previous| previous.facts.generation != facts.generation)
        };
        facts.state == TaskState::Starting
            && facts.run == 1
            && self.dir.exists(file::PREVIOUS_RECORD)
            && replaces_another()
    }
}
