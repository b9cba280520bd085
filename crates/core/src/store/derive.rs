//! What follows from what is known of a run.

use crate::process;
use crate::task::{
    FailReason, KillReason, MainExit, ProcessIdentity, RunSpan, RunToken, TaskState,
};

/// The oldest living process that carries the mark of a run.
pub(crate) fn first_marked(token: &RunToken) -> Option<ProcessIdentity> {
    let variable = crate::supervisor::run_variable(token);
    process::all_pids()
        .into_iter()
        .filter(|&pid| process::environment_holds(pid, &variable))
        .filter_map(process::identify)
        .min_by_key(|process| (process.start_time, process.pid))
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
