//! A generation of a task about to begin: claiming its id and its places, putting it on record,
//! launching its supervisor.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};

use super::settle::await_unsupervised;
use crate::client::Client;
use crate::clock::{Deadline, Timestamp};
use crate::error::{Error, Result, SpawnStep};
use crate::process;
use crate::request::invalid;
use crate::store::{
    FORMAT_VERSION, Home, ShortLock, TASKS, TaskDir, file, first_marked, forget_text, is_regular,
    keep_text, mark_ttl, observe_settled, remove_task, stat,
};
use crate::supervisor::{Errand, Launch, LaunchTask, Pending};
use crate::task::{Facts, Generation, RunToken, Task, TaskId, TaskRecord, TaskSpec, TaskState};

/// On a filesystem that folds case, two spellings would be one folder; so nowhere are there two.
pub(super) fn refuse_other_spelling(home: &Home, id: &TaskId, lock: &mut ShortLock) -> Result<()> {
    let lock_error = |error| home.error("read", &format!("locks/{id}.lock"), error);
    let lower = id.as_str().to_ascii_lowercase();
    let recorded = lock.recorded_spelling().map_err(lock_error)?;
    let other = recorded
        .clone()
        .or_else(|| TaskId::parse(&lower).ok())
        .filter(|other| other != id);
    if let Some(other) = other
        && observe_settled(home, &other, lock)?.is_some()
    {
        return Err(invalid(
            "id",
            format!("{id} differs from the existing task {other} only in case"),
            "Use that task's spelling, or another id.",
        ));
    }
    if recorded.as_ref() != Some(id) && (recorded.is_some() || id.as_str() != lower) {
        lock.record_spelling(id).map_err(lock_error)?;
    }
    Ok(())
}

/// What stands where the log will be must be a log.
pub(super) fn refuse_planted_log(home: &Home, id: &TaskId) -> Result<()> {
    for name in [Home::log_name(id), Home::stderr_log_name(id)] {
        let found = stat(home, &name).map_err(|error| home.error("look at", &name, error))?;
        if found.is_some_and(|found| !is_regular(&found)) {
            return Err(Error::Store {
                action: "use",
                path: home.path().join(&name),
                problem: "something that is not a regular file stands in place of the log"
                    .to_owned(),
                errno: None,
                hint: "Find out who put it there, then remove it.".to_owned(),
            });
        }
    }
    Ok(())
}

/// Makes the task's folder; `None` when it is there already.
pub(super) fn claim_folder(home: &Home, id: &TaskId) -> Result<Option<TaskDir>> {
    let name = format!("{TASKS}/{id}");
    let made = match mkdirat(home, name.as_str(), Mode::S_IRWXU) {
        Err(Errno::ENOENT) => {
            home.make_layout()?;
            mkdirat(home, name.as_str(), Mode::S_IRWXU)
        }
        other => other,
    };
    match made {
        Ok(()) => home.task_dir(id),
        Err(Errno::EEXIST) => Ok(None),
        Err(errno) => Err(home.error("create", &name, errno)),
    }
}

pub(super) fn taken(home: &Home, id: &TaskId) -> Error {
    home.error("create", &format!("{TASKS}/{id}"), Errno::EEXIST)
}

/// How long a supervisor's answer is waited for at the least. `--timeout` limits how long the *end*
/// of a task is waited for; a caller in a hurry still wants to know whether it began.
const HANDSHAKE: Duration = Duration::from_secs(10);

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
        let pending = self.record(spec, submitted_at).and_then(|record| {
            match self.prepare(&record, previous) {
                Ok(pending) => Ok((pending, record)),
                Err(error) => {
                    forget_text(self.dir, &record);
                    Err(error)
                }
            }
        });
        let (pending, record) = pending.inspect_err(|_| self.undo(previous))?;
        let facts = pending
            .wait(self.deadline.later(Deadline::after(HANDSHAKE)))
            .inspect_err(|error| self.clean_up_after(error, &record, previous))?;
        let record = TaskRecord { facts, ..record };
        Ok(Task::of(&record, &self.home.log_path(self.id), true))
    }

    fn prepare(&self, record: &TaskRecord, previous: Option<&[u8]>) -> Result<Pending> {
        let name = format!("{TASKS}/{}/{}", self.id, file::RECORD);
        let write_error = |error| self.home.error("write", &name, error);
        if let Some(ttl) = record.spec.ttl_ms {
            mark_ttl(self.home, self.id, record.facts.created_at.after_ms(ttl))?;
        }
        if let Some(previous) = previous {
            self.dir.keep_previous(previous).map_err(write_error)?;
        }
        keep_text(self.dir, record)
            .map_err(|error| self.home.error("keep the standard input of", &name, error))?;
        // First the FIFO, then the record: whoever sees the record has something to wait on.
        let launch = Launch::prepare(LaunchTask {
            home: self.home,
            id: self.id,
            dir: self.dir,
        })?;
        self.dir.write_record(record).map_err(write_error)?;
        launch.go(Errand::Start, self.client.supervisor(), self.lock)
    }

    /// A supervisor that failed by itself may not have come to undo anything. If it was killed
    /// just after it had executed the command, the task stays: it is a lost one then.
    fn clean_up_after(&self, error: &Error, record: &TaskRecord, previous: Option<&[u8]>) {
        let no_supervisor = matches!(
            error,
            Error::SpawnFailed {
                step: SpawnStep::Supervisor,
                ..
            }
        );
        if no_supervisor
            && await_unsupervised(self.home, self.id, self.dir, self.deadline).is_ok()
            && first_marked(&record.facts.run_token).is_none()
        {
            forget_text(self.dir, record);
            self.undo(previous);
        }
    }

    /// There is no supervisor that could do it.
    fn undo(&self, previous: Option<&[u8]>) {
        let _ = match previous {
            // Written again as it was, where it has been replaced at all.
            Some(previous) => self.dir.restore(previous).map_err(|_| ()),
            None => remove_task(self.home, self.id).map(|_| ()).map_err(|_| ()),
        };
    }

    fn record(&self, spec: &TaskSpec, submitted_at: Timestamp) -> Result<TaskRecord> {
        let boot_id = process::boot_id().map_err(|error| {
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
                state: TaskState::Starting,
            },
            spec: spec.clone(),
        })
    }
}
