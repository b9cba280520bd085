//! Everything that a supervisor puts on record. It is the only writer while it lives.

mod ends;
mod inputs;
mod pauses;
mod runs;
mod work;
mod writes;

pub(crate) use runs::About;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::cgroup::Leaf;
use super::growth::Growth;
use super::input::Input;
use super::log_file::remove;
use crate::clock::{Stopwatch, Timestamp};
use crate::event::{EventData, Journal};
use crate::log::timeline::Lengths;
use crate::store::{
    EndRecord, Replaced, Replaces, TaskDir, Unsettled, create_new, file, is_regular, make_anew,
    sweep_leftovers,
};
use crate::task::{
    Health, ProcessIdentity, Reason, Recipient, RunSpan, SignalNumber, StopSettings, TaskRecord,
    TaskState,
};

/// The record, the journal, the times of the logs, the preallocated end, and the FIFO that tells
/// of the end.
pub(crate) struct Ledger {
    pub dir: TaskDir,
    pub record: TaskRecord,
    /// How the logs grow; set when this process has executed the present run.
    pub growth: Option<Growth>,
    /// What can be sent to it; set likewise.
    pub input: Option<Input>,
    /// What the last probe of the present run found wrong.
    pub last_problem: Option<String>,
    /// The group of the present run; only a task with limits has one.
    pub leaf: Option<Leaf>,
    /// What is left to be done of the last writing of the record.
    unsettled: Cell<Option<Unsettled>>,
    /// What the next writing of the record replaces.
    replaces: Replaces,
    journal: Journal,
    end: Option<File>,
    /// Set when this process executes the present run: since when.
    executed: Option<(Timestamp, Stopwatch)>,
    live: Option<OwnedFd>,
}

impl Ledger {
    pub(crate) fn open(dir: TaskDir, record: TaskRecord, journal: Journal, live: OwnedFd) -> Self {
        Self {
            replaces: Replaces::of(&record),
            dir,
            record,
            growth: None,
            input: None,
            last_problem: None,
            leaf: None,
            unsettled: Cell::new(None),
            journal,
            end: None,
            executed: None,
            live: Some(live),
        }
    }

    /// Allocates the file in which the end of the run will be told, before the run begins.
    pub(crate) fn allocate_end(&mut self) -> io::Result<()> {
        let end = match self.open_end() {
            Some(end) => end,
            None => make_anew(&self.dir, file::END, || {
                create_new(self.dir.as_fd(), file::END)
            })?,
        };
        EndRecord::preallocate(&end)?;
        self.end = Some(end);
        Ok(())
    }

