//! What can happen to a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StreamName;
use crate::task::{
    ExitReason, FailReason, Health, KillReason, MainExit, Reason, Recipient, SignalNumber,
    StopSettings, TaskSpec, TaskState,
};

/// What can happen to a task. The names are the `type` of frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum EventData {
    /// The command was executed.
    #[serde(rename = "task.started")]
    Started {
        /// The main process.
        pid: i32,
        /// Which execution this is, from 1.
        run: u32,
        /// Which piece of its work it is about, where the task takes any.
        #[serde(default, skip_serializing_if = "is_zero")]
        work: u64,
    },
    /// Someone asked it to end.
    #[serde(rename = "task.stop_requested")]
    StopRequested {
        /// The signal that asks.
        signal: SignalNumber,
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
        /// Why. Absent in journals of builds that knew one reason only.
        #[serde(default = "Reason::asked")]
        reason: Reason,
    },
    /// This run has ended and another follows.
    #[serde(rename = "task.restarting")]
    Restarting {
        /// The run that has ended.
        run: u32,
        /// Its exit code.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<SignalNumber>,
        /// Why it was ended.
        reason: Option<Reason>,
        /// Milliseconds until the next run begins.
        delay_ms: u64,
    },
    /// It waits for its turn.
    #[serde(rename = "task.queued")]
    Queued {},
    /// All its processes stand still until it is resumed.
    #[serde(rename = "task.paused")]
    Paused {},
    /// They go on.
    #[serde(rename = "task.resumed")]
    Resumed {},
    /// Someone sent it a signal.
    #[serde(rename = "task.signal_sent")]
    SignalSent {
        /// Which.
        signal: SignalNumber,
        /// To which of its processes.
        to: Recipient,
    },
    /// What its health probe says has changed.
    #[serde(rename = "task.health")]
    Health {
        /// What it says now.
        health: Health,
        /// What the last probe found, where it failed.
        problem: Option<String>,
    },
    /// A line of its log matched a watch.
    #[serde(rename = "task.log_matched")]
    LogMatched {
        /// The watch.
        name: String,
        /// The line, cut where it is long.
        line: String,
        /// Where it was written to.
        stream: StreamName,
        /// How many lines have matched since the last event, without one of their own.
        suppressed: u64,
        /// Bytes that were not searched since the last event: they came too fast, or were freed.
        #[serde(default, skip_serializing_if = "is_zero")]
        skipped_bytes: u64,
    },
    /// It was stopped: these pieces of its work nobody will do.
    #[serde(rename = "task.work_dropped")]
    WorkDropped {
        /// How many.
        count: u64,
    },
    /// Its hook has ended, or could not be run.
    #[serde(rename = "task.on_exit")]
    OnExit {
        /// Its exit code.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<SignalNumber>,
        /// Whether it was ended because it took too long.
        timed_out: bool,
        /// Why it could not be run.
        problem: Option<String>,
        /// Milliseconds that it ran.
        duration_ms: Option<u64>,
        /// The end of what it wrote, at most 4096 bytes.
        output: String,
    },
    /// It ended by itself.
    #[serde(rename = "task.exited")]
    Exited {
        /// 0 to 255; `null` when it was done and a signal ended it.
        exit_code: Option<i32>,
        /// The signal that ended it then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<SignalNumber>,
        /// Set when it was done but had to be stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ExitReason>,
        /// Milliseconds that it ran.
        duration_ms: Option<u64>,
        /// The session that wants to hear of it (`notify_on_exit`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notify_session: Option<String>,
    },
    /// A signal ended it, or it ended after it was asked to.
    #[serde(rename = "task.killed")]
    Killed {
        /// Its exit code, when it exited by itself after it was asked to.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<SignalNumber>,
        /// Who is to blame.
        reason: KillReason,
        /// Milliseconds that it ran.
        duration_ms: Option<u64>,
        /// The session that wants to hear of it (`notify_on_exit`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notify_session: Option<String>,
    },
    /// It could not be started or kept.
    #[serde(rename = "task.failed")]
    Failed {
        /// What went wrong.
        reason: FailReason,
        /// The same for people.
        problem: String,
        /// The session that wants to hear of it (`notify_on_exit`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notify_session: Option<String>,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl EventData {
    /// Splits an exit into the two fields that events show.
    pub(crate) fn exit_fields(exit: Option<MainExit>) -> (Option<i32>, Option<SignalNumber>) {
        match exit {
            Some(MainExit::Code(code)) => (Some(code), None),
            Some(MainExit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        }
    }

    /// The event that the end of a task is; `None` while it has not ended.
    pub(crate) fn of_end(state: &TaskState, spec: &TaskSpec) -> Option<Self> {
        let session = spec.parent_session_id.as_ref();
        let notify_session = session.filter(|_| spec.notify_on_exit).cloned();
        match state {
            TaskState::Queued
            | TaskState::Starting
            | TaskState::BackingOff { .. }
            | TaskState::Running { .. } => None,
            TaskState::Exited { exit_code, span } => Some(Self::Exited {
                exit_code: Some(*exit_code),
                signal: None,
                reason: None,
                duration_ms: span.duration_ms,
                notify_session,
            }),
            TaskState::Completed { exit, span } => {
                let (exit_code, signal) = Self::exit_fields(*exit);
                Some(Self::Exited {
                    exit_code,
                    signal,
                    reason: Some(ExitReason::Completed),
                    duration_ms: span.as_ref().and_then(|span| span.duration_ms),
                    notify_session,
                })
            }
            TaskState::Killed { reason, exit, span } => {
                let (exit_code, signal) = Self::exit_fields(*exit);
                Some(Self::Killed {
                    exit_code,
                    signal,
                    reason: *reason,
                    duration_ms: span.as_ref().and_then(|span| span.duration_ms),
                    notify_session,
                })
            }
            TaskState::Failed {
                reason, problem, ..
            } => Some(Self::Failed {
                reason: *reason,
                problem: problem.clone(),
                notify_session,
            }),
        }
    }

    pub(crate) fn stop_requested(stop: StopSettings, reason: Reason) -> Self {
        Self::StopRequested {
            signal: stop.signal,
            grace_ms: stop.grace_ms,
            reason,
        }
    }

    /// Whether it is the last one of a task.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Exited { .. } | Self::Killed { .. } | Self::Failed { .. }
        )
    }

    /// Every type name, for discovery.
    pub const TYPES: [&'static str; 14] = [
        "task.started",
        "task.stop_requested",
        "task.restarting",
        "task.queued",
        "task.paused",
        "task.resumed",
        "task.signal_sent",
        "task.health",
        "task.log_matched",
        "task.work_dropped",
        "task.on_exit",
        "task.exited",
        "task.killed",
        "task.failed",
    ];
}
