//! What somebody can wish of a living task.

use super::super::machine::Event;
use super::Chores;
use crate::process;
use crate::store::{Verb, Want};
use crate::task::{Recipient, SignalNumber};

impl Chores<'_> {
    /// Somebody has sent SIGTERM: without a wish it means what it always means.
    pub(super) fn end_as_wished(&mut self) {
        let wish = self.news(Verb::ends_run).unwrap_or_else(|| {
            // Sent once more for a stop that is under way, it is to be no other.
            let again = self.want().and_then(|want| want.wanted_stop());
            Event::Stop(again.unwrap_or(self.settings.stop))
        });
        self.happen(wish);
        self.ledger.wish_done();
    }

    /// Somebody has left a wish that has the run go on. One for which it is too late is not done:
    /// its caller sees the run end.
    pub(super) fn heed_wish(&mut self) {
        let before = self.ledger.record.facts.wish_done;
        if let Some(wish) = self.news(|verb| !verb.ends_run())
            && !self.is_heeded(wish)
        {
            self.ledger.record.facts.wish_done = before;
        }
        // Without news as well: the disk may have been too full the last time.
        self.ledger.wish_done();
    }

    /// What `want.json` says, if it is news for this run and of the kind that is asked for.
    pub(super) fn news(&mut self, is_meant: impl Fn(Verb) -> bool) -> Option<Event> {
        let facts = &self.ledger.record.facts;
        let news = self
            .want()
            .filter(|want| want.is_undone(facts) && is_meant(want.verb))?;
        self.ledger.record.facts.wish_done = news.seq;
        Some(match news.verb {
            Verb::Stop(stop) => Event::Stop(stop),
            Verb::Restart(stop) => Event::Restart(stop),
            Verb::Pause => Event::Pause,
            Verb::Resume => Event::Resume,
            Verb::Signal(signal, recipient) => Event::Signal(signal, recipient),
        })
    }

    fn want(&self) -> Option<Want> {
        let facts = &self.ledger.record.facts;
        self.ledger
            .dir
            .read_want()
            .filter(|want| want.is_for(facts))
    }

    pub(super) fn pause(&mut self) {
        self.tree.signal(&[SignalNumber::STOP]);
        if self.ledger.set_paused(true) {
            self.limits.pause();
            self.pause_probing();
        }
    }

    pub(super) fn resume(&mut self) {
        self.tree.signal(&[SignalNumber::CONT]);
        if self.ledger.set_paused(false) {
            self.limits.resume(self.ledger);
            self.resume_probing();
        }
    }

    pub(super) fn deliver(&mut self, signal: SignalNumber, recipient: Recipient) {
        match (recipient, self.main) {
            (Recipient::Tree, _) => self.tree.signal(&[signal]),
            (Recipient::Main, Some(main)) => {
                process::send(&main, &[signal]);
            }
            // It has ended, which whoever sent this sees next.
            (Recipient::Main, None) => return,
        }
        self.ledger.signal_sent(signal, recipient);
    }
}
