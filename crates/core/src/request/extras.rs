//! What `start` can be asked for beside the command itself.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Start, invalid, refuse_nul};
use crate::error::Error;
use crate::log::Pattern;
use crate::process;
use crate::task::{Limits, Owner, Pty, Stderr, Stdin};

/// A terminal, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum PtyAsked {
    /// `true`: one of 80 columns and 24 rows.
    Switch(bool),
    /// One of this size.
    Size(Pty),
}

/// By hand, so that what is wrong within the size is told by its field.
impl<'de> Deserialize<'de> for PtyAsked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchOrSize;
        impl<'de> Visitor<'de> for SwitchOrSize {
            type Value = PtyAsked;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or {\"cols\", \"rows\"}")
            }
            fn visit_bool<E>(self, wanted: bool) -> Result<Self::Value, E> {
                Ok(PtyAsked::Switch(wanted))
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                Pty::deserialize(MapAccessDeserializer::new(fields)).map(PtyAsked::Size)
            }
        }
        deserializer.deserialize_any(SwitchOrSize)
    }
}

impl PtyAsked {
    pub(super) fn resolve(self) -> Option<Pty> {
        match self {
            Self::Switch(wanted) => wanted.then(Pty::default),
            Self::Size(size) => Some(size),
        }
    }
}

/// A process without which the task is not to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerAsked {
    /// Alive when the task is started.
    #[schemars(range(min = OwnerAsked::LEAST), extend("examples" = [4321]))]
    pub pid: i32,
}

impl OwnerAsked {
    /// 0 and less are groups. In a container 1 may be the harness.
    const LEAST: i32 = 1;

    fn check(self) -> Result<(), Error> {
        if self.pid < Self::LEAST {
            return Err(self.nobody());
        }
        Ok(())
    }

    /// The process that has this pid now.
    ///
    /// # Errors
    /// [`crate::Error::CommandInput`] when there is none.
    pub(super) fn resolve(self) -> Result<Owner, Error> {
        self.check()?;
        let process = process::identify(self.pid);
        process.map(Owner).ok_or_else(|| self.nobody())
    }

    fn nobody(self) -> Error {
        invalid(
            "owner.pid",
            format!("there is no process {} that could own it", self.pid),
            "Give the pid of a living process, such as the caller's own.",
        )
    }
}

impl Start {
    pub(super) fn check_limits(&self) -> Result<(), Error> {
        let Some(limits) = self.limits else {
            return Ok(());
        };
        let least = Limits::LEAST_LOG_BYTES;
        if let Some(cap) = limits.log_cap().filter(|cap| *cap < least) {
            return Err(invalid(
                "limits.log_bytes",
                format!("{cap} is less than {least}"),
                format!("Give {least} or more, or 0 for a log without a limit."),
            ));
        }
        let zero = [
            ("limits.memory_bytes", limits.memory_bytes == Some(0)),
            ("limits.cpu_percent", limits.cpu_percent == Some(0)),
            ("limits.processes", limits.processes == Some(0)),
            ("limits.open_files", limits.open_files == Some(0)),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            None => Ok(()),
            Some((field, _)) => Err(invalid(
                field,
                "it must be at least 1",
                "Leave it out for no limit.",
            )),
        }
    }

    pub(super) fn check_extras(&self) -> Result<(), Error> {
        self.check_terminal()?;
        if let Some(health) = &self.health {
            health.resolve()?;
        }
        self.owner.map_or(Ok(()), OwnerAsked::check)?;
        if let Some(hook) = &self.on_exit {
            if hook.command.is_empty() {
                let hint = "Name the program to execute.";
                return Err(invalid("on_exit.command", "it is empty", hint));
            }
            refuse_nul("on_exit.command", &hook.command)?;
            hook.args
                .iter()
                .try_for_each(|word| refuse_nul("on_exit.args", word))?;
        }
        self.check_after()?;
        self.check_watches()
    }

    fn check_terminal(&self) -> Result<(), Error> {
        if let Some(Stdin::File(path)) = &self.stdin
            && path.as_os_str().is_empty()
        {
            let hint = "Name a file, or leave stdin out.";
            return Err(invalid("stdin.file", "a path may not be empty", hint));
        }
        let Some(pty) = self.pty.and_then(PtyAsked::resolve) else {
            return Ok(());
        };
        if pty.cols.min(pty.rows) < Pty::LEAST {
            let hint = "Give at least one column and one row.";
            return Err(invalid("pty", "a terminal has no size of 0", hint));
        }
        if self.stderr == Some(Stderr::Separate) {
            return Err(invalid(
                "stderr",
                "a terminal shows both streams as one",
                "Leave out pty, or stderr.",
            ));
        }
        if matches!(self.stdin, Some(Stdin::Text(_) | Stdin::File(_))) {
            return Err(invalid(
                "stdin",
                "with a terminal, that is what the command reads from",
                "Leave out stdin and type with send, or leave out pty.",
            ));
        }
        Ok(())
    }

    fn check_after(&self) -> Result<(), Error> {
        let Some(after) = &self.after else {
            return Ok(());
        };
        if after.ids.is_empty() {
            let hint = "Name the tasks to run after, or leave after out.";
            return Err(invalid("after.ids", "it is empty", hint));
        }
        match &self.id {
            Some(id) if after.ids.contains(id) => Err(invalid(
                "after.ids",
                format!("{id} cannot run after itself"),
                "Name other tasks.",
            )),
            _ => Ok(()),
        }
    }

    fn check_watches(&self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for (index, watch) in self.watch.iter().flatten().enumerate() {
            let problem = match watch.name.as_str() {
                "" => Some("it is empty".to_owned()),
                name if !names.insert(name) => Some(format!("{name:?} occurs twice")),
                _ => None,
            };
            if let Some(problem) = problem {
                let field = format!("watch[{index}].name");
                return Err(invalid(
                    &field,
                    problem,
                    "Give each watch a name of its own.",
                ));
            }
            Pattern::compile(&format!("watch[{index}].pattern"), &watch.pattern)?;
        }
        Ok(())
    }
}
