//! Statuses, the reasons beside them, and the questions that a status answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It waits for its turn.
    Queued,
    /// It is recorded; the command has not been executed yet.
    Starting,
    /// The main process is alive (or, with `leftovers: "wait"`, something it left behind).
    Running,
    /// It ended by itself; `exit_code` is set.
    Exited,
    /// A signal ended it, ours or another's, or it ended after we asked; `reason` is set.
    Killed,
    /// It could not be started or kept; `reason` is set.
    Failed,
}

impl TaskStatus {
    /// Every status, in the order of a task's life.
    pub const ALL: [TaskStatus; 6] = [
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Exited,
        Self::Killed,
        Self::Failed,
    ];

    /// Whether nothing more happens to the task unless someone starts it again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Exited | Self::Killed | Self::Failed)
    }

    /// The word that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Killed => "killed",
            Self::Failed => "failed",
        }
    }
}

/// Why a task is `killed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KillReason {
    /// Someone asked for it with `stop` (or ended its supervisor politely).
    StopRequested,
    /// It ran for longer than `timeout_ms`.
    TimedOut,
    /// It went without output for longer than `idle_timeout_ms`.
    Idle,
    /// The process that owns it is gone.
    OwnerGone,
    /// It used more memory than it may.
    OutOfMemory,
    /// Its health probe failed too often in a row.
    Unhealthy,
    /// A signal that did not come from us.
    Signalled,
}

impl KillReason {
    /// Every reason.
    pub const ALL: [KillReason; 7] = [
        Self::StopRequested,
        Self::TimedOut,
        Self::Idle,
        Self::OwnerGone,
        Self::OutOfMemory,
        Self::Unhealthy,
        Self::Signalled,
    ];

    /// The word that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StopRequested => "stop_requested",
            Self::TimedOut => "timed_out",
            Self::Idle => "idle",
            Self::OwnerGone => "owner_gone",
            Self::OutOfMemory => "out_of_memory",
            Self::Unhealthy => "unhealthy",
            Self::Signalled => "signalled",
        }
    }
}

/// Why a task is `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// The command could not be executed.
    SpawnFailed,
    /// Its supervisor ended without recording an end, and the command is gone too.
    SupervisorLost,
    /// The machine was started anew while it ran.
    HostRebooted,
    /// It was started again as often as its restart policy allows.
    RestartLimit,
    /// Its health probe did not succeed in the time that it had for the first time.
    NotReady,
    /// A task that it was to run after did not get where it had to.
    DependencyFailed,
    /// What is stored about it cannot be read.
    RecordCorrupt,
}

impl FailReason {
    /// Whether nobody was there to see to the task any more.
    pub(crate) fn is_of_a_lost_supervisor(self) -> bool {
        matches!(self, Self::SupervisorLost | Self::HostRebooted)
    }

    /// Every reason.
    pub const ALL: [FailReason; 7] = [
        Self::SpawnFailed,
        Self::SupervisorLost,
        Self::HostRebooted,
        Self::RestartLimit,
        Self::NotReady,
        Self::DependencyFailed,
        Self::RecordCorrupt,
    ];

    /// The word that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SpawnFailed => "spawn_failed",
            Self::SupervisorLost => "supervisor_lost",
            Self::HostRebooted => "host_rebooted",
            Self::RestartLimit => "restart_limit",
            Self::NotReady => "not_ready",
            Self::DependencyFailed => "dependency_failed",
            Self::RecordCorrupt => "record_corrupt",
        }
    }
}

/// Why a task has `exited` whose main process did not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// It was done, and was stopped since it did not end by itself.
    Completed,
}

impl ExitReason {
    /// Each of them.
    pub const ALL: [ExitReason; 1] = [Self::Completed];
}

/// Why a task ended as it did; `null` where the status says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Reason {
    /// Of a killed task.
    Killed(KillReason),
    /// Of a failed task.
    Failed(FailReason),
    /// Of one that has exited though it did not end by itself.
    Exited(ExitReason),
}

impl Reason {
    /// It was done, and had its time to end.
    pub(crate) const COMPLETED: Self = Self::Exited(ExitReason::Completed);

    /// Somebody asked for it.
    pub(crate) fn asked() -> Self {
        Self::Killed(KillReason::StopRequested)
    }

    /// The word that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed(reason) => reason.as_str(),
            Self::Failed(reason) => reason.as_str(),
            Self::Exited(ExitReason::Completed) => "completed",
        }
    }
}

/// What the health probe says; `none` where the task has no probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The task has no probe, or has ended.
    #[default]
    None,
    /// No probe has succeeded yet.
    Starting,
    /// The last probes have succeeded.
    Healthy,
    /// So many probes in a row have failed as its `failure_threshold` says.
    Unhealthy,
}

impl Health {
    /// Every word for it.
    pub const ALL: [Health; 4] = [Self::None, Self::Starting, Self::Healthy, Self::Unhealthy];

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}
