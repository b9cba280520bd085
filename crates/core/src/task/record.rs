//! What is true of a task: the record that its one writer keeps in `task.json`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FailReason, Health, KillReason, SignalNumber, TaskId, TaskSpec, TaskStatus};
use crate::clock::Timestamp;

/// The content of `task.json`.
///
/// The state stands before the spec so that a reader that only wants to know how the task
/// fares finds it in the first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// On-disk format; see [`crate::store::FORMAT_VERSION`].
    pub version: u32,
    /// The folder's name again, so that a record copied elsewhere is noticed.
    pub id: TaskId,
    /// What is true now.
    pub facts: Facts,
    /// What was asked.
    pub spec: TaskSpec,
}

/// The part of a record that changes while the task lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Counts the writes of this record; tells a reader that it changed in between.
    pub revision: u64,
    /// Which `start` made it.
    pub generation: Generation,
    /// Counts the executions of the command within the generation, from 1.
    pub run: u32,
    /// Marks the processes of this run.
    pub run_token: RunToken,
    /// How often it was started again within the generation.
    pub restart_count: u32,
    /// The boot during which it was written; pids mean nothing in another.
    pub boot_id: String,
    /// When `start` was asked for it.
    pub created_at: Timestamp,
    /// When this revision was written.
    pub updated_at: Timestamp,
    /// The last wish that was carried out (see `want.json`), 0 for none.
    pub wish_done: u64,
    /// Whether nothing of the run can be left: false from its execution until somebody has seen
    /// to it that no process of it is alive.
    pub cleared: bool,
    /// The piece of work that the present run is about, 0 where the task takes none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub work: u64,
    /// Work up to this number was refused by earlier runs (see `store/work.rs`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub work_closed: u64,
    /// Where it stands.
    pub state: TaskState,
}

/// Where a task stands, with the facts that are true there and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It waits for its turn: for a place in its queue, or for the tasks that it is to run after.
    Queued,
    /// Recorded; the command has not been executed yet.
    Starting,
    /// A run has ended, and the next begins after a while.
    BackingOff {
        /// When.
        next_start_at: Timestamp,
    },
    /// The main process has been executed.
    Running {
        /// The main process.
        main: ProcessIdentity,
        /// When it was executed.
        started_at: Timestamp,
        /// Set when it has ended and the task waits for what it left behind.
        main_exit: Option<MainExit>,
        /// Since when all its processes stand still until `resume`, if they do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paused_at: Option<Timestamp>,
        /// Milliseconds that they stood still before.
        #[serde(default, skip_serializing_if = "is_zero")]
        paused_ms: u64,
        /// What its health probe says.
        #[serde(default, skip_serializing_if = "Health::is_none")]
        health: Health,
    },
    /// The main process ended by itself.
    Exited {
        /// 0 to 255.
        exit_code: i32,
        /// From execution to end.
        span: RunSpan,
    },
    /// It was done (see [`super::Done`]) but did not end by itself, and was stopped.
    Completed {
        /// How the main process ended then.
        exit: Option<MainExit>,
        /// `None` when nobody saw it begin.
        span: Option<RunSpan>,
    },
    /// Ended by a signal, or after it was asked to.
    Killed {
        /// Who is to blame.
        reason: KillReason,
        /// How the main process ended; `None` when it had none, or nobody could see.
        exit: Option<MainExit>,
        /// `None` when it had no process.
        span: Option<RunSpan>,
    },
    /// Could not be started or kept.
    Failed {
        /// What went wrong.
        reason: FailReason,
        /// The same for people, with what was seen.
        problem: String,
        /// How the last main process ended, where somebody saw it.
        #[serde(default)]
        exit: Option<MainExit>,
        /// `None` when it had no process.
        span: Option<RunSpan>,
    },
}

impl TaskState {
    /// The word for it.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Queued => TaskStatus::Queued,
            Self::Starting | Self::BackingOff { .. } => TaskStatus::Starting,
            Self::Running { .. } => TaskStatus::Running,
            Self::Exited { .. } | Self::Completed { .. } => TaskStatus::Exited,
            Self::Killed { .. } => TaskStatus::Killed,
            Self::Failed { .. } => TaskStatus::Failed,
        }
    }

    /// A main process that has just been executed, or found.
    pub(crate) fn running(main: ProcessIdentity, started_at: Timestamp, health: Health) -> Self {
        Self::Running {
            main,
            started_at,
            main_exit: None,
            paused_at: None,
            paused_ms: 0,
            health,
        }
    }

    /// The main process, while there may be one.
    pub fn main(&self) -> Option<&ProcessIdentity> {
        match self {
            Self::Running { main, .. } => Some(main),
            _ => None,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a main process ended, as its parent learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MainExit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(SignalNumber),
}

/// The time that a main process lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpan {
    /// When it was executed.
    pub started_at: Timestamp,
    /// When its end was seen; `None` when nobody saw it.
    pub exited_at: Option<Timestamp>,
    /// Milliseconds in between, by the monotonic clock where one process saw both.
    pub duration_ms: Option<u64>,
}

/// A process, told apart from a later one with the same pid by the time of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Always above 1.
    pub pid: i32,
    /// Clock ticks since boot on Linux (`proc_pid_stat(5)`, field 22), microseconds since 1970 on macOS.
    pub start_time: u64,
}

/// One `start` of a task id; random, at most 16 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Generation(String);

/// The value of `BACKGROUND_TASKS_RUN` in the processes of one run; random.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunToken(String);

macro_rules! random_name {
    ($name:ident) => {
        impl $name {
            /// A fresh one.
            pub fn generate() -> Self {
                Self(crate::random::hex16())
            }
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
random_name!(Generation);
random_name!(RunToken);

impl TryFrom<String> for Generation {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a generation has 1 to 16 hex digits")
    }
}

impl Generation {
    /// Reads the text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hex && (1..=16).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// Of a task whose record cannot be read.
    pub(crate) fn unknown() -> Self {
        Self("0".to_owned())
    }
}
