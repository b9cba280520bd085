//! `recover`: after a reboot or the loss of supervisors, bring every task to where it would be
//! without that.

use schemars::JsonSchema;
use serde::Serialize;

use super::in_parallel;
use super::settle::Settled;
use crate::client::{Client, find};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::{BatchAnswer, Target};
use crate::store::{Condition, Home, Line, Observed, observe_among_others};
use crate::supervisor::{Errand, Launch, check_limits};
use crate::task::{FailReason, GroupName, RestartPolicy, Task, TaskId, TaskRecord, TaskState};

/// What `recover` did about one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recovered {
    /// The task.
    pub task_id: TaskId,
    /// What was done.
    pub action: Recovery,
    /// The task as it is now.
    pub task: Task,
}

/// What can be done about a task without a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It was interrupted, and runs again as its restart policy asks.
    Restarted,
    /// Its command is alive, and has a supervisor again.
    Attended,
    /// It has ended, and what was still to be done about that has been: its hook, and processes
    /// that it had left.
    Settled,
}

impl Recovery {
    fn errand(self) -> Errand {
        match self {
            Self::Restarted => Errand::Recover,
            Self::Attended => Errand::Attend,
            Self::Settled => Errand::Adopt,
        }
    }
}

/// Starts again the tasks that a reboot or a lost supervisor interrupted and whose restart policy
/// asks for it; puts a supervisor in charge of those whose command is alive; runs the hooks that
/// nobody came to. Each task's error is in the batch.
///
/// # Errors
/// [`Error::Store`] when the home cannot be read.
pub fn recover(
    client: &Client,
    concurrency: usize,
    deadline: Deadline,
) -> Result<BatchAnswer<Recovered>> {
    let Some(home) = client.existing_home()? else {
        return Ok(BatchAnswer::of(Vec::new(), concurrency));
    };
    let results = in_parallel(in_lanes(&home)?, concurrency, |ids| {
        let each = ids.into_iter().map(|id| {
            let recovered = recover_one(client, &home, &id, deadline);
            (Target { id: Some(id) }, recovered)
        });
        each.collect::<Vec<_>>()
    });
    let told = results
        .into_iter()
        .flatten()
        .filter_map(|(target, result)| {
            match result.transpose()? {
                // Removed meanwhile.
                Err(Error::TaskNotFound { .. }) => None,
                told => Some((target, told)),
            }
        });
    Ok(BatchAnswer::of(told.collect(), concurrency))
}

/// What may need something, oldest first. Tasks of a line make one lane, in their order there: they
/// join it again one after the other.
fn in_lanes(home: &Home) -> Result<Vec<Vec<TaskId>>> {
    let mut found = Vec::new();
    for id in home.task_ids()? {
        // Asked without the lock first: most tasks need nothing.
        if let Some(observed) = observe_among_others(home, &id)?
            && may_need_something(&observed)
            && let Ok(record) = observed.record()
        {
            found.push((place_in_line(home, record)?, record.facts.created_at, id));
        }
    }
    found.sort_unstable();
    let group = |place: &Option<(GroupName, u64)>| place.as_ref().map(|(group, _)| group.clone());
    let lanes = found.chunk_by(|a, b| a.0.is_some() && group(&a.0) == group(&b.0));
    let ids = lanes.map(|lane| lane.iter().map(|(.., id)| id.clone()).collect());
    Ok(ids.collect())
}

/// Where a task stood. Its ticket is void, but mostly still there.
fn place_in_line(home: &Home, record: &TaskRecord) -> Result<Option<(GroupName, u64)>> {
    let Some(queue) = &record.spec.queue else {
        return Ok(None);
    };
    let line = Line::find(home, &queue.group)?;
    let tickets = line.and_then(|line| line.tickets().ok());
    let own = tickets
        .into_iter()
        .flatten()
        .find(|ticket| ticket.is_of(&record.id, &record.facts.generation));
    // It had not joined yet.
    let number = own.map_or(u64::MAX, |ticket| ticket.number);
    Ok(Some((queue.group.clone(), number)))
}

fn may_need_something(found: &Observed) -> bool {
    found.record().is_ok_and(|record| {
        found.condition == Condition::Unsupervised
            || was_interrupted(record)
            || record.spec.on_exit.is_some()
            || !record.facts.cleared
    })
}

/// Whether it ended because nobody looked after it any more, and is to run all the same.
pub(super) fn was_interrupted(record: &TaskRecord) -> bool {
    let interrupted = matches!(
        record.facts.state,
        TaskState::Failed {
            reason: FailReason::SupervisorLost | FailReason::HostRebooted,
            ..
        }
    );
    interrupted && record.spec.restart.policy != RestartPolicy::Never
}

/// Somebody wanted it to end, and its supervisor may not have come to do it.
fn was_stopped(task: &Settled<'_>, record: &TaskRecord) -> bool {
    let want = task.dir.read_want();
    want.is_some_and(|want| want.is_for(&record.facts) && want.wanted_stop().is_some())
}

/// `None`: there is nothing to be done about it.
fn recover_one(
    client: &Client,
    home: &Home,
    id: &TaskId,
    deadline: Deadline,
) -> Result<Option<Recovered>> {
    let task = Settled::take(home, id, deadline)?;
    let Ok(record) = task.observed.record() else {
        return Ok(None);
    };
    let has_ended = matches!(task.observed.condition, Condition::Lost | Condition::Ended);
    let action = if task.observed.condition == Condition::Unsupervised {
        Recovery::Attended
    } else if !has_ended || task.supervisor()?.is_some() {
        return Ok(None);
    } else if was_interrupted(record) && !was_stopped(&task, record) {
        Recovery::Restarted
    } else if task.needs_supervisor()? {
        Recovery::Settled
    } else {
        return Ok(None);
    };
    if action == Recovery::Restarted {
        // Refused here it stays as it is, for a `recover` from where its limits can be kept.
        check_limits(&record.spec.limits)?;
    }
    Launch::prepare(task.launch_task())?
        .go(action.errand(), client.supervisor(), &task.lock)?
        .wait(deadline)?;
    drop(task);
    Ok(Some(Recovered {
        task_id: id.clone(),
        action,
        task: find(home, id)?.task(),
    }))
}
