//! Work for a task that takes any: pieces that callers give, each the subject of a run of its own.

use std::path::PathBuf;

use super::restart::execute_again;
use super::settle::Settled;
use super::wait::reach;
use crate::client::{Client, find, not_found};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::{WaitMode, invalid};
use crate::store::{Condition, Home, TASKS, Work, has_lost_work};
use crate::supervisor::{Errand, ID_VARIABLE, Launch, WORK_VARIABLE};
use crate::task::{Extension, Task, TaskId, TaskRecord};

/// Gives a task one more piece of work: at once when it has ended, else when the runs of those
/// before it are over. Answers with the task as it is then.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::CommandInput`] for a task that takes no work, and for an empty
/// piece; [`Error::SpawnFailed`], after which the piece has not been given; [`Error::Store`] and
/// [`Error::TaskWaitTimedOut`], after which it waits for the next one to be given;
/// [`Error::Unsupported`] when its supervisor is out of reach.
pub fn give_work(client: &Client, id: &TaskId, piece: &[u8], deadline: Deadline) -> Result<Task> {
    if piece.is_empty() {
        let hint = "Give at least one byte.";
        return Err(Error::input("a piece of work may not be empty", hint));
    }
    let home = client.home_of(id)?;
    loop {
        let task = Settled::take(&home, id, deadline)?;
        let record = record_of(&task)?;
        task.supervisor()?;
        if task.observed.condition == Condition::Unsupervised {
            // The run goes on without a supervisor, which is needed at its end.
            Launch::prepare(task.launch_task())?
                .go(Errand::Attend, client.supervisor(), &task.lock)?
                .wait(deadline)?;
            continue;
        }
        let work = Work::of(&task.dir, &record.facts);
        let given = work.give(&record.facts, piece).map_err(|error| {
            let name = format!("{TASKS}/{id}/{}", work.name(0));
            home.error("write", &name, error)
        })?;
        if task.observed.status().is_terminal() {
            return begin_next(client, task, given.number, deadline);
        }
        if !given.is_closed {
            return Ok(find(&home, id)?.task());
        }
        drop(task);
        return begin_when_over(client, &home, &record, given.number, deadline);
    }
}

/// Has the next run begin. A piece that it could not be executed for was not given.
fn begin_next(client: &Client, task: Settled<'_>, number: u64, deadline: Deadline) -> Result<Task> {
    execute_again(client, task, Errand::Next, deadline, |task| {
        if let Ok(record) = task.observed.record()
            && record.facts.work < number
        {
            // Where it cannot be dropped it waits for the next one to be given.
            let _ = Work::of(&task.dir, &record.facts).drop_piece(number);
        }
    })
}

/// The present run ends without looking at this piece.
fn begin_when_over(
    client: &Client,
    home: &Home,
    before: &TaskRecord,
    number: u64,
    deadline: Deadline,
) -> Result<Task> {
    let id = &before.id;
    reach(home, std::slice::from_ref(id), WaitMode::All, deadline)?;
    let task = Settled::take(home, id, deadline)?;
    let record = record_of(&task)?;
    if record.facts.generation != before.facts.generation {
        return Err(not_found(id));
    }
    let is_begun = record.facts.work >= number;
    if !is_begun && task.observed.status().is_terminal() {
        return begin_next(client, task, number, deadline);
    }
    if !is_begun && record.facts.run == before.facts.run {
        let message = format!("the present run of {id} is still ending");
        return Err(Error::timed_out(message).with_task(&task.observed.task()));
    }
    Ok(task.observed.task())
}

fn record_of(task: &Settled<'_>) -> Result<TaskRecord> {
    let record = task.observed.record()?.clone();
    if record.spec.extension.is_none() {
        let problem = format!("{} takes no work", task.id);
        return Err(invalid("id", problem, "Name a task that does."));
    }
    Ok(record)
}

/// How many pieces of work nobody has begun with.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::Store`].
pub fn waiting_work(client: &Client, id: &TaskId) -> Result<u64> {
    let home = client.home_of(id)?;
    let observed = find(&home, id)?;
    let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
    let facts = &observed.record()?.facts;
    let lost = u64::from(has_lost_work(&dir, facts));
    Work::of(&dir, facts)
        .waiting(facts)
        .map(|waiting| waiting + lost)
        .map_err(|error| home.error("look at the work of", &format!("{TASKS}/{id}"), error))
}

/// A piece of a task's work, by its number.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::Store`] when there is no such piece.
pub fn piece_of_work(client: &Client, id: &TaskId, number: u64) -> Result<Vec<u8>> {
    let home = client.home_of(id)?;
    let record = find(&home, id)?.record()?.clone();
    let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
    let work = Work::of(&dir, &record.facts);
    work.read(number).map_err(|error| {
        let name = format!("{TASKS}/{id}/{}", work.name(number));
        home.error("read", &name, error)
    })
}

/// What an embedding program keeps with a task; `None` for one of callers' own.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::Store`] when its record cannot be read.
pub fn extension(client: &Client, id: &TaskId) -> Result<Option<Extension>> {
    let home = client.home_of(id)?;
    let observed = find(&home, id)?;
    Ok(observed.record()?.spec.extension.as_deref().cloned())
}

/// What the process of a task that takes work finds to do.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The task.
    pub id: TaskId,
    /// Its folder, in which files of the embedding program may lie.
    pub folder: PathBuf,
    /// Which execution this is, from 1.
    pub run: u32,
    /// What the embedding program keeps with it.
    pub extension: Extension,
    /// The piece of work.
    pub piece: Vec<u8>,
}

/// What the task is to do whose command this process is.
///
/// # Errors
/// [`Error::CommandInput`] when this process is no such command; [`Error::TaskNotFound`] and
/// [`Error::Store`] when what it needs is gone.
pub fn assignment(client: &Client) -> Result<Assignment> {
    let variable = |name: &str| std::env::var(name).ok();
    let id = variable(ID_VARIABLE).and_then(|id| TaskId::parse(&id).ok());
    let number = variable(WORK_VARIABLE).and_then(|number| number.parse().ok());
    let (Some(id), Some(number)) = (id, number) else {
        let message = "this process is not the command of a task that takes work";
        return Err(Error::input(message, "Start such a task instead."));
    };
    let home = client.home_of(&id)?;
    let record = find(&home, &id)?.record()?.clone();
    Ok(Assignment {
        folder: home.path().join(TASKS).join(id.as_str()),
        run: record.facts.run,
        extension: record.spec.extension.map(|own| *own).unwrap_or_default(),
        piece: piece_of_work(client, &id, number)?,
        id,
    })
}
