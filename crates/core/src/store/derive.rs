//! What follows from what is known of a run.

use std::io;

use super::{Home, Observed, TASKS, TaskDir, stat};
use crate::clock::Timestamp;
use crate::process;
use crate::task::{
    FailReason, KillReason, MainExit, ProcessIdentity, RunSpan, RunToken, TaskRecord, TaskState,
};

/// The oldest living process that carries the mark of a run.
///
/// # Errors
/// When we lack what it takes to look (descriptors, say): then nobody knows.
pub(crate) fn first_marked(token: &RunToken) -> io::Result<Option<ProcessIdentity>> {
    let variable = crate::supervisor::run_variable(token);
    let marked = process::all_with_environment(&variable)?;
    let found = marked.into_iter().filter_map(process::identify);
    Ok(found.min_by_key(|process| (process.start_time, process.pid)))
}

/// The oldest living process of a run: one that carries its mark, or is in its group.
///
/// # Errors
/// As [`first_marked`].
pub(crate) fn first_of_run(
    dir: &TaskDir,
    record: &TaskRecord,
) -> io::Result<Option<ProcessIdentity>> {
    let token = &record.facts.run_token;
    if let Some(marked) = first_marked(token)? {
        return Ok(Some(marked));
    }
    let leaf = crate::supervisor::Leaf::of_run(dir, &record.id, token);
    let pids = leaf.map_or_else(Vec::new, |leaf| leaf.pids());
    let found = pids.into_iter().filter_map(process::identify);
    Ok(found.min_by_key(|process| (process.start_time, process.pid)))
}

/// When a task ended. Where nobody saw it, the latest sign of life: what its record says, or its
/// log and its folder have kept.
pub(crate) fn ended_at(home: &Home, observed: &Observed) -> Timestamp {
    let task = observed.task();
    if let Some(seen) = task.exited_at {
        return seen;
    }
    let changed = |name: &str| {
        let found = stat(home, name).ok().flatten()?;
        Some(Timestamp::from_millis(found.st_mtime.saturating_mul(1000)))
    };
    let folder = format!("{TASKS}/{}", observed.id);
    let signs = [
        task.updated_at,
        changed(&Home::log_name(&observed.id)),
        changed(&folder),
    ];
    let epoch = Timestamp::from_millis(0);
    signs.into_iter().flatten().max().unwrap_or(epoch)
}

/// The state of a task whose main process ended without being asked to.
pub(crate) fn ended_by_itself(exit: MainExit, span: RunSpan) -> TaskState {
    match exit {
        MainExit::Code(exit_code) => TaskState::Exited { exit_code, span },
        MainExit::Signal(_) => TaskState::Killed {
            reason: KillReason::Signalled,
            exit: Some(exit),
            span: Some(span),
        },
    }
}

/// How a run has ended of which nothing is left, and whose supervisor was killed before it could say.
pub(crate) fn end_unseen(state: &TaskState, dir: &TaskDir) -> TaskState {
    let problem = match state {
        TaskState::Running {
            main_exit: Some(exit),
            started_at,
            ..
        } => {
            let span = RunSpan {
                started_at: *started_at,
                exited_at: None,
                duration_ms: None,
            };
            return ended_by_itself(*exit, span);
        }
        TaskState::Queued => "its supervisor was killed while it waited for its turn".to_owned(),
        TaskState::BackingOff { .. } => "its supervisor was killed between two runs".to_owned(),
        _ => match dir.read_panic() {
            Some(panic) => format!("its supervisor broke: {panic}"),
            None => {
                "its supervisor was killed before it could record the end, and the command is gone"
                    .to_owned()
            }
        },
    };
    failed(state, FailReason::SupervisorLost, problem)
}

/// The state of a task that could not be kept, with what is known of its last run.
pub(crate) fn failed(before: &TaskState, reason: FailReason, problem: String) -> TaskState {
    let span = match before {
        TaskState::Running { started_at, .. } => Some(RunSpan {
            started_at: *started_at,
            exited_at: None,
            duration_ms: None,
        }),
        _ => None,
    };
    TaskState::Failed {
        reason,
        problem,
        exit: None,
        span,
    }
}
