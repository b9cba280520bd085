//! `pause`, `resume` and `signal`: have a task's supervisor do something to its processes, and
//! answer when it has.
//!
//! The wish is left in `want.json`, the supervisor is woken, and its number in the record says that
//! it has been carried out. A task whose supervisor is lost gets a new one first, which stays.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::in_parallel;
use super::list::selected;
use super::settle::Settled;
use super::stop::TaskReply;
use crate::client::{Client, find};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::log::FolderWatch;
use crate::process;
use crate::request::{BatchAnswer, Pause, Resume, Selection, Signal, Target, TaskAnswer};
use crate::store::{Condition, Holder, Home, SupervisorLock, TaskDir, Verb, Want};
use crate::supervisor::{Errand, Launch};
use crate::task::{Facts, Generation, TaskId, TaskState, TaskStatus};
use crate::wait::poll_timeout;

/// Between looks at a record where nothing can tell of its change.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Has every process of a task stand still, or of all running tasks that a filter finds.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::TaskNotRunning`] when it has no process;
/// [`Error::TaskWaitTimedOut`] when its supervisor has not done it by the deadline. With a filter
/// each task's error is in the batch.
pub fn pause(
    client: &Client,
    request: &Pause,
    concurrency: usize,
    deadline: Deadline,
) -> Result<TaskReply> {
    let selection = request.selection()?;
    for_each(client, &selection, Verb::Pause, concurrency, deadline)
}

/// Has every process of a paused task go on, or of all running tasks that a filter finds.
///
/// # Errors
/// As [`pause`].
pub fn resume(
    client: &Client,
    request: &Resume,
    concurrency: usize,
    deadline: Deadline,
) -> Result<TaskReply> {
    let selection = request.selection()?;
    for_each(client, &selection, Verb::Resume, concurrency, deadline)
}

/// Sends a signal to a running task.
///
/// # Errors
/// As [`pause`].
pub fn signal(client: &Client, request: &Signal, deadline: Deadline) -> Result<TaskAnswer> {
    let verb = Verb::Signal(request.signal, request.to);
    carry_out(client, &request.id, verb, deadline)
}

fn for_each(
    client: &Client,
    selection: &Selection,
    verb: Verb,
    concurrency: usize,
    deadline: Deadline,
) -> Result<TaskReply> {
    if let Selection::One(id) = selection {
        let answer = carry_out(client, id, verb, deadline)?;
        return Ok(TaskReply::One(Box::new(answer)));
    }
    let ids = selected(client, selection)?;
    let mut results = in_parallel(ids, concurrency, |id| {
        let result = carry_out(client, &id, verb, deadline);
        (Target { id: Some(id) }, result)
    });
    // What has ended meanwhile does not match any more.
    results.retain(|(_, result)| !matches!(result, Err(Error::TaskNotRunning { .. })));
    Ok(TaskReply::Batch(BatchAnswer::of(results, concurrency)))
}

fn carry_out(client: &Client, id: &TaskId, verb: Verb, deadline: Deadline) -> Result<TaskAnswer> {
    let home = client.home_of(id)?;
    // The run that it is meant for: a later one was begun by someone else.
    let mut meant = None;
    loop {
        let task = Settled::take(&home, id, deadline)?;
        let facts = task.observed.record()?.facts.clone();
        if !matches!(facts.state, TaskState::Running { .. })
            || *meant.get_or_insert_with(|| task.observed.run()) != task.observed.run()
        {
            return Err(no_process(id, facts.state.status()).with_task(&task.observed.task()));
        }
        let Some(pid) = task.supervisor()? else {
            if task.observed.condition != Condition::Unsupervised {
                return Err(no_process(id, facts.state.status()).with_task(&task.observed.task()));
            }
            Launch::prepare(task.launch_task())?
                .go(Errand::Attend, client.supervisor(), &task.lock)?
                .wait(deadline)?;
            continue;
        };
        let ear = Ear::open(&task.dir, pid);
        let pending = task.dir.read_want().filter(|want| want.is_undone(&facts));
        // One that is still to be carried out is not replaced: its caller waits for it, or was
        // killed before it woke the supervisor.
        let is_ours = pending.is_none();
        let seq = match pending {
            Some(want) => want.seq,
            None => leave(&task, &facts, verb)?,
        };
        task.wake(pid);
        let Settled { dir, lock, .. } = task;
        drop(lock);
        let place = Place {
            home: &home,
            id,
            dir: &dir,
            generation: &facts.generation,
            run: facts.run,
        };
        if place.is_done(seq, ear, deadline)? && is_ours {
            return Ok(TaskAnswer::of(find(&home, id)?.task()));
        }
    }
}

