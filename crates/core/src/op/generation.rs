//! A generation of a task about to begin: putting it on record, launching its supervisor.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::await_end::await_unsupervised;
use super::settle::take_charge;
use crate::client::Client;
use crate::clock::{Deadline, Timestamp};
use crate::error::{Error, Result};
use crate::process;
use crate::store::{
    Awaited, FORMAT_VERSION, Home, Line, Replaces, ShortLock, TASKS, TaskDir, Ticket, Work, file,
    first_marked, forget_text, keep_text, mark_ttl, observe_settled, remove_task,
};
use crate::supervisor::{Errand, Launch, LaunchTask, Pending};
use crate::task::{Facts, Generation, RunToken, Task, TaskId, TaskRecord, TaskSpec, TaskState};

/// How long a supervisor's answer is waited for at the least. `--timeout` limits how long the *end*
/// of a task is waited for; a caller in a hurry still wants to know whether it began.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// A generation about to begin, under the task's short lock.
pub(super) struct New<'a> {
    pub client: &'a Client,
    pub home: &'a Home,
    pub id: &'a TaskId,
    pub dir: &'a TaskDir,
    pub lock: &'a ShortLock,
    pub deadline: Deadline,
}

impl New<'_> {
    /// Puts the new generation on record and launches its supervisor. `previous` is the record
    /// that it replaces, which stays if the command cannot be executed.
    pub(super) fn launch(
        &self,
        spec: &TaskSpec,
        submitted_at: Timestamp,
        previous: Option<&[u8]>,
    ) -> Result<Task> {
        let record = self.record(spec, submitted_at, previous)?;
        // First the FIFO, then the record: whoever sees the record has something to wait on.
        let launched = self
            .announce(&record, previous)
            .and_then(|()| self.prepare())
            .and_then(|launch| {
                self.put_on_record(&record, previous)?;
                self.go(launch)
            });
        let pending = launched.inspect_err(|_| self.undo(&record, previous))?;
        self.answer(pending, &record, previous)
    }

    /// What has to be on disk before the record is.
    fn announce(&self, record: &TaskRecord, previous: Option<&[u8]>) -> Result<()> {
        if let Some(ttl) = record.spec.ttl_ms {
            mark_ttl(self.home, self.id, record.facts.created_at.after_ms(ttl))?;
        }
        if let Some(previous) = previous {
            self.dir
                .keep_previous(previous)
                .map_err(|error| self.write_error(error))?;
        }
        self.keep_first_work(record)
            .and_then(|()| keep_text(self.dir, record))
            .map_err(|error| self.write_error(error))
    }

    fn keep_first_work(&self, record: &TaskRecord) -> io::Result<()> {
        let Some(extension) = &record.spec.extension else {
            return Ok(());
        };
        // An empty file says that no more is taken.
        if extension.first_work.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let before = Facts {
            work: 0,
            ..record.facts.clone()
        };
        let work = Work::of(self.dir, &record.facts);
        work.give(&before, &extension.first_work).map(|_| ())
    }

    fn put_on_record(&self, record: &TaskRecord, previous: Option<&[u8]>) -> Result<()> {
        let replaces = match previous {
            Some(_) => Replaces::AnEnd,
            None => Replaces::NoEnd,
        };
        self.dir
            .write_record(record, replaces)
            .map_err(|error| self.write_error(error))
    }

    fn write_error(&self, error: io::Error) -> Error {
        let name = format!("{TASKS}/{}/{}", self.id, file::RECORD);
        self.home.error("write", &name, error)
    }

    fn prepare(&self) -> Result<Launch<'_>> {
        Launch::prepare(self.launch_task())
    }

    fn launch_task(&self) -> LaunchTask<'_> {
        LaunchTask {
            home: self.home,
            id: self.id,
            dir: self.dir,
        }
    }

    fn go(&self, launch: Launch<'_>) -> Result<Pending> {
        launch.go(Errand::Start, self.client.supervisor(), self.lock)
    }

    fn answer(
        &self,
        pending: Pending,
        record: &TaskRecord,
        previous: Option<&[u8]>,
    ) -> Result<Task> {
        let deadline = self.deadline.later(Deadline::after(HANDSHAKE));
        let facts = match pending.wait(deadline) {
            Err(error) if error.is_want_of_supervisor() => {
                self.without_an_answer(error, record, previous)?
            }
            heard => heard?,
        };
        let mut record = record.clone();
        record.facts = facts;
        Ok(Task::of(&record, &self.home.log_path(self.id), true))
    }

    /// The supervisor has ended before it could answer. If it was killed just after it had executed
    /// the command, the task has begun, and gets another; one that failed by itself may not have come
    /// to undo anything.
    fn without_an_answer(
        &self,
        error: Error,
        record: &TaskRecord,
        previous: Option<&[u8]>,
    ) -> Result<Facts> {
        let token = &record.facts.run_token;
        let is_alone = || await_unsupervised(self.home, self.id, self.dir, self.deadline).is_ok();
        if !is_alone() {
            return Err(error);
        }
        if let Ok(Some(observed)) = observe_settled(self.home, self.id, self.lock)
            && observed.has_begun(|facts| facts.run_token == *token)
        {
            let deadline = self.deadline.later(Deadline::after(HANDSHAKE));
            let (task, condition) = (self.launch_task(), observed.condition);
            let facts = take_charge(self.client, task, self.lock, condition, deadline)?;
            // If the command has ended before that one came, what was there before holds.
            if facts.run_token == *token {
                return Ok(facts);
            }
        }
        if is_alone() && first_marked(token).is_ok_and(|found| found.is_none()) {
            self.undo(record, previous);
        }
        Err(error)
    }

    /// Puts a generation that has to wait for its turn on record, and gives it a place in its line
    /// unless it waits for other tasks first. Nobody else may have the short lock before it is
    /// launched: without a supervisor it would count as lost.
    pub(super) fn line_up(
        &self,
        spec: &TaskSpec,
        submitted_at: Timestamp,
        previous: Option<&[u8]>,
    ) -> Result<TaskRecord> {
        let record = self.record(spec, submitted_at, previous)?;
        self.announce(&record, previous)
            .and_then(|()| self.put_on_record(&record, previous))
            .and_then(|()| self.join_line(&record))
            .inspect_err(|_| self.undo(&record, previous))?;
        Ok(record)
    }

    fn join_line(&self, record: &TaskRecord) -> Result<()> {
        let spec = &record.spec;
        let Some(queue) = spec.queue.as_ref().filter(|_| spec.after.is_none()) else {
            return Ok(());
        };
        let line = Line::open(self.home, &queue.group)?;
        let lock = line.lock(self.home, self.deadline)?;
        line.join(self.id, &record.facts.generation, &lock)
            .map_err(|error| {
                let name = format!("queues/{}", queue.group);
                self.home.error("create a ticket in", &name, error)
            })?;
        Ok(())
    }

    /// Launches the supervisor of a generation that has been [lined up](Self::line_up).
    /// `not_started`: those of the tasks that it is to run after whose own start came to nothing.
    pub(super) fn launch_recorded(
        &self,
        record: &TaskRecord,
        previous: Option<&[u8]>,
        not_started: Vec<TaskId>,
    ) -> Result<Task> {
        let launched = self
            .note_what_is_awaited(record, not_started)
            .and_then(|()| self.prepare())
            .and_then(|launch| self.go(launch));
        let pending = launched.inspect_err(|_| self.undo(record, previous));
        let task = pending.and_then(|pending| self.answer(pending, record, previous));
        if matches!(task, Err(ref error) if !matches!(error, Error::TaskWaitTimedOut { .. })) {
            self.leave_line(record);
        }
        task
    }

    fn note_what_is_awaited(&self, record: &TaskRecord, not_started: Vec<TaskId>) -> Result<()> {
        if record.spec.after.is_none() {
            return Ok(());
        }
        Awaited::write(self.dir, &record.facts.generation, not_started).map_err(|error| {
            let name = format!("{TASKS}/{}/{}", self.id, file::AWAITED);
            self.home.error("write", &name, error)
        })
    }

    /// Where the ticket stays, others find that its task is not there.
    fn leave_line(&self, record: &TaskRecord) {
        let Some(queue) = &record.spec.queue else {
            return;
        };
        if let Ok(Some(line)) = Line::find(self.home, &queue.group)
            && let Ok(tickets) = line.tickets()
        {
            let own = |ticket: &&Ticket| ticket.is_of(self.id, &record.facts.generation);
            tickets.iter().filter(own).for_each(|own| line.leave(own));
        }
    }

    /// There is no supervisor that could do it.
    fn undo(&self, record: &TaskRecord, previous: Option<&[u8]>) {
        forget_text(self.dir, record);
        Work::of(self.dir, &record.facts).forget(record.facts.work);
        self.take_back(previous);
    }

    fn take_back(&self, previous: Option<&[u8]>) {
        let _ = match previous {
            // Written again as it was, where it has been replaced at all.
            Some(previous) => self.dir.restore(previous).map_err(|_| ()),
            None => remove_task(self.home, self.id).map(|_| ()).map_err(|_| ()),
        };
    }

    fn record(
        &self,
        spec: &TaskSpec,
        submitted_at: Timestamp,
        previous: Option<&[u8]>,
    ) -> Result<TaskRecord> {
        let boot_id = process::boot_id().map_err(|error| {
            self.take_back(previous);
            Error::store("read the name of this boot in", Path::new("/proc"), &error)
        })?;
        Ok(TaskRecord {
            version: FORMAT_VERSION,
            id: self.id.clone(),
            facts: Facts {
                revision: 1,
                generation: Generation::generate(),
                run: 1,
                run_token: RunToken::generate(),
                restart_count: 0,
                boot_id,
                created_at: submitted_at,
                updated_at: submitted_at,
                wish_done: 0,
                cleared: true,
                work: u64::from(spec.extension.is_some()),
                work_closed: 0,
                state: TaskState::Starting,
            },
            spec: spec.clone(),
        })
    }
}
