//! `wait`: sleep in the kernel until tasks have ended.
//!
//! A waiter opens the task's FIFO, *then* reads the record, then waits for the FIFO to hang up:
//! the supervisor closes it right after the end is on record, and the kernel closes it when the
//! supervisor is killed. Where the FIFO has no writer (it is lost, or about to be replaced) the
//! end of the process that matters is waited for instead. Whether it has one is asked before the
//! record is read, too: a supervisor that has put an end on record may stay for long, for what was
//! left behind or for a hook. The record is the truth in any case: being woken only means to read it
//! again.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use serde_json::{Map, json};

use super::await_line::wait_for_line;
use super::await_ready::wait_until_ready;
use super::list::selected;
use super::logs::last_lines;
use crate::client::{Client, find, not_found};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::log::Pattern;
use crate::process;
use crate::request::{
    Selection, TaskAnswer, Until, Wait, WaitAnswer, WaitManyAnswer, WaitMode, WaitOutcome,
};
use crate::store::{
    Condition, Holder, Home, Observed, SupervisorLock, TaskDir, has_writer, open_live,
};
use crate::task::{Task, TaskId};
use crate::wait::poll_timeout;

/// How long to wait before looking again where nothing can tell: while another caller is between
/// two steps, and when there are no descriptors left to watch with.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until tasks, all or any of them, have ended, are ready, or have written a line.
///
/// # Errors
/// [`Error::TaskNotRunning`] when a task ends before it is ready, or without the line;
/// [`Error::TaskNotFound`], also for a filter that matches nothing; [`Error::TaskWaitTimedOut`]
/// past the deadline, with the tasks as they are.
pub fn wait(client: &Client, request: &Wait, deadline: Deadline) -> Result<WaitAnswer> {
    let selection = request.selection()?;
    let pattern = match &request.until {
        Until::Log(text) => Some(Pattern::compile("until.log", text)?),
        Until::Terminal | Until::Ready => None,
    };
    let single = matches!(selection, Selection::One(_));
    let mut ids = selected(client, &selection)?;
    let Some(first) = ids.first().cloned() else {
        return Err(Error::NoneMatches);
    };
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let home = client.home_of(&first)?;
    if let Some(pattern) = &pattern {
        return wait_for_line(&home, request, &ids, single, pattern, deadline);
    }
    if request.until == Until::Ready {
        return wait_until_ready(&home, &ids, single, request.mode, deadline);
    }
    if single {
        return wait_for_one(&home, &first, deadline);
    }
    let reached = reach(&home, &ids, request.mode, deadline)?;
    let tasks: Vec<Task> = reached.done.iter().map(Observed::task).collect();
    let enough = match request.mode {
        WaitMode::All => reached.pending.is_empty(),
        WaitMode::Any => !tasks.is_empty(),
    };
    if !enough {
        return Err(many_timed_out(&home, &tasks, &reached.pending, "ended"));
    }
    let outcome = if reached.pending.is_empty() {
        WaitOutcome::Reached
    } else {
        WaitOutcome::Partial
    };
    Ok(WaitAnswer::Many(WaitManyAnswer {
        outcome,
        tasks,
        pending: reached.pending,
        matches: None,
    }))
}

fn wait_for_one(home: &Home, id: &TaskId, deadline: Deadline) -> Result<WaitAnswer> {
    let reached = reach(home, std::slice::from_ref(id), WaitMode::All, deadline)?;
    if let Some(observed) = reached.done.first() {
        let answer = Box::new(TaskAnswer::of(observed.task()));
        return Ok(WaitAnswer::One {
            answer,
            logs: last_lines(home, observed)?,
            r#match: None,
        });
    }
    let observed = find(home, id)?;
    let task = observed.task();
    let logs = last_lines(home, &observed)?;
    let cursor = logs.cursor.clone();
    let message = format!(
        "{id} is still {} after the time to wait",
        task.status.as_str()
    );
    Err(Error::timed_out(message)
        .with_task(&task)
        .with("logs", json!(logs))
        .with("cursor", cursor))
}

