//! Executing the command of a run: everything that can fail is tried in an order in which each
//! failure can be undone, and named.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use nix::errno::Errno;

use super::cgroup::Leaf;
use super::command::Command;
use super::confine::Plan;
use super::growth::Growth;
use super::handshake::{SpawnFailure, is_heard};
use super::input::{Prepared, remove_names};
use super::launch::errno_of;
use super::ledger::Ledger;
use super::log_file::{LogPlace, LogSource, Logs};
use super::placement::Placement;
use super::tree::Tree;
use crate::error::SpawnStep;
use crate::log::LogStream;
use crate::process::{self, Reaped};
use crate::store::{Home, file, forget_text, settle_text};
use crate::task::{ProcessIdentity, RunToken, Stderr};

/// What is to be undone when the command cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// The task is new: nothing of it stays.
    Remove,
    /// There was a record, and it stays as it was.
    Restore,
    /// The failure is how the task ended: the run before is over, or nobody is there to be told.
    Record,
    /// A restart has ended the run before, and that is how the task has ended.
    EarlierRun,
    /// The record: whoever asked decides what follows.
    Nothing,
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
        self.try_execute(log)
            .inspect_err(|failure| self.take_back(log, undo, failure, handshake))
    }

    /// Undoes what has been made of a run that comes to nothing.
    pub(super) fn take_back(
        &mut self,
        log: LogSource,
        undo: Undo,
        failure: &SpawnFailure,
        handshake: &Option<OwnedFd>,
    ) {
        let undo = match undo {
            // With nobody left to answer, the record is where the failure is told.
            Undo::Remove | Undo::EarlierRun if !is_heard(handshake) => Undo::Record,
            undo => undo,
        };
        self.undo(log, undo, failure);
    }

    fn try_execute(&mut self, source: LogSource) -> Result<ProcessIdentity, SpawnFailure> {
        let workdir = self.command().open_workdir()?;
        if matches!(source, LogSource::Present) {
            // The supervisor that began the generation may have been killed before it could.
            let _ = settle_text(&self.ledger.dir, &self.ledger.record, false);
        }
        let input = Prepared::open(&self.ledger.dir, &self.ledger.record)?;
        let (mut logs, modified) = self.open_logs(source)?;
        let before = logs.lengths_from(source);
        self.ledger
            .allocate_end()
            .map_err(|error| record_failure(&error))?;
        self.ledger.executing();
        let main = self.execute_within_limits(&workdir, &input, &logs)?;
        // The record before what it replaces: a disk that is too full for it must not have cost
        // the earlier log and journal.
        if let Err(error) = self.ledger.running(main, before) {
            end_unrecorded(main, &self.ledger.record.facts.run_token);
            return Err(record_failure(&error));
        }
        let placed = self.put_in_place(&mut logs, source);
        if let Err(error) = placed.and_then(|()| self.ledger.settled(source.replaced())) {
            end_unrecorded(main, &self.ledger.record.facts.run_token);
            return Err(self.log_failure(LogStream::Main, &error));
        }
        let record = &self.ledger.record;
        let (generation, limits) = (record.facts.generation.clone(), record.spec.limits);
        let growth = Growth::new(logs, generation, limits, before, modified);
        self.ledger.growth = Some(growth);
        self.ledger.input = input.input;
        Ok(main)
    }

    fn execute_within_limits(
        &mut self,
        workdir: &OwnedFd,
        input: &Prepared,
        logs: &Logs,
    ) -> Result<ProcessIdentity, SpawnFailure> {
        let limits = self.ledger.record.spec.limits;
        let failure = |errno| SpawnFailure::new(SpawnStep::Limits, "limits", errno);
        // The caller has asked the same before: it differs only if somebody has changed the host.
        let plan = Plan::of(&limits)
            .map_err(|error| failure(Errno::EOPNOTSUPP).explained(error.to_string()))?;
        let Some(plan) = plan else {
            return self.command().execute(workdir, input, logs, None);
        };
        if let Some(place) = &plan.place {
            let record = &self.ledger.record;
            let leaf = Leaf::make(&self.ledger.dir, &record.id, &record.facts.run_token, place);
            let leaf = leaf.map_err(|error| {
                let folder = place.folder.to_string_lossy();
                SpawnFailure::new(SpawnStep::Limits, folder, errno_of(&error))
            })?;
            self.ledger.leaf = Some(leaf);
        }
        plan.confine(self.ledger.leaf.as_ref())
            .map_err(failure)
            .and_then(|confined| {
                self.command()
                    .execute(workdir, input, logs, Some(&confined))
            })
    }

    fn command(&self) -> Command<'_> {
        let record = &self.ledger.record;
        Command {
            home: self.home,
            id: &record.id,
            spec: &record.spec,
            facts: &record.facts,
        }
    }

    fn log_place(&self, stream: LogStream) -> LogPlace<'_> {
        LogPlace {
            home: self.home,
            dir: &self.ledger.dir,
            id: &self.ledger.record.id,
            stream,
        }
    }

    /// The logs, and when they were last written to.
    pub(super) fn open_logs(&self, source: LogSource) -> Result<(Logs, SystemTime), SpawnFailure> {
        let open = |stream| {
            self.open_log(source, stream)
                .map_err(|error| self.log_failure(stream, &error))
        };
        let (main, mut in_folder, mut modified) = open(LogStream::Main)?;
        let stderr = match self.ledger.record.spec.stderr {
            Stderr::Merge => None,
            Stderr::Separate => {
                let (log, named, written) = open(LogStream::Stderr)?;
                in_folder &= named;
                modified = modified.max(written);
                Some(log)
            }
        };
        let logs = Logs {
            main,
            stderr,
            in_folder,
        };
        Ok((logs, modified))
    }

    fn open_log(
        &self,
        source: LogSource,
        stream: LogStream,
    ) -> io::Result<(File, bool, SystemTime)> {
        let (log, in_folder) = self.log_place(stream).open(source)?;
        let metadata = log.metadata()?;
        if !metadata.is_file() {
            return Err(Errno::EINVAL.into());
        }
        Ok((log, in_folder, metadata.modified()?))
    }

    /// Puts new logs in their place.
    pub(super) fn put_in_place(&self, logs: &mut Logs, source: LogSource) -> io::Result<()> {
        if !matches!(source, LogSource::Present) {
            let placement = Placement {
                home: self.home,
                dir: &self.ledger.dir,
                record: &self.ledger.record,
            };
            logs.in_folder = placement.put_in_place(source, self.ledger.leaf.is_some())?;
        }
        Ok(())
    }

    pub(super) fn log_failure(&self, stream: LogStream, error: &io::Error) -> SpawnFailure {
        let name = stream.public_name(&self.ledger.record.id);
        SpawnFailure::new(SpawnStep::Log, name, errno_of(error))
    }

    /// Looks after the logs of a run that another supervisor executed. Where they cannot be opened
    /// (no descriptors, say) nobody does.
    pub(super) fn attend_to_logs(self) {
        let Ok((logs, modified)) = self.open_logs(LogSource::Present) else {
            return;
        };
        let record = &self.ledger.record;
        let (generation, limits) = (record.facts.generation.clone(), record.spec.limits);
        let before = logs.lengths();
        self.ledger.growth = Some(Growth::new(logs, generation, limits, before, modified));
    }

    fn undo(&mut self, log: LogSource, undo: Undo, failure: &SpawnFailure) {
        self.ledger.remove_leaf();
        let _ = self.log_place(LogStream::Main).discard(log);
        if self.ledger.record.spec.stderr == Stderr::Separate {
            let _ = self.log_place(LogStream::Stderr).discard(log);
        }
        self.ledger.discard_journal();
        let _ = remove_names(&self.ledger.dir);
        match undo {
            Undo::Remove => {
                let _ = crate::store::remove_task(self.home, &self.ledger.record.id);
            }
            Undo::Restore => {
                forget_text(&self.ledger.dir, &self.ledger.record);
                self.ledger.forget_work();
                self.ledger.restore_previous();
            }
            Undo::EarlierRun if self.ledger.earlier_run_ended() => {}
            Undo::Record | Undo::EarlierRun => self.record_failure(failure),
            Undo::Nothing => {}
        }
    }

    /// The failure is how the task ended.
    pub(super) fn record_failure(&mut self, failure: &SpawnFailure) {
        // A restart reads it.
        let _ = settle_text(&self.ledger.dir, &self.ledger.record, true);
        self.ledger.failed_to_start(failure.to_string());
    }
}

pub(super) fn record_failure(error: &io::Error) -> SpawnFailure {
    SpawnFailure::new(SpawnStep::Record, file::RECORD, errno_of(error))
}

/// Ends a command that was executed but could not be put on record: nothing could tell of it
/// later, so better not at all.
fn end_unrecorded(main: ProcessIdentity, token: &RunToken) {
    // It has not been reaped, so this needs no look at /proc.
    process::kill_group(main.pid);
    let tree = Tree::own(main, token);
    while !tree.is_gone() {
        tree.kill();
        if process::reap_waiting() == Reaped::NoChild {
            // Orphans that are no children of ours: nothing tells when they have gone.
            std::thread::yield_now();
        }
    }
}
