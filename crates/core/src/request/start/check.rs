//! What is refused of a `start` before anything is touched.

use super::{LEAST_LIMIT, Start};
use crate::env_file::is_variable_name;
use crate::error::Result;
use crate::request::{Request, Restarts, invalid, refuse_nul};
use crate::supervisor::{ID_VARIABLE, RUN_VARIABLE};
use crate::task::TaskId;

impl Request for Start {
    const COMMAND: &'static str = "start";
    const ELSEWHERE: &'static [&'static str] = &["agent"];

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
            if millis.is_some_and(|millis| millis < LEAST_LIMIT) {
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
}