pub(super) fn many_timed_out(
    home: &Home,
    tasks: &[Task],
    pending: &[TaskId],
    what_they_have_not: &str,
) -> Error {
    let mut cursors = Map::new();
    let mut waiting = Vec::new();
    for id in pending {
        if let Ok(observed) = find(home, id) {
            if let Ok(logs) = last_lines(home, &observed) {
                cursors.insert(id.to_string(), logs.cursor.into());
            }
            waiting.push(observed.task());
        }
    }
    let all: Vec<&Task> = tasks.iter().chain(&waiting).collect();
    Error::timed_out(format!(
        "{} of {} tasks have not {what_they_have_not} in the time to wait",
        pending.len(),
        tasks.len() + pending.len()
    ))
    .with("tasks", json!(all))
    .with("pending", json!(pending))
    .with("cursors", cursors)
}

/// Which tasks have ended and which have not.
pub(super) struct Reached {
    pub done: Vec<Observed>,
    pub pending: Vec<TaskId>,
}

/// Waits until all tasks, or any, have ended, or the deadline has passed.
pub(super) fn reach(
    home: &Home,
    ids: &[TaskId],
    mode: WaitMode,
    deadline: Deadline,
) -> Result<Reached> {
    let mut ended: Vec<Option<Observed>> = ids.iter().map(|_| None).collect();
    let mut vigils: Vec<Option<Vigil>> = ids.iter().map(|_| None).collect();
    loop {
        for (at, id) in ids.iter().enumerate() {
            if ended[at].is_none() && vigils[at].as_ref().is_none_or(|vigil| vigil.fired) {
                let (observed, vigil) = Vigil::keep(home, id)?;
                ended[at] = vigil.is_none().then_some(observed);
                vigils[at] = vigil;
            }
        }
        let done = ended.iter().flatten().count();
        let enough = match mode {
            WaitMode::All => done == ids.len(),
            WaitMode::Any => done > 0,
        };
        if enough || deadline.has_passed() {
            let pending = ids.iter().zip(&ended).filter(|(_, ended)| ended.is_none());
            let pending = pending.map(|(id, _)| id.clone()).collect();
            return Ok(Reached {
                done: ended.into_iter().flatten().collect(),
                pending,
            });
        }
        sleep_until_one_fires(&mut vigils, deadline)?;
    }
}

/// Polls every vigil; those without a descriptor count as fired after a moment.
fn sleep_until_one_fires(vigils: &mut [Option<Vigil>], deadline: Deadline) -> Result<()> {
    let blind = vigils.iter().flatten().any(|vigil| vigil.fd.is_none());
    let until = if blind {
        deadline.sooner(Deadline::after(LOOK_AGAIN))
    } else {
        deadline
    };
    let watched: Vec<_> = vigils
        .iter()
        .flatten()
        .filter_map(|vigil| vigil.fd.as_ref())
        .collect();
    let mut fds: Vec<_> = watched
        .iter()
        .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut fds, poll_timeout(until)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => {
            return Err(Error::Internal {
                message: format!("poll: {errno}"),
            });
        }
    }
    let fired: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
    let mut fired = fired.into_iter();
    for vigil in vigils.iter_mut().flatten() {
        vigil.fired = vigil.fd.is_none() || fired.next() == Some(true);
    }
    Ok(())
}

/// Something that will tell when a task is to be looked at again.
pub(super) struct Vigil {
    /// Hangs up or becomes readable then; `None` where nothing can tell.
    pub fd: Option<OwnedFd>,
    fired: bool,
}

impl Vigil {
    /// Observes a task and begins to watch it, unless it has ended.
    pub(super) fn keep(home: &Home, id: &TaskId) -> Result<(Observed, Option<Vigil>)> {
        let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        let live = open_live(&dir);
        let live = live.filter(|live| process::POLL_TELLS_HANG_UP && has_writer(live));
        // Only now: what happens after this reading hangs up a FIFO that is already open.
        let observed = find(home, id)?;
        if observed.status().is_terminal() {
            return Ok((observed, None));
        }
        let fd = match live {
            Some(live) => Some(OwnedFd::from(live)),
            None => watch_process(&dir, &observed),
        };
        Ok((observed, Some(Vigil { fd, fired: false })))
    }
}

fn watch_process(dir: &TaskDir, observed: &Observed) -> Option<OwnedFd> {
    match observed.condition {
        Condition::Supervised(pid) => {
            let watch = process::exit_watch(pid).ok()?;
            let same =
                SupervisorLock::holder(dir).is_ok_and(|holder| holder == Holder::Supervisor(pid));
            same.then_some(watch)
        }
        Condition::Unsupervised => {
            let main = observed.record().ok()?.facts.state.main().copied()?;
            let watch = process::exit_watch(main.pid).ok()?;
            process::is_alive(&main).then_some(watch)
        }
        _ => None,
    }
}
