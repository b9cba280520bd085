//! What was asked: resolved, absolute, checked. Written once per generation and never changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    After, Extension, HealthProbe, Hook, LogWatch, Owner, Pty, Queue, RestartSettings,
    SignalNumber, Stdin,
};

/// Everything that a (re)start of the task needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// A name for people.
    pub name: Option<String>,
    /// What is executed.
    pub program: Program,
    /// Absolute.
    pub workdir: PathBuf,
    /// Set above what is inherited.
    pub env: EnvVars,
    /// Whether the caller's environment lies below [`TaskSpec::env`].
    pub inherit_env: bool,
    /// A dotenv file read at each start, between the two; absolute.
    pub env_file: Option<PathBuf>,
    /// Marks to find it by.
    pub tags: Vec<String>,
    /// The session that it belongs to.
    pub parent_session_id: Option<String>,
    /// Whether that session wants to hear of its end.
    pub notify_on_exit: bool,
    /// How it is asked to end.
    pub stop: StopSettings,
    /// What becomes of processes that outlive the main one.
    pub leftovers: Leftovers,
    /// Where standard error goes. Absent in records of builds that knew one log only.
    #[serde(default)]
    pub stderr: Stderr,
    /// How much it may use.
    #[serde(default)]
    pub limits: Limits,
    /// When it is started again by itself.
    #[serde(default)]
    pub restart: RestartSettings,
    /// Milliseconds that a run may last.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Milliseconds that a run may go without output.
    #[serde(default)]
    pub idle_timeout_ms: Option<u64>,
    /// How long after its end it is to be removed; `None` for never.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
    /// What it reads.
    #[serde(default)]
    pub stdin: Stdin,
    /// The terminal that it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pty: Option<Pty>,
    /// How its health is probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthProbe>,
    /// The process without which it is not to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What is run once when it has ended for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exit: Option<Hook>,
    /// The line that it waits in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// The tasks that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
    /// The lines that its journal tells of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<LogWatch>,
    /// What an embedding program keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Box<Extension>>,
}

/// What is executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A program and its arguments, without a shell.
    Direct {
        /// A path, or a name that is looked up on the command's own PATH.
        command: String,
        /// Without the program's own name.
        args: Vec<String>,
    },
    /// A script for `/bin/sh -c`.
    Shell(String),
}

impl TaskSpec {
    /// Whether its first run waits for other tasks, or for a place among them.
    pub(crate) fn waits_for_its_turn(&self) -> bool {
        self.queue.is_some() || self.after.is_some()
    }
}

/// Environment variables. Their values may be secrets, so `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvVars(pub BTreeMap<String, String>);

impl fmt::Debug for EnvVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How a task is asked to end: a signal to every process of it, then so much time before SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopSettings {
    /// The signal that asks.
    #[serde(default = "StopSettings::default_signal")]
    pub signal: SignalNumber,
    /// Milliseconds between asking and killing.
    #[serde(default = "StopSettings::default_grace_ms", alias = "graceMs")]
    pub grace_ms: u64,
}

impl StopSettings {
    fn default_signal() -> SignalNumber {
        SignalNumber::TERM
    }
    fn default_grace_ms() -> u64 {
        5000
    }
}

impl Default for StopSettings {
    fn default() -> Self {
        Self {
            signal: Self::default_signal(),
            grace_ms: Self::default_grace_ms(),
        }
    }
}

/// What becomes of processes that outlive the main one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// They get the stop sequence; the task has ended with its main process.
    #[default]
    Stop,
    /// The task goes on until they are gone.
    Wait,
}

/// Where a command's standard error goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stderr {
    /// Into the log, in true order with standard output.
    #[default]
    Merge,
    /// Into a log of its own, `logs/<id>.stderr.log`.
    Separate,
}

/// How much a task may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// What is kept of each of its logs; 0 for all. The oldest bytes go first.
    #[serde(default = "Limits::default_log_bytes", alias = "logBytes")]
    #[schemars(extend("anyOf" = [{ "const": 0 }, { "minimum": Limits::LEAST_LOG_BYTES }]))]
    pub log_bytes: u64,
    /// Bytes of memory of all its processes together; not limited when left out.
    #[serde(default, alias = "memoryBytes")]
    #[schemars(range(min = Limits::LEAST), extend("examples" = [1_u64 << 30]))]
    pub memory_bytes: Option<u64>,
    /// Processor time of all its processes together; 100 is one processor. Not limited when left out.
    #[serde(default, alias = "cpuPercent")]
    #[schemars(range(min = Limits::LEAST), extend("examples" = [150]))]
    pub cpu_percent: Option<u32>,
    /// How many processes it may have, each thread counted; not limited when left out.
    #[serde(default)]
    #[schemars(range(min = Limits::LEAST), extend("examples" = [200]))]
    pub processes: Option<u32>,
    /// How many files each of its processes may have open; as many as the caller's when left out.
    #[serde(default, alias = "openFiles")]
    #[schemars(range(min = Limits::LEAST), extend("examples" = [1024]))]
    pub open_files: Option<u64>,
}

impl Limits {
    /// The smallest cap: below it a log would hold little more than what is being written.
    pub const LEAST_LOG_BYTES: u64 = 64 << 10;
    /// The smallest value of the others.
    pub(crate) const LEAST: u8 = 1;

    fn default_log_bytes() -> u64 {
        256 << 20
    }

    /// Whether the kernel has nothing to keep.
    pub(crate) fn is_unlimited(self) -> bool {
        let Self {
            log_bytes: _,
            memory_bytes,
            cpu_percent,
            processes,
            open_files,
        } = self;
        memory_bytes.is_none()
            && cpu_percent.is_none()
            && processes.is_none()
            && open_files.is_none()
    }

    /// The cap of each log; `None` when it may grow as it likes.
    pub(crate) fn log_cap(self) -> Option<u64> {
        (self.log_bytes > 0).then_some(self.log_bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            log_bytes: Self::default_log_bytes(),
            memory_bytes: None,
            cpu_percent: None,
            processes: None,
            open_files: None,
        }
    }
}
