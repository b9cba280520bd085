//! `start`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    HealthAsked, OwnerAsked, PtyAsked, Request, Restarts, invalid, object_or_null, objects_or_null,
    refuse_nul,
};
use crate::env_file::is_variable_name;
use crate::error::Result;
use crate::supervisor::{ID_VARIABLE, RUN_VARIABLE};
use crate::task::{
    After, EnvVars, Hook, Leftovers, Limits, LogWatch, Program, Queue, Stderr, Stdin, StopSettings,
    TaskId, TaskSpec,
};

/// Start a command in the background.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StartRequest")]
pub struct Start {
    /// The id to give it; generated when left out.
    pub id: Option<TaskId>,
    /// A name for people, and to find it by.
    pub name: Option<String>,
    /// The program: a path, or a name that is looked up on the task's PATH. No shell.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
    /// Instead of `command` and `args`: a script for `/bin/sh -c`.
    pub shell: Option<String>,
    /// Where it runs; the caller's working directory when left out.
    #[serde(alias = "cwd")]
    pub workdir: Option<PathBuf>,
    /// Variables set above what is inherited.
    pub env: Option<BTreeMap<String, String>>,
    /// Whether the caller's environment lies below `env`; true when left out.
    #[serde(alias = "inheritEnv")]
    pub inherit_env: Option<bool>,
    /// A dotenv file, read at each start, between the two. Its values are never recorded.
    #[serde(alias = "envFile")]
    pub env_file: Option<PathBuf>,
    /// Marks to find it by.
    pub tags: Option<Vec<String>>,
    /// The session that it belongs to.
    #[serde(alias = "parentSessionId")]
    pub parent_session_id: Option<String>,
    /// Whether that session wants to hear of its end; false when left out.
    #[serde(alias = "notifyOnExit")]
    pub notify_on_exit: Option<bool>,
    /// How it is asked to end; SIGTERM and 5000 ms when left out.
    #[serde(default, deserialize_with = "object_or_null")]
    pub stop: Option<StopSettings>,
    /// What becomes of processes that outlive the main one; `stop` when left out.
    pub leftovers: Option<Leftovers>,
    /// Whether standard error goes into the log or into one of its own; `merge` when left out.
    pub stderr: Option<Stderr>,
    /// How much it may use; 268435456 bytes of each log when left out.
    #[serde(default, deserialize_with = "object_or_null")]
    pub limits: Option<Limits>,
    /// When it is started again by itself; never when left out.
    #[serde(default, alias = "restartPolicy", deserialize_with = "object_or_null")]
    pub restart: Option<Restarts>,
    /// Milliseconds that a run may last, from 1; then it is stopped (`timed_out`).
    #[serde(alias = "timeoutMs")]
    pub timeout_ms: Option<u64>,
    /// Milliseconds that a run may go without output, from 1; then it is stopped (`idle`).
    #[serde(alias = "idleTimeoutMs")]
    pub idle_timeout_ms: Option<u64>,
    /// So many milliseconds after its end its record and its logs are removed, by the next command
    /// that comes by; never when left out.
    #[serde(alias = "ttlMs")]
    pub ttl_ms: Option<u64>,
    /// What it reads; nothing when left out.
    pub stdin: Option<Stdin>,
    /// Whether it gets a terminal, and of which size; none when left out.
    pub pty: Option<PtyAsked>,
    /// How to find out whether it does what it is for.
    #[serde(default, alias = "healthProbe", deserialize_with = "object_or_null")]
    pub health: Option<HealthAsked>,
    /// The process without which it is not to go on; it is stopped (`owner_gone`) when that ends.
    #[serde(default, deserialize_with = "object_or_null")]
    pub owner: Option<OwnerAsked>,
    /// What is run once when it has ended for good.
    #[serde(default, alias = "onExit", deserialize_with = "object_or_null")]
    pub on_exit: Option<Hook>,
    /// The line that it waits in until it has a place.
    #[serde(default, deserialize_with = "object_or_null")]
    pub queue: Option<Queue>,
    /// The tasks that it waits for.
    #[serde(default, deserialize_with = "object_or_null")]
    pub after: Option<After>,
    /// The lines that its events are to tell of.
    #[serde(default, deserialize_with = "objects_or_null")]
    pub watch: Option<Vec<LogWatch>>,
    /// What happens when the id's task is running; `error` when left out.
    #[serde(alias = "ifRunning")]
    pub if_running: Option<IfRunning>,
}

/// What happens when the id's task is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

impl Request for Start {
    const COMMAND: &'static str = "start";

    fn task_id(&self) -> Option<&TaskId> {
        self.id.as_ref()
    }

    fn check(&self) -> Result<()> {
        self.check_program()?;
        self.check_env()?;
        self.check_limits()?;
        self.check_extras()?;
        self.restart.map_or(Ok(()), Restarts::check)?;
        for (field, millis) in [
            ("timeout_ms", self.timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
        ] {
            if millis == Some(0) {
                let hint = "Leave it out for no limit.";
                return Err(invalid(field, "it must be at least 1", hint));
            }
        }
        for tag in self.tags.iter().flatten() {
            if tag.is_empty() {
                return Err(invalid(
                    "tags",
                    "a tag may not be empty",
                    "Leave the empty tag out.",
                ));
            }
        }
        for (field, path) in [("workdir", &self.workdir), ("env_file", &self.env_file)] {
            let text = path.as_deref().map(|path| path.to_string_lossy());
            if text.as_deref() == Some("") {
                return Err(invalid(
                    field,
                    "a path may not be empty",
                    "Leave it out, or name a path.",
                ));
            }
            refuse_nul(field, text.as_deref().unwrap_or(""))?;
        }
        Ok(())
    }
}

impl Start {
    fn check_program(&self) -> Result<()> {
        match (self.command.as_deref(), self.shell.as_deref()) {
            (Some(""), None) => Err(invalid(
                "command",
                "it is empty",
                "Name the program to execute.",
            )),
            (None, Some("")) => Err(invalid("shell", "it is empty", "Give the script to run.")),
            (Some(_), Some(_)) => Err(invalid(
                "shell",
                "`command` and `shell` exclude each other",
                "Give `command` with `args`, or `shell` alone.",
            )),
            (None, None) => Err(invalid(
                "command",
                "it is missing: nothing to execute",
                "Give `command` (with `args`), or `shell` for a script.",
            )),
            (None, Some(_)) if self.args.is_some() => Err(invalid(
                "args",
                "`args` goes with `command`, not with `shell`",
                "Put the arguments into the script, or use `command`.",
            )),
            (command, shell) => {
                refuse_nul("command", command.unwrap_or(""))?;
                refuse_nul("shell", shell.unwrap_or(""))?;
                self.args
                    .iter()
                    .flatten()
                    .try_for_each(|word| refuse_nul("args", word))
            }
        }
    }

    fn check_env(&self) -> Result<()> {
        for (name, value) in self.env.iter().flatten() {
            if !is_variable_name(name) {
                let problem = format!("{name:?} cannot be the name of an environment variable");
                return Err(invalid(
                    "env",
                    problem,
                    "A name is not empty and holds neither `=` nor NUL.",
                ));
            }
            if name == ID_VARIABLE || name == RUN_VARIABLE {
                let problem = format!("{name} is set by background-tasks itself");
                return Err(invalid("env", problem, "Choose another name."));
            }
            refuse_nul("env", value)?;
        }
        Ok(())
    }

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
        })
    }
}

fn absolute(field: &str, path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| invalid(field, error, "Give an absolute path."))
}
