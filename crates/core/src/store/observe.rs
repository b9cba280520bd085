//! What is true of a task at this moment: the one answer that every command gives.
//!
//! A living supervisor keeps the record true. Where there is none any more, a reader works out
//! what the supervisor could not write; it never writes that back. Concluding that a supervisor
//! is lost takes care, because one may be about to begin, and one may just have ended properly:
//!
//! 1. read the record: it says `starting` or `running`;
//! 2. the supervisor lock is free;
//! 3. the short lock is free (a new supervisor holds it until it has the other), and then the
//!    successor's place (a successor lets go of the short lock once it has that);
//! 4. the supervisor lock is still free;
//! 5. the record still has the same revision. Otherwise start over.

use super::derive::{end_unseen, failed, first_marked};
use super::format::ReadFailure;
use super::observed::Unreadable;
use super::{
    Candidacy, Condition, Holder, Home, Observed, ShortLock, SupervisorLock, TaskDir, file,
};
use std::path::Path;

use crate::error::{Error, Result};
use crate::process;
use crate::task::{FailReason, Health, ProcessIdentity, RunToken, TaskId, TaskRecord, TaskState};

/// Observes a task as a reader does; `None` when there is no such task.
///
/// # Errors
/// [`Error::Store`] when its files cannot be reached. A damaged record is no error here.
pub(crate) fn observe(home: &Home, id: &TaskId) -> Result<Option<Observed>> {
    Observer {
        home,
        id,
        changer: false,
    }
    .observe()
}

/// Observes one of many tasks: one that cannot be reached is shown as damaged, so that it neither
/// hides nor goes unseen. `None` when it is not there (any more).
///
/// # Errors
/// [`Error::Store`] when it is this process that lacks descriptors or memory.
pub(crate) fn observe_among_others(home: &Home, id: &TaskId) -> Result<Option<Observed>> {
    match observe(home, id) {
        Err(error) if error.retryable() => Err(error),
        Err(error) => {
            let observer = Observer {
                home,
                id,
                changer: false,
            };
            Ok(Some(observer.unreadable(error.to_string(), None)))
        }
        found => found,
    }
}

/// Observes a task under its short lock, when nobody else can be changing it.
///
/// # Errors
/// As [`observe`].
pub(crate) fn observe_settled(
    home: &Home,
    id: &TaskId,
    _lock: &ShortLock,
) -> Result<Option<Observed>> {
    Observer {
        home,
        id,
        changer: true,
    }
    .observe()
}

struct Observer<'a> {
    home: &'a Home,
    id: &'a TaskId,
    changer: bool,
}

