//! What somebody can wish of a living task besides its end.

use super::Chores;
use crate::process;
use crate::task::{Recipient, SignalNumber};

impl Chores<'_> {
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
