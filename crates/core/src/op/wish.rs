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
use super::settle::{Settled, wake};
use super::stop::TaskReply;
use crate::client::{Client, find};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::log::FolderWatch;
use crate::process;
use crate::request::{BatchAnswer, Pause, Resume, Selection, Signal, Target, TaskAnswer};
use crate::store::{Condition, Holder, Home, SupervisorLock, TaskDir, Verb, Want};
use crate::supervisor::{Errand, Launch};
use crate::task::{Facts, Recipient, TaskId, TaskState};
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
    let mut left = None;
    loop {
        let task = Settled::take(&home, id, deadline)?;
        let facts = task.observed.record()?.facts.clone();
        if !has_whom(&facts.state, verb)
            || *meant.get_or_insert_with(|| task.observed.run()) != task.observed.run()
        {
            return Err(no_process(id, &facts.state).with_task(&task.observed.task()));
        }
        let Some(pid) = task.supervisor()? else {
            if task.observed.condition != Condition::Unsupervised {
                return Err(no_process(id, &facts.state).with_task(&task.observed.task()));
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
        let want = match pending {
            Some(want) => want,
            None => {
                let want = leave(&task, &facts, verb)?;
                left = Some(want.seq);
                want
            }
        };
        let Settled { dir, lock, .. } = task;
        // Before the supervisor is woken: it may be us that it has stand still.
        drop(lock);
        wake(&dir, pid, want.verb);
        let place = Place {
            home: &home,
            id,
            dir: &dir,
            supervisor: pid,
            facts: &facts,
            want: &want,
        };
        if place.is_done(ear, deadline)? && left == Some(want.seq) {
            return Ok(TaskAnswer::of(find(&home, id)?.task()));
        }
    }
}

fn leave(task: &Settled<'_>, facts: &Facts, verb: Verb) -> Result<Want> {
    let want = Want::next(facts, task.dir.read_want(), verb);
    let name = format!("tasks/{}/want.json", task.id);
    task.dir
        .write_want(&want)
        .map_err(|error| task.home.error("write", &name, error))?;
    Ok(want)
}

/// Whether there is a process to which this can be done.
fn has_whom(state: &TaskState, verb: Verb) -> bool {
    let TaskState::Running { main_exit, .. } = state else {
        return false;
    };
    main_exit.is_none() || !matches!(verb, Verb::Signal(_, Recipient::Main))
}

fn no_process(id: &TaskId, state: &TaskState) -> Error {
    let error = if matches!(state, TaskState::Running { .. }) {
        Error::not_running(
            format!("the main process of {id} has ended, it is running for what that left"),
            "`\"to\": \"tree\"` reaches what is left.",
        )
    } else {
        let status = state.status().as_str();
        Error::not_running(
            format!("{id} is {status}: it has no process that could be told"),
            "status tells how it stands; what is queued or starting can be asked again when it runs.",
        )
    };
    error.with("id", id.to_string())
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

/// Where a wish has been left.
struct Place<'a> {
    home: &'a Home,
    id: &'a TaskId,
    dir: &'a TaskDir,
    /// For whom.
    supervisor: i32,
    facts: &'a Facts,
    want: &'a Want,
}

impl Place<'_> {
    /// Waits until the wish has been carried out; `false` when the supervisor has ended, or begun
    /// another run, without a word about it.
    fn is_done(&self, mut ear: Ear, deadline: Deadline) -> Result<bool> {
        loop {
            let supervisor = SupervisorLock::holder(self.dir).map_err(|error| {
                self.home
                    .error("ask for the lock of", self.id.as_str(), error)
            })?;
            if let Ok(record) = self.dir.read_record() {
                let facts = &record.facts;
                let is_same = facts.generation == self.facts.generation;
                if is_same && facts.wish_done >= self.want.seq {
                    return Ok(!self.is_overtaken());
                }
                if !is_same
                    || facts.run != self.facts.run
                    || !has_whom(&facts.state, self.want.verb)
                {
                    return Ok(false);
                }
            }
            // Another one does not know that it was woken.
            if supervisor != Holder::Supervisor(self.supervisor) {
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

    /// Whether somebody has wished the end of the run since: that does not wait for what was wished
    /// before.
    fn is_overtaken(&self) -> bool {
        let now = self.dir.read_want();
        !now.is_some_and(|now| {
            now.is_for(self.facts) && (now.seq == self.want.seq || !now.verb.ends_run())
        })
    }
}
