//! A run that has to wait for its turn: all that can be prepared is, the command apart.

use std::os::fd::OwnedFd;

use super::execute::{Execution, Undo, record_failure};
use super::handshake::SpawnFailure;
use super::log_file::LogSource;
use crate::log::LogStream;
use crate::log::timeline::Lengths;

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
        self.try_line_up(log, undo == Undo::Restore)
            .inspect_err(|failure| self.take_back(undo, failure, handshake))
    }

    fn try_line_up(&mut self, source: LogSource, replaces: bool) -> Result<(), SpawnFailure> {
        let (mut logs, _) = self.open_logs(source)?;
        let before = match source {
            LogSource::Anew => Lengths::default(),
            LogSource::Present => logs.lengths(),
        };
        // In the order of a run that begins: the record before what it replaces.
        self.ledger
            .allocate_end()
            .and_then(|()| self.ledger.queued(before))
            .map_err(|error| record_failure(&error))?;
        let placed = match source {
            LogSource::Anew => self.put_in_place(&mut logs, replaces),
            LogSource::Present => Ok(()),
        };
        placed
            .and_then(|()| self.ledger.settled(source.replaced(replaces)))
            .map_err(|error| self.log_failure(LogStream::Main, &error))
    }
}
