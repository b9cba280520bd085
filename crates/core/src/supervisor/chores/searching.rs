//! Lines that somebody waits for: the log probe, and watches.

use std::fs::File;

use super::super::machine::Action;
use super::super::scan::{Begin, Finding, Scan};
use super::probing::is_asked_about;
use super::{Chores, Growth};
use crate::event::{EventData, read_journal};
use crate::log::timeline::Lengths;
use crate::log::{self, LogStream};
use crate::task::Health;

impl Chores<'_> {
    /// Begins to search what the present run writes, if anything is looked for.
    pub(super) fn begin_searching(&mut self) {
        self.scan = None;
        let record = &self.ledger.record;
        let done = record
            .spec
            .extension
            .as_ref()
            .and_then(|own| own.done.as_ref());
        let is_wanted =
            !record.spec.watch.is_empty() || record.spec.health.is_some() || done.is_some();
        if !is_wanted || !is_asked_about(self.state) {
            return;
        }
        let before = self.ledger.growth.as_ref().map(Growth::before);
        let begin = match before {
            Some(before) if !self.tree.is_foreign() => Begin {
                probe: before,
                watches: before,
            },
            // Another supervisor executed it, and told of what it found; since we are in charge, it is
            // for us to tell.
            taken_over => Begin {
                probe: self.run_began_at(),
                watches: taken_over.unwrap_or_else(|| self.lengths_now()),
            },
        };
        let is_ready = matches!(self.ledger.health(), Health::Healthy | Health::Unhealthy);
        let open = |stream| self.open_log(stream);
        self.scan = Scan::new(&record.spec, is_ready, begin, open);
        self.search_logs();
    }

    fn open_log(&self, stream: LogStream) -> Option<File> {
        let (ledger, record) = (&self.ledger, &self.ledger.record);
        let generation = &record.facts.generation;
        let opened = log::open(self.home, &ledger.dir, &record.id, stream, generation);
        opened.ok().flatten()
    }

    fn lengths_now(&self) -> Lengths {
        let length = |stream| {
            let log = self.open_log(stream).and_then(|log| log.metadata().ok());
            log.map_or(0, |log| log.len())
        };
        Lengths {
            main: length(LogStream::Main),
            stderr: length(LogStream::Stderr),
        }
    }

    fn run_began_at(&self) -> Lengths {
        let facts = &self.ledger.record.facts;
        let entries = read_journal(&self.ledger.dir);
        let began = entries.iter().rfind(|entry| {
            entry.generation == facts.generation
                && matches!(entry.event, EventData::Started { run, .. } if run == facts.run)
        });
        began.map_or(Lengths::default(), |entry| Lengths {
            main: entry.log_offset,
            stderr: entry.stderr_offset,
        })
    }

    /// Searches on, where there is more to search; before the oldest of it is freed.
    pub(super) fn search_logs(&mut self) {
        let Some(scan) = &mut self.scan else {
            return;
        };
        let ledger = &self.ledger;
        let seen = ledger.growth.as_ref().map(Growth::lengths);
        let finding = scan.search(&ledger.dir, &ledger.record.facts.generation, seen);
        if scan.is_done() {
            self.scan = None;
        }
        self.act_on(finding);
    }

    /// Before the end of a run is told, so are its last lines.
    pub(super) fn search_the_rest_before(&mut self, action: Action) {
        let ends_run = matches!(
            action,
            Action::RecordEnd(_)
                | Action::RecordStopped(..)
                | Action::RecordGivenUp(..)
                | Action::RecordRestarting(_)
                | Action::BackOff { .. }
        );
        if !ends_run {
            return;
        }
        if let Some(mut scan) = self.scan.take() {
            // What a terminal still holds is written into the log first.
            self.ledger.drain_input();
            let ledger = &self.ledger;
            let finding = scan.finish(&ledger.dir, &ledger.record.facts.generation);
            self.act_on(finding);
        }
    }

    fn act_on(&mut self, finding: Finding) {
        for event in finding.events {
            self.ledger.log_matched(event);
        }
        if finding.ready {
            self.found_ready();
        }
        if let Some(done) = finding.done {
            self.found_done(done);
        }
    }
}
