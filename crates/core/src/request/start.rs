//! `start`.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    HealthAsked, OwnerAsked, PtyAsked, Restarts, invalid, object_or_null, objects_or_null,
};
use crate::env_file::VARIABLE_NAME;
use crate::error::Result;
use crate::supervisor::{ID_VARIABLE, RUN_VARIABLE};
use crate::task::{
    After, EnvVars, Extension, Hook, Leftovers, Limits, LogWatch, Program, Queue, RestartSettings,
    Stderr, Stdin, StopSettings, TaskId, TaskSpec, WITHOUT_NUL,
};

/// The shortest limit of time, in milliseconds.
const LEAST_LIMIT: u64 = 1;

/// Start a command in the background.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StartRequest")]
pub struct Start {
    /// The id to give it; generated when left out.
    pub id: Option<TaskId>,
    /// A name for people, and to find it by; none when left out.
    #[schemars(extend("examples" = ["dev server"]))]
    pub name: Option<String>,
    /// The program: a path, or a name that is looked up on the task's PATH. No shell. `shell` says
    /// what is run when it is left out.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["cargo"]))]
    pub command: Option<String>,
    /// Its arguments.
    #[schemars(inner(regex(pattern = WITHOUT_NUL)), extend("examples" = [["build", "--release"]]))]
    #[schemars(extend("default" = []))]
    pub args: Option<Vec<String>>,
    /// Instead of `command` and `args`: a script for `/bin/sh -c`. `command` says what is run when it
    /// is left out.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["npm ci && npm run dev"]))]
    pub shell: Option<String>,
    /// Where it runs; the caller's working directory when left out.
    #[serde(alias = "cwd")]
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["/home/ada/shop"]))]
    pub workdir: Option<PathBuf>,
    /// Variables set above what is inherited.
    #[schemars(extend("default" = {}))]
    #[schemars(extend("additionalProperties" = { "type": "string", "pattern": WITHOUT_NUL }))]
    #[schemars(extend("examples" = [{ "PORT": "3000" }]))]
    #[schemars(extend("propertyNames" = {
        "pattern": VARIABLE_NAME, "not": { "enum": [ID_VARIABLE, RUN_VARIABLE] }
    }))]
    pub env: Option<BTreeMap<String, String>>,
    /// Whether the caller's environment lies below `env`.
    #[serde(alias = "inheritEnv")]
    #[schemars(extend("default" = true))]
    pub inherit_env: Option<bool>,
    /// A dotenv file, read at each start, between the two; none when left out. Its values are never
    /// recorded.
    #[serde(alias = "envFile")]
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = [".env"]))]
    pub env_file: Option<PathBuf>,
    /// Marks to find it by.
    #[schemars(inner(length(min = 1)), extend("examples" = [["web"]]), extend("default" = []))]
    pub tags: Option<Vec<String>>,
    /// The session that it belongs to; none when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
    /// Whether that session wants to hear of its end.
    #[serde(alias = "notifyOnExit")]
    #[schemars(extend("default" = false))]
    pub notify_on_exit: Option<bool>,
    /// How it is asked to end.
    #[serde(default, deserialize_with = "object_or_null")]
    #[schemars(extend("default" = StopSettings::default()))]
    pub stop: Option<StopSettings>,
    /// What becomes of processes that outlive the main one.
    #[schemars(extend("default" = Leftovers::default()))]
    pub leftovers: Option<Leftovers>,
    /// Whether standard error goes into the log or into one of its own.
    #[schemars(extend("default" = Stderr::default()))]
    pub stderr: Option<Stderr>,
    /// How much it may use.
    #[serde(default, deserialize_with = "object_or_null")]
    #[schemars(extend("default" = Limits::default()))]
    pub limits: Option<Limits>,
    /// When it is started again by itself.
    #[serde(default, alias = "restartPolicy", deserialize_with = "object_or_null")]
    #[schemars(extend("default" = RestartSettings::default()))]
    pub restart: Option<Restarts>,
    /// Milliseconds that a run may last; then it is stopped (`timed_out`). Any time when left
    /// out.
    #[serde(alias = "timeoutMs")]
    #[schemars(range(min = LEAST_LIMIT), extend("examples" = [600_000]))]
    pub timeout_ms: Option<u64>,
    /// Milliseconds that a run may go without output; then it is stopped (`idle`). Any time when left
    /// out.
    #[serde(alias = "idleTimeoutMs")]
    #[schemars(range(min = LEAST_LIMIT), extend("examples" = [120_000]))]
    pub idle_timeout_ms: Option<u64>,
    /// So many milliseconds after its end its record and its logs are removed, by the next command
    /// that comes by; never when left out.
    #[serde(alias = "ttlMs")]
    #[schemars(extend("examples" = [3_600_000]))]
    pub ttl_ms: Option<u64>,
    /// What it reads.
    #[schemars(extend("default" = Stdin::default()))]
    pub stdin: Option<Stdin>,
    /// Whether it gets a terminal, and of which size.
    #[schemars(extend("default" = false))]
    pub pty: Option<PtyAsked>,
    /// How to find out whether it does what it is for; nobody looks when left out.
    #[serde(default, alias = "healthProbe", deserialize_with = "object_or_null")]
    pub health: Option<HealthAsked>,
    /// The process without which it is not to go on; it is stopped (`owner_gone`) when that ends.
    /// It goes on by itself when left out.
    #[serde(default, deserialize_with = "object_or_null")]
    pub owner: Option<OwnerAsked>,
    /// What is run once when it has ended for good; nothing when left out.
    #[serde(default, alias = "onExit", deserialize_with = "object_or_null")]
    pub on_exit: Option<Hook>,
    /// The line that it waits in until it has a place; none when left out.
    #[serde(default, deserialize_with = "object_or_null")]
    pub queue: Option<Queue>,
    /// The tasks that it waits for; none when left out.
    #[serde(default, deserialize_with = "object_or_null")]
    pub after: Option<After>,
    /// The lines that its events are to tell of.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schemars(extend("default" = []))]
    pub watch: Option<Vec<LogWatch>>,
    /// What happens when the id's task is running.
    #[serde(alias = "ifRunning")]
    #[schemars(extend("default" = IfRunning::default()))]
    pub if_running: Option<IfRunning>,
    /// What an embedding program keeps with it; callers have no words for it.
    #[serde(skip)]
    #[schemars(skip)]
    pub extension: Option<Box<Extension>>,
}