fn leave(task: &Settled<'_>, facts: &Facts, verb: Verb) -> Result<u64> {
    let want = Want::next(facts, task.dir.read_want(), verb);
    let name = format!("tasks/{}/want.json", task.id);
    task.dir
        .write_want(&want)
        .map_err(|error| task.home.error("write", &name, error))?;
    Ok(want.seq)
}

fn no_process(id: &TaskId, status: TaskStatus) -> Error {
    let status = status.as_str();
    Error::not_running(
        format!("{id} is {status}: it has no process that could be told"),
        "status tells how it stands; what is queued or starting can be asked again when it runs.",
    )
    .with("id", id.to_string())
}

/// What tells that a supervisor may have done something: its record is replaced, or it has ended.
struct Ear {
    changes: Option<FolderWatch>,
    end: Option<OwnedFd>,
}

impl Ear {
    fn open(dir: &TaskDir, supervisor: i32) -> Self {
        let changes = FolderWatch::new().ok().and_then(|mut watch| {
            watch.add_task(dir, 0).ok()?;
            Some(watch)
        });
        let end = process::exit_watch(supervisor).ok();
        Self { changes, end }
    }

    fn listen(&mut self, deadline: Deadline) -> Result<()> {
        let deaf = self.changes.is_none() || self.end.is_none();
        let until = if deaf {
            deadline.sooner(Deadline::after(LOOK_AGAIN))
        } else {
            deadline
        };
        let changes = self.changes.as_ref().map(AsFd::as_fd);
        let mut fds: Vec<_> = changes
            .into_iter()
            .chain(self.end.as_ref().map(AsFd::as_fd))
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, poll_timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::Internal {
                    message: format!("poll: {errno}"),
                });
            }
        }
        if let Some(changes) = &mut self.changes {
            changes.drain();
        }
        Ok(())
    }
}

/// The run that something is wished of.
struct Place<'a> {
    home: &'a Home,
    id: &'a TaskId,
    dir: &'a TaskDir,
    generation: &'a Generation,
    run: u32,
}

impl Place<'_> {
    /// Waits until the wish has been carried out; `false` when the supervisor has ended, or begun
    /// another run, without a word about it.
    fn is_done(&self, seq: u64, mut ear: Ear, deadline: Deadline) -> Result<bool> {
        loop {
            let supervisor = SupervisorLock::holder(self.dir).map_err(|error| {
                self.home
                    .error("ask for the lock of", self.id.as_str(), error)
            })?;
            if let Ok(record) = self.dir.read_record() {
                let facts = &record.facts;
                let is_same = facts.generation == *self.generation && facts.run == self.run;
                if is_same && facts.wish_done >= seq {
                    return Ok(true);
                }
                if !is_same || facts.state.status().is_terminal() {
                    return Ok(false);
                }
            }
            if supervisor == Holder::Nobody {
                return Ok(false);
            }
            if deadline.has_passed() {
                let error =
                    Error::timed_out(format!("the supervisor of {} has not done it yet", self.id));
                return Err(error.with_task(&find(self.home, self.id)?.task()));
            }
            ear.listen(deadline)?;
        }
    }
}
