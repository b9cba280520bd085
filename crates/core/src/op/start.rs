//! `start`: put a task on record, launch its supervisor, answer when the command has been executed.

use super::claim::{Claim, claim, claim_any};
use super::expire::{A_FEW, expire};
use super::in_parallel;
use super::logs::last_lines;
use super::plan::Plan;
use super::position::Positions;
use super::wait::reach;
use crate::client::{Client, find};
use crate::clock::{Deadline, Timestamp};
use crate::error::Result;
use crate::request::{BatchAnswer, Lifecycle, Start, StartAnswer, Target, WaitMode};
use crate::supervisor::check_limits;
use crate::task::Task;

/// How a start is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Answer when the task has ended, or when the time is over.
    pub wait: bool,
}

/// Starts a task.
///
/// # Errors
/// [`crate::Error::TaskAlreadyRunning`] unless `if_running` says otherwise; [`crate::Error::SpawnFailed`], after
/// which nothing of this start is left; [`crate::Error::Store`]; [`crate::Error::CommandInput`].
pub fn start(
    client: &Client,
    request: Start,
    options: StartOptions,
    deadline: Deadline,
) -> Result<StartAnswer> {
    if request.after.is_some() {
        Plan::of(client, std::slice::from_ref(&request)).map_err(|(_, error)| error)?;
    }
    let mut answer = start_one(client, request, deadline)?;
    if options.wait {
        finish_start(client, &mut answer, deadline)?;
    }
    Ok(answer)
}

/// Starts many tasks, at most `concurrency` at once; waiting begins when all are launched.
///
/// Those with a queue get their places in it in the order of the array. A task that runs after others
/// of the array is launched after those, wherever it stands.
///
/// # Errors
/// [`crate::Error::CommandInput`], before anything is touched, when a task is to run after one that is
/// neither there nor in the array, or tasks wait for each other.
pub fn start_many(
    client: &Client,
    requests: Vec<Start>,
    concurrency: usize,
    options: StartOptions,
    deadline: Deadline,
) -> Result<BatchAnswer<StartAnswer>> {
    let waits = |request: &Start| request.queue.is_some() || request.after.is_some();
    let mut results = if requests.iter().any(waits) {
        let plan =
            Plan::of(client, &requests).map_err(|(index, error)| error.with("index", index))?;
        plan.carry_out(client, requests, concurrency, deadline)?
    } else {
        in_parallel(requests, concurrency, |request| {
            let id = request.id.clone();
            let result = start_one(client, request, deadline);
            let id = id.or_else(|| result.as_ref().ok().map(|answer| answer.task.id.clone()));
            (Target { id }, result)
        })
    };
    if options.wait {
        for (_, result) in &mut results {
            if let Ok(answer) = result
                && let Err(error) = finish_start(client, answer, deadline)
            {
                *result = Err(error);
            }
        }
    }
    Ok(BatchAnswer::of(results, concurrency))
}

/// Waits for a started task and completes its answer.
///
/// # Errors
/// [`crate::Error::TaskNotFound`] when it was removed meanwhile.
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

fn start_one(client: &Client, request: Start, deadline: Deadline) -> Result<StartAnswer> {
    let submitted_at = Timestamp::now();
    begin(client, request, submitted_at, deadline).map(|task| started(task, submitted_at))
}

/// The answer that a task has been started.
pub(super) fn started(task: Task, submitted_at: Timestamp) -> StartAnswer {
    let status = task.status;
    StartAnswer {
        task,
        lifecycle: Lifecycle {
            submitted_at,
            waited: false,
            timed_out: false,
            status,
            terminal_status: status.is_terminal().then_some(status),
        },
        logs: None,
    }
}

/// Puts a task on record and launches its supervisor.
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
    let claimed = match id {
        Some(id) => match claim(client, &home, &id, if_running, deadline)? {
            Claim::Free(claimed) => claimed,
            Claim::Present(task) => return Ok(*task),
        },
        None => claim_any(&home, deadline)?,
    };
    let new = claimed.generation(client, &home, deadline);
    let previous = claimed.previous.as_deref();
    if spec.waits_for_its_turn() {
        let record = new.line_up(&spec, submitted_at, previous)?;
        let mut task = new.launch_recorded(&record, previous, Vec::new())?;
        Positions::of(&home).tell(&mut task);
        return Ok(task);
    }
    new.launch(&spec, submitted_at, previous)
}