impl Observer<'_> {
    fn observe(&self) -> Result<Option<Observed>> {
        loop {
            let dir = match self.home.task_dir(self.id) {
                Ok(Some(dir)) => dir,
                Ok(None) => return Ok(None),
                // It is this process that lacks what it takes to look.
                Err(error) if error.retryable() => return Err(error),
                Err(error) => return Ok(Some(self.unreadable(error.to_string(), None))),
            };
            let record = match dir.read_record() {
                Ok(record) if record.id == *self.id => record,
                Ok(record) => {
                    let problem = format!("task.json speaks of another task, {}", record.id);
                    return Ok(Some(self.unreadable(problem, None)));
                }
                // The record is written before any supervisor begins. Only one that is missing
                // after the lock was seen, in a folder that nobody is taking away, has been lost.
                Err(ReadFailure::Missing) if dir.exists(file::SUPERVISOR_LOCK) => {
                    let is_missing = matches!(dir.read_record(), Err(ReadFailure::Missing));
                    if is_missing && dir.is_same(self.home.task_dir(self.id)?.as_ref()) {
                        return Ok(Some(
                            self.unreadable("task.json is missing".to_owned(), None),
                        ));
                    }
                    continue;
                }
                // A caller was killed before it had written anything: there is no task yet.
                Err(ReadFailure::Missing) => return Ok(None),
                Err(ReadFailure::Corrupt(problem)) => {
                    return Ok(Some(
                        self.unreadable(format!("task.json is damaged: {problem}"), None),
                    ));
                }
                Err(ReadFailure::Newer(version)) => {
                    let problem = format!(
                        "task.json has format {version}, this build reads up to {}: update background-tasks",
                        super::FORMAT_VERSION
                    );
                    return Ok(Some(self.unreadable(problem, Some(version))));
                }
                Err(ReadFailure::Io(error)) => {
                    return Err(self.home.error(
                        "read",
                        &format!("tasks/{}/task.json", self.id),
                        error,
                    ));
                }
            };
            if let Some(observed) = self.judge(&dir, record)? {
                return Ok(Some(observed));
            }
        }
    }

    /// `None` when the task changed meanwhile and must be read again.
    fn judge(&self, dir: &TaskDir, mut record: TaskRecord) -> Result<Option<Observed>> {
        let ended = |record: &TaskRecord| record.facts.state.status().is_terminal();
        if ended(&record) || self.believe_end(dir, &mut record) && ended(&record) {
            return Ok(Some(self.readable(record, Condition::Ended)));
        }
        match self.holder(dir)? {
            Holder::Supervisor(pid) => {
                return Ok(Some(self.readable(record, Condition::Supervised(pid))));
            }
            Holder::Elsewhere => {
                return Ok(Some(self.readable(record, Condition::SupervisedElsewhere)));
            }
            Holder::Nobody => {}
        }
        let is_changing = !self.changer && !ShortLock::is_free(self.home, self.id)?;
        if is_changing || self.successor(dir)? != Holder::Nobody {
            return Ok(self
                .unchanged(dir, &record)
                .then(|| self.readable(record, Condition::Changing)));
        }
        if self.holder(dir)? != Holder::Nobody {
            return Ok(None);
        }
        if !self.unchanged(dir, &record) {
            return Ok(None);
        }
        let condition = self.conclude(dir, &mut record)?;
        Ok(Some(self.readable(record, condition)))
    }

    fn holder(&self, dir: &TaskDir) -> Result<Holder> {
        SupervisorLock::holder(dir).map_err(|error| self.lock_error(error))
    }

    fn successor(&self, dir: &TaskDir) -> Result<Holder> {
        Candidacy::holder(dir).map_err(|error| self.lock_error(error))
    }

    fn lock_error(&self, error: std::io::Error) -> Error {
        let name = format!("tasks/{}", self.id);
        self.home.error("ask for the lock of", &name, error)
    }

    /// A valid end of this very run outranks the record: on a full disk only the end is written.
    fn believe_end(&self, dir: &TaskDir, record: &mut TaskRecord) -> bool {
        dir.read_end()
            .is_some_and(|end| end.complete(&mut record.facts))
    }

    fn unchanged(&self, dir: &TaskDir, record: &TaskRecord) -> bool {
        let same = |now: TaskRecord| {
            now.facts.revision == record.facts.revision
                && now.facts.generation == record.facts.generation
        };
        let ended = || {
            dir.read_end()
                .is_some_and(|end| end.complete(&mut record.facts.clone()))
        };
        dir.read_record().is_ok_and(same) && !ended()
    }

    /// No supervisor, and nobody about to be one: what has become of the command?
    fn conclude(&self, dir: &TaskDir, record: &mut TaskRecord) -> Result<Condition> {
        let boot = process::boot_id().map_err(|error| {
            Error::store("read the name of this boot in", Path::new("/proc"), &error)
        })?;
        let facts = &mut record.facts;
        if facts.boot_id != boot {
            let problem = "the machine was started anew while the task ran".to_owned();
            facts.state = failed(&facts.state, FailReason::HostRebooted, problem);
            return Ok(Condition::Lost);
        }
        match &facts.state {
            TaskState::Running { main, .. } if process::may_be_alive(main) => {
                Ok(Condition::Unsupervised)
            }
            TaskState::Running {
                main_exit: Some(_), ..
            } if self.first_marked(&facts.run_token)?.is_some() => Ok(Condition::Unsupervised),
            TaskState::Starting => {
                // Killed between executing the command and recording it: the command may live.
                if let Some(main) = self.first_marked(&facts.run_token)? {
                    facts.state = TaskState::running(main, facts.updated_at, Health::None);
                    return Ok(Condition::Unsupervised);
                }
                // It came to nothing: what it was about to replace still holds.
                if let Some(previous) = dir.read_previous_of(facts)
                    && previous.facts.state.status().is_terminal()
                {
                    *record = previous;
                    return Ok(Condition::Ended);
                }
                facts.state = end_unseen(&facts.state, dir);
                Ok(Condition::Lost)
            }
            state => {
                facts.state = end_unseen(state, dir);
                Ok(Condition::Lost)
            }
        }
    }

    fn first_marked(&self, token: &RunToken) -> Result<Option<ProcessIdentity>> {
        first_marked(token).map_err(|error| {
            let name = format!("tasks/{}", self.id);
            self.home.error("look for the processes of", &name, error)
        })
    }

    fn readable(&self, record: TaskRecord, condition: Condition) -> Observed {
        Observed {
            id: self.id.clone(),
            condition,
            record: Ok(record),
            log_path: self.home.log_path(self.id),
        }
    }

    fn unreadable(&self, problem: String, newer: Option<u32>) -> Observed {
        Observed {
            id: self.id.clone(),
            condition: Condition::Unreadable,
            record: Err(Unreadable { problem, newer }),
            log_path: self.home.log_path(self.id),
        }
    }
}
