//! `start`: put a task on record, launch its supervisor, answer when the command has been executed.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use super::expire::{A_FEW, expire};
use super::generation::{New, claim_folder, refuse_other_spelling, refuse_planted_log, taken};
use super::in_parallel;
use super::logs::last_lines;
use super::settle::{Settled, await_unsupervised};
use super::stop::end_processes;
use super::wait::reach;
use crate::client::{Client, find};
use crate::clock::{Deadline, Timestamp};
use crate::error::{Error, Result};
use crate::request::{BatchAnswer, IfRunning, Lifecycle, Start, StartAnswer, Target, WaitMode};
use crate::store::{
    Condition, HOME_VARIABLE, Home, ShortLock, encode_record, file, observe_settled, read_all,
    remove_task,
};
use crate::supervisor::{ID_VARIABLE, check_limits};
use crate::task::{Task, TaskId, TaskSpec};

/// How a start is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Answer when the task has ended, or when the time is over.
    pub wait: bool,
}

/// Starts a task.
///
/// # Errors
/// [`Error::TaskAlreadyRunning`] unless `if_running` says otherwise; [`Error::SpawnFailed`], after
/// which nothing of this start is left; [`Error::Store`]; [`Error::CommandInput`].
pub fn start(
    client: &Client,
    request: Start,
    options: StartOptions,
    deadline: Deadline,
) -> Result<StartAnswer> {
    let submitted_at = Timestamp::now();
    let task = begin(client, request, submitted_at, deadline)?;
    let status = task.status;
    let mut answer = StartAnswer {
        task,
        lifecycle: Lifecycle {
            submitted_at,
            waited: false,
            timed_out: false,
            status,
            terminal_status: status.is_terminal().then_some(status),
        },
        logs: None,
    };
    if options.wait {
        finish_start(client, &mut answer, deadline)?;
    }
    Ok(answer)
}

/// Starts many tasks, at most `concurrency` at once; waiting begins when all are launched.
pub fn start_many(
    client: &Client,
    requests: Vec<Start>,
    concurrency: usize,
    options: StartOptions,
    deadline: Deadline,
) -> BatchAnswer<StartAnswer> {
    let mut results = in_parallel(requests, concurrency, |request| {
        let id = request.id.clone();
        let result = start(client, request, StartOptions { wait: false }, deadline);
        let id = id.or_else(|| result.as_ref().ok().map(|answer| answer.task.id.clone()));
        (Target { id }, result)
    });
    if options.wait {
        for (_, result) in &mut results {
            if let Ok(answer) = result
                && let Err(error) = finish_start(client, answer, deadline)
            {
                *result = Err(error);
            }
        }
    }
    BatchAnswer::of(results, concurrency)
}

/// Waits for a started task and completes its answer.
///
/// # Errors
/// [`Error::TaskNotFound`] when it was removed meanwhile.
pub fn finish_start(client: &Client, answer: &mut StartAnswer, deadline: Deadline) -> Result<()> {
    let id = answer.task.id.clone();
    let home = client.home_of(&id)?;
    let reached = reach(&home, std::slice::from_ref(&id), WaitMode::All, deadline)?;
    let observed = match reached.done.into_iter().next() {
        Some(done) => done,
        None => find(&home, &id)?,
    };
    answer.task = observed.task();
    answer.logs = Some(last_lines(&home, &observed)?);
    let status = answer.task.status;
    answer.lifecycle = Lifecycle {
        waited: true,
        timed_out: !status.is_terminal(),
        status,
        terminal_status: status.is_terminal().then_some(status),
        ..answer.lifecycle.clone()
    };
    Ok(())
}

fn begin(
    client: &Client,
    request: Start,
    submitted_at: Timestamp,
    deadline: Deadline,
) -> Result<Task> {
    let (id, if_running) = (request.id.clone(), request.if_running.unwrap_or_default());
    let spec = request.resolve()?;
    check_limits(&spec.limits)?;
    let home = client.home()?;
    // Before it begins: its own time may be over before it is answered.
    expire(&home, A_FEW);
    match id {
        Some(id) => begin_named(
            client,
            &home,
            &id,
            if_running,
            &spec,
            submitted_at,
            deadline,
        ),
        // Somebody else may have been given the same id in this very moment: claimed by mkdir.
        None => loop {
            let id = TaskId::generate();
            let lock = ShortLock::take(&home, &id, deadline)?;
            if let Some(dir) = claim_folder(&home, &id)? {
                refuse_planted_log(&home, &id)?;
                let new = New {
                    client,
                    home: &home,
                    id: &id,
                    dir: &dir,
                    lock: &lock,
                    deadline,
                };
                return new.launch(&spec, submitted_at, None);
            }
        },
    }
}

fn begin_named(
    client: &Client,
    home: &Home,
    id: &TaskId,
    if_running: IfRunning,
    spec: &TaskSpec,
    submitted_at: Timestamp,
    deadline: Deadline,
) -> Result<Task> {
    loop {
        let mut lock = ShortLock::take(home, id, deadline)?;
        refuse_other_spelling(home, id, &mut lock)?;
        refuse_planted_log(home, id)?;
        let Some(observed) = observe_settled(home, id, &lock)? else {
            // What a caller that was killed left behind is no task yet.
            remove_task(home, id)?;
            let dir = claim_folder(home, id)?.ok_or_else(|| taken(home, id))?;
            let new = New {
                client,
                home,
                id,
                dir: &dir,
                lock: &lock,
                deadline,
            };
            return new.launch(spec, submitted_at, None);
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
            match if_running {
                IfRunning::Reuse => return Ok(task.observed.task()),
                IfRunning::Error => {
                    return Err(Error::TaskAlreadyRunning {
                        id: id.clone(),
                        status,
                    });
                }
                IfRunning::Restart if is_within(home, id) => {
                    return Err(Error::Unsupported {
                        message: format!("{id} cannot replace itself: this caller would end with it"),
                        hint: "Use restart, which goes on without its caller, or start from outside of the task.".to_owned(),
                    });
                }
                IfRunning::Restart => {
                    drop(task);
                    end_processes(client, home, id, |own| own, deadline)?;
                }
            }
        } else if task.needs_supervisor() {
            let stop = task.observed.record()?.spec.stop;
            task.adopt_and_stop(client, stop, deadline)?;
        } else {
            if task.supervisor()?.is_some() {
                // The supervisor of the ended task may be busy with leftovers for a while.
                let Settled { dir, lock, .. } = task;
                drop(lock);
                await_unsupervised(home, id, &dir, deadline)?;
                continue;
            }
            let previous = match task.observed.record() {
                Ok(record) => encode_record(record).unwrap_or_default(),
                Err(_) => read_all(task.dir.as_fd(), file::RECORD).unwrap_or_default(),
            };
            let new = New {
                client,
                home,
                id,
                dir: &task.dir,
                lock: &task.lock,
                deadline,
            };
            return new.launch(spec, submitted_at, Some(&previous));
        }
    }
}

/// Whether this process was started by the task itself.
fn is_within(home: &Home, id: &TaskId) -> bool {
    let is = |name: &str, value: &OsStr| std::env::var_os(name).is_some_and(|it| it == *value);
    is(ID_VARIABLE, OsStr::new(id.as_str())) && is(HOME_VARIABLE, home.path().as_os_str())
}