    /// The file of the run before, whose place on the disk is needed again: where the disk is full
    /// there is no other. It is written over, so it must be a file that nothing else leads to.
    fn open_end(&self) -> Option<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let end = openat(&self.dir, file::END, flags, Mode::empty()).ok()?;
        let stat = fstat(&end).ok()?;
        (is_regular(&stat) && stat.st_nlink == 1).then(|| File::from(end))
    }

    /// The command is being executed: its time begins.
    pub(crate) fn executing(&mut self) {
        self.executed = Some((Timestamp::now(), Stopwatch::start()));
    }

    /// The command has been executed. `before`: how long its logs were then.
    ///
    /// The journal first: a follower gives no line of a run before it has seen it begin.
    pub(crate) fn running(&mut self, main: ProcessIdentity, before: Lengths) -> io::Result<()> {
        self.note_start(main, before)?;
        let (started_at, _) = self
            .executed
            .unwrap_or_else(|| (Timestamp::now(), Stopwatch::start()));
        let health = match self.record.spec.health {
            Some(_) => Health::Starting,
            None => Health::None,
        };
        self.prepare(TaskState::running(main, started_at, health));
        // Its caller waits for the answer, and many a run is over before this would be on the disk.
        self.put()
    }

    pub(super) fn note_start(&mut self, main: ProcessIdentity, before: Lengths) -> io::Result<()> {
        let facts = &mut self.record.facts;
        facts.cleared = false;
        let started = EventData::Started {
            pid: main.pid,
            run: facts.run,
            work: facts.work,
        };
        self.journal.append(&self.dir, facts, before, started)
    }

    /// The run is on record and its log in place: what was before it is not needed any more.
    pub(crate) fn settled(&mut self, replaced: Option<Replaced>) -> io::Result<()> {
        self.journal.publish(&self.dir)?;
        if let Some(replaced) = replaced {
            sweep_leftovers(&self.dir, &self.record, replaced);
            let _ = self.forget_previous();
        }
        Ok(())
    }

    /// Lets the logs be looked at, in the task's folder.
    pub(crate) fn with_growth(&mut self, look: impl FnOnce(&mut Growth, &TaskDir)) {
        if let Some(growth) = &mut self.growth {
            look(growth, &self.dir);
        }
    }

    /// The run has come to nothing.
    pub(crate) fn discard_journal(&self) {
        self.journal.discard(&self.dir);
    }

    /// A task whose supervisor was lost is ours now.
    pub(crate) fn adopted(&mut self) {
        self.end = self.open_end();
        let (id, token) = (&self.record.id, &self.record.facts.run_token);
        if !self.record.spec.limits.is_unlimited() {
            self.leaf = Leaf::of_run(&self.dir, id, token);
        }
        // On a full disk it stays as it is; the end can be told all the same.
        let written = self.rewrite();
        // Whoever was lost may not have come to it.
        if written.is_ok() && self.record.facts.state != TaskState::Starting {
            let _ = self.forget_previous();
        }
    }

    /// Nothing of the run is left.
    pub(crate) fn remove_leaf(&mut self) {
        if let Some(leaf) = self.leaf.take() {
            leaf.remove(&self.dir);
        }
    }

    fn forget_previous(&self) -> io::Result<()> {
        remove(&self.dir, file::PREVIOUS_RECORD)
    }

    pub(crate) fn note_stop_request(&mut self, stop: StopSettings, reason: Reason) {
        self.note(EventData::stop_requested(stop, reason));
        // The signal is followed by SIGCONT: what was paused goes on.
        self.set_paused(false);
    }

    /// The hook has ended, or could not be run.
    pub(crate) fn hook_ended(&mut self, outcome: EventData) {
        self.note(outcome);
    }

    /// How the task fares, as far as is on record.
    pub(crate) fn health(&self) -> Health {
        match self.record.facts.state {
            TaskState::Running { health, .. } => health,
            _ => Health::None,
        }
    }

    /// Its probe says something else than before.
    pub(crate) fn set_health(&mut self, now: Health, problem: Option<String>) {
        if let TaskState::Running { health, .. } = &mut self.record.facts.state {
            *health = now;
            self.note(EventData::Health {
                health: now,
                problem,
            });
            let _ = self.rewrite();
        }
    }

    /// A line matched a watch.
    pub(crate) fn log_matched(&mut self, event: EventData) {
        self.note(event);
    }

    /// A signal was sent on someone's behalf.
    pub(crate) fn signal_sent(&mut self, signal: SignalNumber, to: Recipient) {
        self.note(EventData::SignalSent { signal, to });
    }

    /// Puts on record how far wishes have been carried out, while the run lasts.
    pub(crate) fn wish_done(&mut self) {
        if matches!(self.record.facts.state, TaskState::Running { .. }) {
            let _ = self.rewrite();
        }
    }

    /// How long the present run has lasted.
    pub(crate) fn run_time(&self) -> Duration {
        match (self.executed, &self.record.facts.state) {
            (Some((_, watch)), _) => Duration::from_millis(watch.elapsed_ms()),
            // Another process executed it: by the clock on the wall.
            (None, TaskState::Running { started_at, .. }) => {
                Duration::from_millis(Timestamp::now().millis_since(*started_at))
            }
            (None, _) => Duration::ZERO,
        }
    }

    /// Journal entries are lost on a full disk; the end of a task is not (see `conclude`).
    fn note(&mut self, event: EventData) {
        let lengths = match &self.growth {
            Some(growth) => growth.lengths(),
            None => Lengths {
                main: self.dir.size_of(file::LOG),
                stderr: self.dir.size_of(file::STDERR_LOG),
            },
        };
        let facts = &self.record.facts;
        let _ = self.journal.append(&self.dir, facts, lengths, event);
    }

    /// Puts the end on record: first in place, where no disk can be too full for it, then where
    /// everybody looks. Whoever waits is woken last.
    fn conclude(&mut self, state: TaskState) {
        self.with_growth(Growth::run_ended);
        let event = EventData::of_end(&state, &self.record.spec);
        self.prepare(state);
        if let Some(end) = &self.end {
            let _ = EndRecord::of(&self.record.facts).write(end);
        }
        let _ = self.put();
        if let Some(event) = event {
            self.note(event);
        }
        self.live = None;
        // Who has been woken by that on this very processor goes first.
        std::thread::yield_now();
        self.settle_record();
    }

    fn span(&self) -> Option<RunSpan> {
        let TaskState::Running { started_at, .. } = self.record.facts.state else {
            return None;
        };
        let now = Timestamp::now();
        let duration_ms = match self.executed {
            Some((_, watch)) => watch.elapsed_ms(),
            None => now.millis_since(started_at),
        };
        Some(RunSpan {
            started_at,
            exited_at: Some(now),
            duration_ms: Some(duration_ms),
        })
    }
}
