//! One small process per task: parent of the command, only writer of the task's facts, gone when
//! the task is over. Same binary, executed again.
//!
//! ```text
//! caller                              supervisor
//! launch.rs ── exec, descriptors ──▶  entry.rs, detach.rs   cut every tie to the caller
//!     │                               run.rs      take the lock, then loop:
//!     │                                 signals.rs   what happened?
//!     │                                 machine.rs   what follows?  (pure)
//!     │                                 chores.rs    do it: execute.rs, tree.rs, ledger.rs
//!     │                                 growth.rs    and beside it: when the logs grow,
//!     │                                 scan.rs      what is in them,
//!     │                                 probe.rs     how the task fares,
//!     │                                 input.rs     what is sent to the command,
//!     │                                 terminal.rs  what its terminal shows,
//!     │                                 owner.rs, limits.rs  whether its time is over
//!     │                               before it: turn.rs  wait for other tasks and a place
//!     │                               behind it: policy.rs  another run?  hook.rs  on_exit
//!     ◀───────── handshake.rs ──────────┘
//! ```

mod cap;
mod cgroup;
mod chores;
mod command;
mod confine;
mod detach;
mod entry;
mod execute;
mod folder_watch;
mod growth;
mod handshake;
mod hook;
mod input;
mod launch;
mod ledger;
mod limits;
mod line_up;
mod log_file;
mod machine;
mod owner;
mod pending;
mod placement;
mod policy;
mod probe;
mod run;
mod scan;
mod signals;
mod succession;
mod terminal;
mod timeline_file;
mod tree;
mod turn;

pub use entry::{take_over, take_over_with};
pub use launch::Program;

pub(crate) use cap::punch_hole;
pub(crate) use cgroup::{Leaf, sweep_leaf_of};
pub(crate) use confine::{Enforcement, check_limits, enforcements};
pub(crate) use folder_watch::kernel_tells;
pub(crate) use growth::PERIOD as LINE_PERIOD;
pub(crate) use hook::{KEPT as HOOK_OUTPUT, LONGEST as HOOK_TIME};
pub(crate) use launch::{Launch, Task as LaunchTask};
pub(crate) use pending::{Pending, ended_unheard};
pub(crate) use scan::{
    FARTHEST as WATCH_BACKLOG, LAST as WATCH_LAST, LONGEST as WATCH_LINE, PROMPT as WITHOUT_END,
    TOLD as WATCH_TOLD,
};
pub(crate) use tree::{pids_below, pids_marked};
#[cfg(fuzzing)]
pub(crate) use {cgroup::fuzz as fuzz_cgroups, probe::ask::read_status};

use crate::task::RunToken;

/// The variable that marks every process of a run, so that they are found again when the
/// supervisor is lost.
pub(crate) const RUN_VARIABLE: &str = "BACKGROUND_TASKS_RUN";
/// Tells a command which task it is.
pub(crate) const ID_VARIABLE: &str = "BACKGROUND_TASKS_ID";
/// Tells a command which piece of the task's work it is to do, where the task takes any.
pub(crate) const WORK_VARIABLE: &str = "BACKGROUND_TASKS_WORK";
/// What a supervisor does not hand on from its caller: a task started by a task is independent.
pub(crate) const VARIABLE_PREFIX: &str = "BACKGROUND_TASKS_";

/// `NAME=value` as it stands in the environment of a run's processes.
pub(crate) fn run_variable(token: &RunToken) -> String {
    format!("{RUN_VARIABLE}={token}")
}

/// What a new supervisor is launched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Execute the run that the record announces.
    Start,
    /// End the present run, whoever watches it, then execute the next.
    Restart,
    /// Execute the run of the next piece of work of a task that has ended.
    Next,
    /// Take charge of a task whose supervisor is lost, and carry out the wish.
    Adopt,
    /// Take charge of a task whose supervisor is lost, and go on as that one would have.
    Attend,
    /// Execute the next run of a task that was interrupted; nobody has asked for this one.
    Recover,
}

impl Errand {
    const ALL: [Errand; 6] = [
        Self::Start,
        Self::Restart,
        Self::Next,
        Self::Adopt,
        Self::Attend,
        Self::Recover,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Next => "next",
            Self::Adopt => "adopt",
            Self::Attend => "attend",
            Self::Recover => "recover",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|errand| errand.as_str() == text)
    }
}

/// The descriptors that a new supervisor finds open, by agreement with `launch.rs`.
pub(crate) mod descriptor {
    use std::os::fd::RawFd;
    /// The task's short lock.
    pub(crate) const SHORT_LOCK: RawFd = 3;
    /// Where the answer goes.
    pub(crate) const HANDSHAKE: RawFd = 4;
    /// The write end of the task's FIFO.
    pub(crate) const LIVE: RawFd = 5;
    /// Whatever is open from here on is not ours.
    pub(crate) const FIRST_FOREIGN: RawFd = 6;
}

/// The first argument that makes this program a supervisor.
pub(crate) const ENTRY: &str = "__supervise";
/// The first argument that makes this program a health probe of the task in whose folder it is.
pub(crate) const PROBE: &str = "__probe";
