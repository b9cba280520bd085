//! `remove`: delete the records and logs of tasks that have ended.

use schemars::JsonSchema;
use serde::Serialize;

use super::await_end::await_unsupervised;
use super::expire::expire;
use super::in_parallel;
use super::list::selected;
use super::settle::Settled;
use super::stray::Stray;
use crate::client::Client;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::request::{BatchAnswer, Remove, RemoveAnswer, Selection, Target, invalid};
use crate::store::{Condition, Home, Observed, remove_task, sweep_trash};
use crate::task::TaskId;

/// What `remove` answers: for an id one answer, for a filter a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RemoveReply {
    /// One task, by id.
    One(RemoveAnswer),
    /// All that a filter found.
    Batch(BatchAnswer<RemoveAnswer>),
}

/// Removes a task that has ended, or all such that a filter finds.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::NotEnded`]; [`Error::Store`] when it cannot be removed;
/// [`Error::TaskWaitTimedOut`] when something of it survives the deadline. With a filter each task's
/// error is in the batch.
pub fn remove(
    client: &Client,
    request: &Remove,
    concurrency: usize,
    deadline: Deadline,
) -> Result<RemoveReply> {
    let reply = match request.selection()? {
        Selection::One(id) => RemoveReply::One(remove_one(client, &id, deadline)?),
        filter => {
            let ids = selected(client, &filter)?;
            let results = in_parallel(ids, concurrency, |id| {
                let result = remove_one(client, &id, deadline);
                (Target { id: Some(id) }, result)
            });
            // What is gone, or runs again, does not match any more.
            let still_matches = |(_, result): &(Target, Result<RemoveAnswer>)| {
                !matches!(
                    result,
                    Err(Error::TaskNotFound { .. } | Error::NotEnded { .. })
                )
            };
            let results = results.into_iter().filter(still_matches).collect();
            RemoveReply::Batch(BatchAnswer::of(results, concurrency))
        }
    };
    clear_away(client);
    Ok(reply)
}

/// Removes many tasks, at most `concurrency` at once.
pub fn remove_many(
    client: &Client,
    requests: Vec<Remove>,
    concurrency: usize,
    deadline: Deadline,
) -> BatchAnswer<RemoveAnswer> {
    let results = in_parallel(requests, concurrency, |request| {
        let result = match &request.id {
            Some(id) => remove_one(client, id, deadline),
            None => Err(invalid(
                "id",
                "an item of an array names one task",
                "Give filters outside of an array.",
            )),
        };
        (Target { id: request.id }, result)
    });
    clear_away(client);
    BatchAnswer::of(results, concurrency)
}

/// What others have left behind is taken away where there is time for it.
fn clear_away(client: &Client) {
    if let Ok(Some(home)) = client.existing_home() {
        sweep_trash(&home);
        expire(&home, usize::MAX);
    }
}

fn remove_one(client: &Client, id: &TaskId, deadline: Deadline) -> Result<RemoveAnswer> {
    let home = client.home_of(id)?;
    if let Some(stray) = Stray::take(&home, id, deadline)? {
        return Ok(RemoveAnswer {
            task_id: id.clone(),
            removed: true,
            freed_bytes: stray.remove()?,
        });
    }
    loop {
        let task = Settled::take(&home, id, deadline)?;
        let status = task.observed.status();
        let supervisor = task.supervisor()?;
        let is_damaged = task.observed.condition == Condition::Unreadable;
        if !status.is_terminal() || (is_damaged && supervisor.is_some()) {
            return Err(Error::NotEnded {
                id: id.clone(),
                status,
            });
        }
        task.refuse_if_blind()?;
        if task.needs_supervisor()? {
            let stop = task.observed.record()?.spec.stop;
            task.adopt_and_stop(client, stop, deadline)?;
        } else if supervisor.is_some() {
            // It may be busy with leftovers for a while.
            let Settled { dir, lock, .. } = task;
            drop(lock);
            await_unsupervised(&home, id, &dir, deadline)?;
        } else {
            return Ok(RemoveAnswer {
                task_id: id.clone(),
                removed: true,
                freed_bytes: remove_task(&home, id)?,
            });
        }
    }
}

/// Removes a task if it is still as it was when it was chosen, and nothing of it is busy; how many
/// bytes that freed. Nobody is waited for, and nothing is ended.
pub(super) fn remove_if_idle(
    home: &Home,
    id: &TaskId,
    is_meant: impl Fn(&Observed) -> bool,
) -> Result<Option<u64>> {
    if let Some(stray) = Stray::take_if_free(home, id)? {
        return stray.remove().map(Some);
    }
    let task = match Settled::take_if_free(home, id) {
        Err(error) if error.kind() == ErrorKind::TaskNotFound => return Ok(None),
        other => other?,
    };
    let Some(task) = task.filter(|task| is_meant(&task.observed)) else {
        return Ok(None);
    };
    let is_idle = task.observed.status().is_terminal()
        && task.supervisor()?.is_none()
        && !task.needs_supervisor()?;
    if !is_idle {
        return Ok(None);
    }
    task.refuse_if_blind()?;
    remove_task(home, id).map(Some)
}