/// What happens when the id's task is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfRunning {
    /// It stays, and the answer is `TaskAlreadyRunning`.
    #[default]
    Error,
    /// It stays, and is the answer.
    Reuse,
    /// It is stopped, then this one starts.
    Restart,
}

impl Start {
    /// Resolves the request against the caller's surroundings: what is stored is absolute.
    ///
    /// # Errors
    /// [`crate::Error::CommandInput`] when a path is not UTF-8 or there is no working directory.
    pub(crate) fn resolve(self) -> Result<TaskSpec> {
        let workdir = match &self.workdir {
            Some(path) => absolute("workdir", path)?,
            None => std::env::current_dir().map_err(|error| {
                invalid(
                    "workdir",
                    format!("the caller's own working directory cannot be used: {error}"),
                    "Give a workdir.",
                )
            })?,
        };
        if workdir.to_str().is_none() {
            return Err(invalid(
                "workdir",
                "it is not UTF-8",
                "Give a workdir whose path is UTF-8.",
            ));
        }
        let program = match (self.command, self.shell) {
            (Some(command), _) => Program::Direct {
                command,
                args: self.args.unwrap_or_default(),
            },
            (None, script) => Program::Shell(script.unwrap_or_default()),
        };
        Ok(TaskSpec {
            name: self.name,
            program,
            workdir,
            env: EnvVars(self.env.unwrap_or_default()),
            inherit_env: self.inherit_env.unwrap_or(true),
            env_file: self
                .env_file
                .map(|path| absolute("env_file", &path))
                .transpose()?,
            tags: self.tags.unwrap_or_default(),
            parent_session_id: self.parent_session_id,
            notify_on_exit: self.notify_on_exit.unwrap_or(false),
            stop: self.stop.unwrap_or_default(),
            leftovers: self.leftovers.unwrap_or_default(),
            stderr: self.stderr.unwrap_or_default(),
            limits: self.limits.unwrap_or_default(),
            restart: self.restart.unwrap_or_default().resolve(),
            timeout_ms: self.timeout_ms,
            idle_timeout_ms: self.idle_timeout_ms,
            ttl_ms: self.ttl_ms,
            stdin: match self.stdin.unwrap_or_default() {
                Stdin::File(path) => Stdin::File(absolute("stdin.file", &path)?),
                other => other,
            },
            pty: self.pty.and_then(PtyAsked::resolve),
            health: self.health.map(|health| health.resolve()).transpose()?,
            owner: self.owner.map(OwnerAsked::resolve).transpose()?,
            on_exit: self.on_exit,
            queue: self.queue,
            after: self.after,
            watch: self.watch.unwrap_or_default(),
            extension: self.extension,
        })
    }
}

fn absolute(field: &str, path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| invalid(field, error, "Give an absolute path."))
}
