//! Executing the command of a run: everything that can fail is tried in an order in which each
//! failure can be undone, and named.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::command::Command;
use super::handshake::{SpawnFailure, is_heard};
use super::launch::errno_of;
use super::ledger::Ledger;
use super::log_file::LogPlace;
use super::tree::Tree;
use crate::error::SpawnStep;
use crate::process::{self, Reaped};
use crate::store::{Home, file};
use crate::task::{ProcessIdentity, RunToken};

/// What is to be undone when the command cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// The task is new: nothing of it stays.
    Remove,
    /// There was a record, and it stays as it was.
    Restore,
    /// The failure is how the task ended: the run before is over, or nobody is there to be told.
    Record,
}

/// Which log a run writes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogSource {
    /// A new one: the first run of a generation.
    Anew,
    /// The one that is there.
    Present,
}

/// A run about to be executed.
pub(super) struct Execution<'a> {
    pub home: &'a Home,
    pub ledger: &'a mut Ledger,
}

impl Execution<'_> {
    /// Executes the present run, or does what `undo` says.
    pub(super) fn run(
        mut self,
        log: LogSource,
        undo: Undo,
        handshake: &Option<OwnedFd>,
    ) -> Result<ProcessIdentity, SpawnFailure> {
        self.try_execute(log).inspect_err(|failure| {
            let undo = match undo {
                // With nobody left to answer, the record is where the failure is told.
                Undo::Remove if !is_heard(handshake) => Undo::Record,
                undo => undo,
            };
            self.undo(undo, failure);
        })
    }

    fn try_execute(&mut self, source: LogSource) -> Result<ProcessIdentity, SpawnFailure> {
        let workdir = self.command().open_workdir()?;
        let (log, log_offset) = self
            .open_log(source)
            .map_err(|error| self.log_failure(&error))?;
        self.ledger
            .allocate_end()
            .map_err(|error| record_failure(&error))?;
        self.ledger.executing();
        let main = self.command().execute(&workdir, &log)?;
        // The record before what it replaces: a disk that is too full for it must not have cost
        // the earlier log and journal.
        if let Err(error) = self.ledger.running(main, log_offset) {
            end_unrecorded(main, &self.ledger.record.facts.run_token);
            return Err(record_failure(&error));
        }
        let placed = match source {
            LogSource::Anew => self.log_place().put_in_place(),
            LogSource::Present => Ok(()),
        };
        if let Err(error) = placed.and_then(|()| self.ledger.settled()) {
            end_unrecorded(main, &self.ledger.record.facts.run_token);
            return Err(self.log_failure(&error));
        }
        Ok(main)
    }

    fn command(&self) -> Command<'_> {
        let record = &self.ledger.record;
        Command {
            home: self.home,
            id: &record.id,
            spec: &record.spec,
            token: &record.facts.run_token,
        }
    }

    fn log_place(&self) -> LogPlace<'_> {
        LogPlace {
            home: self.home,
            dir: &self.ledger.dir,
            id: &self.ledger.record.id,
        }
    }

    /// The log, and how long it is before the command writes to it.
    fn open_log(&self, source: LogSource) -> io::Result<(File, u64)> {
        let log = match source {
            LogSource::Anew => self.log_place().create_aside(),
            LogSource::Present => self.log_place().open_present(),
        }?;
        let metadata = log.metadata()?;
        if !metadata.is_file() {
            return Err(Errno::EINVAL.into());
        }
        Ok((log, metadata.len()))
    }

    fn log_failure(&self, error: &io::Error) -> SpawnFailure {
        let name = Home::log_name(&self.ledger.record.id);
        SpawnFailure::new(SpawnStep::Log, name, errno_of(error))
    }

    fn undo(&mut self, undo: Undo, failure: &SpawnFailure) {
        let _ = self.log_place().discard_aside();
        self.ledger.discard_journal();
        match undo {
            Undo::Remove => {
                let _ = crate::store::remove_task(self.home, &self.ledger.record.id);
            }
            Undo::Restore => {
                self.ledger.restore_previous();
            }
            Undo::Record => {
                let errno = Errno::from_raw(failure.errno);
                self.ledger.failed_to_start(format!(
                    "it could not be executed: {} `{}`: {} ({errno:?})",
                    failure.step.as_str(),
                    failure.subject,
                    errno.desc()
                ));
            }
        }
    }
}

fn record_failure(error: &io::Error) -> SpawnFailure {
    SpawnFailure::new(SpawnStep::Record, file::RECORD, errno_of(error))
}

/// Ends a command that was executed but could not be put on record: nothing could tell of it
/// later, so better not at all.
fn end_unrecorded(main: ProcessIdentity, token: &RunToken) {
    let tree = Tree::own(main, token);
    while !tree.is_gone() {
        tree.kill();
        if process::reap_waiting() == Reaped::NoChild {
            // Orphans that are no children of ours: nothing tells when they have gone.
            std::thread::yield_now();
        }
    }
}
