//! What can be sent to the present run.

use super::{Growth, Input, Ledger};
use crate::clock::Deadline;
use crate::supervisor::signals::Concern;

impl Ledger {
    /// Passes on what was sent, and what a terminal shows.
    pub(crate) fn attend_input(&mut self, heard: &[Concern]) {
        let log = self.growth.as_ref().map(Growth::main_log);
        // A run that we have not executed has no terminal, and its log is not open.
        let goes_on = match (&mut self.input, log) {
            (Some(input), Some(log)) => input.attend(heard, log),
            (Some(_), None) => !heard.contains(&Concern::Input),
            (None, _) => return,
        };
        if !goes_on {
            self.close_input();
        }
    }

    /// Takes in what the command wrote last, before its end is told.
    pub(crate) fn drain_input(&mut self) {
        if let (Some(input), Some(growth)) = (&mut self.input, &self.growth) {
            input.drain(growth.main_log());
        }
    }

    /// Nothing can be sent any more; the run is over, or somebody has said so.
    pub(crate) fn close_input(&mut self) {
        self.drain_input();
        if let Some(input) = self.input.take() {
            input.close(&self.dir);
        }
    }

    /// When to look without having been told.
    pub(crate) fn input_due(&self) -> Deadline {
        self.input.as_ref().map_or(Deadline::NEVER, Input::due)
    }
}
