//! A run that has to wait for its turn: all that can be prepared is, the command apart.

use std::os::fd::OwnedFd;

use super::execute::{Execution, Undo, record_failure};
use super::handshake::SpawnFailure;
use super::log_file::LogSource;
use crate::log::LogStream;

impl Execution<'_> {
    /// Puts on record that the present run waits, or does what `undo` says.
    ///
    /// The start has succeeded then: the logs and the journal of an earlier generation give way to
    /// new ones, so that whoever follows the task from here on reads its own.
    pub(super) fn line_up(
        mut self,
        log: LogSource,
        undo: Undo,
        handshake: &Option<OwnedFd>,
    ) -> Result<(), SpawnFailure> {
        self.try_line_up(log)
            .inspect_err(|failure| self.take_back(log, undo, failure, handshake))
    }

    fn try_line_up(&mut self, source: LogSource) -> Result<(), SpawnFailure> {
        let (mut logs, _) = self.open_logs(source)?;
        let before = logs.lengths_from(source);
        // In the order of a run that begins: the record before what it replaces.
        self.ledger
            .allocate_end()
            .and_then(|()| self.ledger.queued(before))
            .map_err(|error| record_failure(&error))?;
        self.put_in_place(&mut logs, source)
            .and_then(|()| self.ledger.settled(source.replaced()))
            .map_err(|error| self.log_failure(LogStream::Main, &error))
    }
}
