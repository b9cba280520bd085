//! Claiming the id of a task that is about to be started.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use super::await_end::await_unsupervised;
use super::generation::New;
use super::place::{claim_folder, refuse_other_spelling, refuse_planted_log, taken};
use super::settle::Settled;
use super::stop::end_processes;
use crate::client::Client;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::IfRunning;
use crate::store::{
    Condition, HOME_VARIABLE, Home, ShortLock, TaskDir, encode_record, file, observe_settled,
    read_all, remove_task,
};
use crate::supervisor::ID_VARIABLE;
use crate::task::{Task, TaskId};

/// An id that a new generation may have, under its short lock.
pub(super) struct Claimed {
    pub id: TaskId,
    pub dir: TaskDir,
    pub lock: ShortLock,
    /// The record that it replaces.
    pub previous: Option<Vec<u8>>,
}

/// What came of a claim.
pub(super) enum Claim {
    Free(Claimed),
    /// The task runs, and is all that is asked for.
    Present(Box<Task>),
}

impl Claimed {
    /// The generation that begins with it.
    pub(super) fn generation<'a>(
        &'a self,
        client: &'a Client,
        home: &'a Home,
        deadline: Deadline,
    ) -> New<'a> {
        New {
            client,
            home,
            id: &self.id,
            dir: &self.dir,
            lock: &self.lock,
            deadline,
        }
    }
}

/// Claims an id of our own making.
pub(super) fn claim_any(home: &Home, deadline: Deadline) -> Result<Claimed> {
    // Somebody else may have been given the same id in this very moment: claimed by mkdir.
    loop {
        let id = TaskId::generate();
        let lock = ShortLock::take(home, &id, deadline)?;
        if let Some(dir) = claim_folder(home, &id)? {
            return Ok(Claimed {
                id,
                dir,
                lock,
                previous: None,
            });
        }
    }
}

/// Claims an id that was asked for; what runs under it makes way if that is wanted.
pub(super) fn claim(
    client: &Client,
    home: &Home,
    id: &TaskId,
    if_running: IfRunning,
    deadline: Deadline,
) -> Result<Claim> {
    loop {
        let mut lock = ShortLock::take(home, id, deadline)?;
        refuse_other_spelling(home, id, &mut lock)?;
        refuse_planted_log(home, id)?;
        let Some(observed) = observe_settled(home, id, &lock)? else {
            // What a caller that was killed left behind is no task yet.
            remove_task(home, id)?;
            let dir = claim_folder(home, id)?.ok_or_else(|| taken(home, id))?;
            return Ok(Claim::Free(Claimed {
                id: id.clone(),
                dir,
                lock,
                previous: None,
            }));
        };
        let dir = home.task_dir(id)?.ok_or_else(|| taken(home, id))?;
        let mut task = Settled {
            home,
            id,
            dir,
            lock,
            observed,
        };
        if task.observed.is_newer() {
            task.observed.record()?;
        }
        let status = task.observed.status();
        if status.is_terminal() {
            let Some(settled) = task.unless_being_restarted(deadline)? else {
                continue;
            };
            task = settled;
        }
        let damaged_but_watched =
            task.observed.condition == Condition::Unreadable && task.supervisor()?.is_some();
        if !status.is_terminal() || damaged_but_watched {
            if let Some(present) = unless_it_makes_way(&task, if_running)? {
                return Ok(Claim::Present(Box::new(present)));
            }
            drop(task);
            end_processes(client, home, id, |own| own, deadline)?;
        } else if task.needs_supervisor()? {
            let stop = task.observed.record()?.spec.stop;
            task.adopt_and_stop(client, stop, deadline)?;
        } else if task.supervisor()?.is_some() {
            // The supervisor of the ended task may be busy with leftovers for a while.
            let Settled { dir, lock, .. } = task;
            drop(lock);
            await_unsupervised(home, id, &dir, deadline)?;
        } else {
            return Ok(Claim::Free(replacing(task)));
        }
    }
}

/// The task that has not ended, if that is what is asked for; `None` if it is to make way.
fn unless_it_makes_way(task: &Settled<'_>, if_running: IfRunning) -> Result<Option<Task>> {
    let id = task.id;
    match if_running {
        IfRunning::Reuse => Ok(Some(task.observed.task())),
        IfRunning::Error => Err(Error::TaskAlreadyRunning {
            id: id.clone(),
            status: task.observed.status(),
        }),
        IfRunning::Restart if is_within(task.home, id) => Err(Error::Unsupported {
            message: format!("{id} cannot replace itself: this caller would end with it"),
            hint:
                "Use restart, which goes on without its caller, or start from outside of the task."
                    .to_owned(),
        }),
        IfRunning::Restart => Ok(None),
    }
}

/// The id of a task that has ended, with the record that is to be replaced.
fn replacing(task: Settled<'_>) -> Claimed {
    let previous = match task.observed.record() {
        Ok(record) => encode_record(record).unwrap_or_default(),
        Err(_) => read_all(task.dir.as_fd(), file::RECORD).unwrap_or_default(),
    };
    let Settled { id, dir, lock, .. } = task;
    Claimed {
        id: id.clone(),
        dir,
        lock,
        previous: Some(previous),
    }
}

/// Whether this process was started by the task itself.
fn is_within(home: &Home, id: &TaskId) -> bool {
    let is = |name: &str, value: &OsStr| std::env::var_os(name).is_some_and(|it| it == *value);
    is(ID_VARIABLE, OsStr::new(id.as_str())) && is(HOME_VARIABLE, home.path().as_os_str())
}
