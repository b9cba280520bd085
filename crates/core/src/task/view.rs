//! The task as every answer shows it.

mod facets;
mod plain;
mod tell;

pub(crate) use facets::Facets;
pub(crate) use plain::tell_plain_end;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    After, EnvVars, Health, HealthProbe, Hook, Leftovers, Limits, LogWatch, Pty, Queue, Reason,
    RestartSettings, SignalNumber, Stderr, Stdin, StopSettings, TaskId, TaskRecord, TaskStatus,
};
use crate::clock::Timestamp;

/// The task record: what was asked and what is true. A field without a value is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Task {
    /// The id.
    pub id: TaskId,
    /// The name given at start.
    pub name: Option<String>,
    /// The program; `null` when `shell` is set.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// The script, when it runs through `/bin/sh -c`.
    pub shell: Option<String>,
    /// Where it runs; absolute.
    pub workdir: Option<PathBuf>,
    /// What was set above the inherited environment; values are `***` unless revealed.
    pub env: BTreeMap<String, String>,
    /// The dotenv file that is read at each start.
    pub env_file: Option<PathBuf>,
    /// Whether the caller's environment lies below `env`.
    pub inherit_env: Option<bool>,
    /// Marks to find it by.
    pub tags: Vec<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// What its health probe says.
    pub health: Health,
    /// Why it is `killed` or `failed`.
    pub reason: Option<Reason>,
    /// What went wrong, for people, where it is `failed`.
    pub problem: Option<String>,
    /// The main process, while it is alive.
    pub pid: Option<i32>,
    /// 0 to 255, when the main process exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended the main process.
    pub signal: Option<SignalNumber>,
    /// What the command wrote.
    pub log_path: PathBuf,
    /// What it wrote to standard error, where that has a log of its own.
    pub stderr_log_path: Option<PathBuf>,
    /// When `start` was asked for it.
    pub created_at: Option<Timestamp>,
    /// When anything here last changed.
    pub updated_at: Option<Timestamp>,
    /// When the main process was executed.
    pub started_at: Option<Timestamp>,
    /// When its end was seen.
    pub exited_at: Option<Timestamp>,
    /// Milliseconds from start to end; so far, while it runs.
    pub duration_ms: Option<u64>,
    /// How often it was started again.
    pub restart_count: u32,
    /// Which execution of the command this is, from 1.
    pub run: u32,
    /// The session that it belongs to.
    pub parent_session_id: Option<String>,
    /// Whether that session wants to hear of its end.
    pub notify_on_exit: bool,
    /// How it is asked to end.
    pub stop: Option<StopSettings>,
    /// What becomes of processes that outlive the main one.
    pub leftovers: Option<Leftovers>,
    /// Where standard error goes.
    pub stderr: Option<Stderr>,
    /// How much it may use.
    pub limits: Option<Limits>,
    /// When it is started again by itself.
    pub restart: Option<RestartSettings>,
    /// While it waits to be started again: until when.
    pub next_start_at: Option<Timestamp>,
    /// Milliseconds that a run may last.
    pub timeout_ms: Option<u64>,
    /// Milliseconds that a run may go without output.
    pub idle_timeout_ms: Option<u64>,
    /// How many milliseconds after its end it is removed; `null` for never.
    pub ttl_ms: Option<u64>,
    /// Whether all its processes are stopped until `resume`.
    pub paused: bool,
    /// What it reads; a text shows as `***`.
    pub stdin: Option<Stdin>,
    /// The terminal that it has.
    pub pty: Option<Pty>,
    /// How its health is probed.
    pub health_probe: Option<HealthProbe>,
    /// The process without which it is not to go on.
    pub owner: Option<OwnerPid>,
    /// What is run once when it has ended for good.
    pub on_exit: Option<Hook>,
    /// The line that it waits in.
    pub queue: Option<Queue>,
    /// While it is queued in one: how many are before it, those that run not counted.
    pub queue_position: Option<usize>,
    /// The tasks that it waits for.
    pub after: Option<After>,
    /// The lines that its events tell of.
    pub watch: Vec<LogWatch>,
    /// Whether a living supervisor watches it.
    pub supervised: bool,
    /// What its processes use, where that was asked for; `null` when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Option<Resources>>,
}

/// A process, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OwnerPid {
    /// Above 1.
    pub pid: i32,
}

/// What all processes of a task use together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resources {
    /// Milliseconds of processor time of the living processes, and of the children that they have
    /// waited for.
    pub cpu_ms: u64,
    /// Resident memory; what several processes share counts once, where the kernel tells.
    pub memory_bytes: u64,
    /// How many processes are alive.
    pub processes: usize,
    /// The TCP ports that they listen on, in order; `null` where that cannot be told.
    pub ports: Option<Vec<u16>>,
}

impl Task {
    /// The view of a record. `supervised` says whether a living supervisor watches it.
    pub fn of(record: &TaskRecord, log_path: &Path, supervised: bool) -> Self {
        let mut task = Self::unknown(record.id.clone(), log_path.to_owned());
        task.supervised = supervised;
        task.tell_facts(&record.facts);
        task.tell_spec(&record.spec);
        task
    }

    /// A task of which nothing can be read but its name.
    pub fn unknown(id: TaskId, log_path: PathBuf) -> Self {
        Self {
            id,
            name: None,
            command: None,
            args: Vec::new(),
            shell: None,
            workdir: None,
            env: BTreeMap::new(),
            env_file: None,
            inherit_env: None,
            tags: Vec::new(),
            status: TaskStatus::Failed,
            health: Health::None,
            reason: None,
            problem: None,
            pid: None,
            exit_code: None,
            signal: None,
            log_path,
            stderr_log_path: None,
            created_at: None,
            updated_at: None,
            started_at: None,
            exited_at: None,
            duration_ms: None,
            restart_count: 0,
            run: 0,
            parent_session_id: None,
            notify_on_exit: false,
            stop: None,
            leftovers: None,
            stderr: None,
            limits: None,
            restart: None,
            next_start_at: None,
            timeout_ms: None,
            idle_timeout_ms: None,
            ttl_ms: None,
            paused: false,
            stdin: None,
            pty: None,
            health_probe: None,
            owner: None,
            on_exit: None,
            queue: None,
            queue_position: None,
            after: None,
            watch: Vec::new(),
            supervised: false,
            resources: None,
        }
    }

    /// Shows the values of `env` as they were given.
    pub fn reveal_env(&mut self, env: &EnvVars) {
        self.env = env.0.clone();
    }

    /// The exit status that stands for this end: the command's own code, 128 + n for a signal,
    /// 1 where neither is known; 0 while it has not ended.
    pub fn exit_status(&self) -> u8 {
        let code = match (self.exit_code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal.number(),
            (None, None) => i32::from(self.status.is_terminal()),
        };
        u8::try_from(code).unwrap_or(1)
    }
}
