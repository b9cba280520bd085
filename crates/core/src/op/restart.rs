//! `restart`: run a task's command again under the same id; its log goes on.
//!
//! The new supervisor is launched first. It asks the present one to make way, waits for its lock
//! and goes on from there, so that a caller that is killed in between changes nothing.

use super::in_parallel;
use super::position::Positions;
use super::settle::{Settled, take_charge};
use crate::client::{Client, find};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::{BatchAnswer, Restart, Target, TaskAnswer};
use crate::store::Home;
use crate::supervisor::{Errand, Launch, check_limits, ended_unheard};
use crate::task::{Facts, Task, TaskId};

/// Restarts many tasks, at most `concurrency` at once.
pub fn restart_many(
    client: &Client,
    requests: Vec<Restart>,
    concurrency: usize,
    deadline: Deadline,
) -> BatchAnswer<TaskAnswer> {
    let results = in_parallel(requests, concurrency, |request| {
        let result = restart(client, &request, deadline);
        (
            Target {
                id: Some(request.id),
            },
            result,
        )
    });
    BatchAnswer::of(results, concurrency)
}

/// Ends the task's present run, if there is one, and executes the next.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::SpawnFailed`]; [`Error::Unsupported`]; [`Error::Store`] when its record is damaged;
/// [`Error::TaskNotRunning`] when somebody stops the task before the next run begins;
/// [`Error::TaskWaitTimedOut`] when the present run has not ended by the deadline (the restart
/// goes on).
pub fn restart(client: &Client, request: &Restart, deadline: Deadline) -> Result<TaskAnswer> {
    let home = client.home_of(&request.id)?;
    let task = Settled::take(&home, &request.id, deadline)?;
    task.supervisor()?;
    execute_again(client, task, Errand::Restart, deadline, |_| ()).map(TaskAnswer::of)
}

/// Launches a supervisor that executes the next run of a task. `undo`: what is left to be undone, under
/// the task's short lock, where that could not be executed.
pub(super) fn execute_again(
    client: &Client,
    task: Settled<'_>,
    errand: Errand,
    deadline: Deadline,
    undo: impl FnOnce(&Settled<'_>),
) -> Result<Task> {
    let (home, id) = (task.home, task.id);
    let mut record = task.observed.record()?.clone();
    let launched = check_limits(&record.spec.limits)
        .and_then(|()| Launch::prepare(task.launch_task()))
        .and_then(|launch| launch.go(errand, client.supervisor(), &task.lock));
    let pending = match launched {
        Ok(pending) => pending,
        Err(error) => {
            undo(&task);
            return Err(error);
        }
    };
    // The successor has its own copy of the lock. One that has to wait for the present run lets go of
    // it once it has asked the present supervisor to make way: others may stop the task while that takes
    // its time.
    let held = (errand != Errand::Restart).then_some(task);
    record.facts = match pending.hear(deadline) {
        Ok(Some(facts)) => facts,
        Ok(None) => {
            // Nobody else comes in between where we have the lock.
            let task = match held {
                Some(task) => task.once_unsupervised(deadline),
                None => Settled::take(home, id, deadline),
            };
            let task = task.map_err(|_| ended_unheard(id.clone()))?;
            without_an_answer(client, task, &record.facts, deadline, undo)?
        }
        Err(error) => {
            if let (Error::SpawnFailed { .. }, Some(task)) = (&error, &held) {
                undo(task);
            }
            return Err(with_its_task(home, id, error));
        }
    };
    let mut task = Task::of(&record, &home.log_path(id), true);
    Positions::of(home).tell(&mut task);
    Ok(task)
}

/// The new supervisor was killed. If it had just executed the command, the run has begun, and gets
/// another. `before`: what it was to follow.
fn without_an_answer(
    client: &Client,
    task: Settled<'_>,
    before: &Facts,
    deadline: Deadline,
    undo: impl FnOnce(&Settled<'_>),
) -> Result<Facts> {
    let is_the_next = |facts: &Facts| {
        facts.generation == before.generation && facts.run_token != before.run_token
    };
    let unheard = ended_unheard(task.id.clone());
    // Whoever supervises it was launched by somebody else.
    if task.supervisor()?.is_some() {
        return Err(unheard);
    }
    if !task.observed.has_begun(is_the_next) {
        undo(&task);
        return Err(unheard);
    }
    let condition = task.observed.condition;
    let facts = take_charge(client, task.launch_task(), &task.lock, condition, deadline)?;
    if is_the_next(&facts) {
        return Ok(facts);
    }
    // The command had ended before that one came: what was there before holds.
    undo(&task.once_unsupervised(deadline)?);
    Err(unheard)
}

/// The error of a task that did not begin again, with how it stands.
fn with_its_task(home: &Home, id: &TaskId, error: Error) -> Error {
    let is_known = matches!(
        error,
        Error::TaskWaitTimedOut { .. } | Error::TaskNotRunning { .. }
    );
    match find(home, id) {
        Ok(observed) if is_known => error.with_task(&observed.task()),
        _ => error,
    }
}
