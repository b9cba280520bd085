//! `stop`: end a task, every process of it, and answer when it is so.

use schemars::JsonSchema;
use serde::Serialize;

use super::await_end::await_end_of;
use super::in_parallel;
use super::list::selected;
use super::recover::was_interrupted;
use super::resources::pids_of;
use super::settle::{Settled, wake};
use super::stray::Stray;
use crate::client::{Client, find};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::{BatchAnswer, Selection, Stop, Target, TaskAnswer, invalid};
use crate::store::{Home, Verb};
use crate::task::{StopSettings, TaskId};

/// What `stop`, `pause` and `resume` answer: for an id as `status`, for a filter as a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TaskReply {
    /// One task, by id.
    One(Box<TaskAnswer>),
    /// All that a filter found.
    Batch(BatchAnswer<TaskAnswer>),
}

/// Ends a task, or all that a filter finds, and waits until every process of it is gone.
/// A task that has ended stays as it is.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::TaskWaitTimedOut`] when something survives the deadline;
/// with a filter each task's error is in the batch.
pub fn stop(
    client: &Client,
    request: &Stop,
    concurrency: usize,
    deadline: Deadline,
) -> Result<TaskReply> {
    match request.selection()? {
        Selection::One(id) => {
            stop_one(client, &id, request, deadline).map(|answer| TaskReply::One(Box::new(answer)))
        }
        filter => {
            let ids = selected(client, &filter)?;
            let results = in_parallel(ids, concurrency, |id| {
                let result = stop_one(client, &id, request, deadline);
                (Target { id: Some(id) }, result)
            });
            Ok(TaskReply::Batch(BatchAnswer::of(results, concurrency)))
        }
    }
}

/// Ends many tasks, at most `concurrency` at once.
pub fn stop_many(
    client: &Client,
    requests: Vec<Stop>,
    concurrency: usize,
    deadline: Deadline,
) -> BatchAnswer<TaskAnswer> {
    let results = in_parallel(requests, concurrency, |request| {
        let result = match &request.id {
            Some(id) => stop_one(client, id, &request, deadline),
            None => Err(invalid(
                "id",
                "an item of an array names one task",
                "Give filters outside of an array.",
            )),
        };
        (Target { id: request.id }, result)
    });
    BatchAnswer::of(results, concurrency)
}

fn stop_one(
    client: &Client,
    id: &TaskId,
    request: &Stop,
    deadline: Deadline,
) -> Result<TaskAnswer> {
    let home = client.home_of(id)?;
    let ended = end_processes(
        client,
        &home,
        id,
        |own| StopSettings {
            signal: request.signal.unwrap_or(own.signal),
            grace_ms: request.grace_ms.unwrap_or(own.grace_ms),
        },
        deadline,
    );
    let found = find(&home, id)?;
    let task = found.task();
    match ended {
        Ok(()) => Ok(TaskAnswer::of(task)),
        // Which they are tells a person why: held by a tracer, asleep in the kernel, another user's.
        Err(error @ Error::TaskWaitTimedOut { .. }) => {
            Err(error.with_task(&task).with("pids", pids_of(&found)))
        }
        Err(error) => Err(error),
    }
}

/// Ends every process of a task; `settings` turns the task's own stop settings into those to use.
pub(super) fn end_processes(
    client: &Client,
    home: &Home,
    id: &TaskId,
    settings: impl Fn(StopSettings) -> StopSettings,
    deadline: Deadline,
) -> Result<()> {
    // There is nothing to be ended.
    if Stray::take(home, id, deadline)?.is_some() {
        return Ok(());
    }
    let mut meant = None;
    let mut has_dropped_work = false;
    loop {
        let task = Settled::take_to_stop(home, id, deadline)?;
        let record = task.observed.record().ok();
        // A later run or generation was begun by someone else, after what was to end had ended.
        let run = record.map(|record| (record.facts.generation.clone(), record.facts.run));
        if run != *meant.get_or_insert_with(|| run.clone()) {
            return Ok(());
        }
        let stop = settings(record.map(|record| record.spec.stop).unwrap_or_default());
        if let Some(pid) = task.supervisor()? {
            // Also when the task has ended and its supervisor is still busy with what it left.
            if let Some(facts) = record.map(|record| record.facts.clone()) {
                task.want_if_possible(&facts, Verb::Stop(stop));
            }
            wake(&task.dir, pid, Verb::Stop(stop));
            let Settled { dir, lock, .. } = task;
            drop(lock);
            // If it is killed before it is done, the next round sees what it left.
            await_end_of(home, id, &dir, pid, deadline)?;
        } else if task.needs_supervisor()? || !has_dropped_work && task.has_waiting_work() {
            has_dropped_work = true;
            task.adopt_and_stop(client, stop, deadline)?;
        } else {
            if let Some(record) = record.filter(|record| was_interrupted(record)) {
                // Nothing is left of it, but `recover` would begin it again.
                task.want_if_possible(&record.facts, Verb::Stop(stop));
            }
            return task.refuse_if_blind();
        }
    }
}
