//! How a provider's CLI is installed. Nothing is installed unless that is what was asked for.

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use background_tasks_core::{Deadline, Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;

use crate::child;
use crate::provider::Provider;
use crate::surroundings::Surroundings;

/// What installs a CLI, as its makers document it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Installer {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it needs; `npm` comes with Node.js.
    pub needs: &'static str,
}

impl Installer {
    pub(crate) fn npm(package: &str) -> Self {
        let argv = ["npm", "install", "--global", package].map(str::to_owned);
        Self {
            argv: argv.to_vec(),
            needs: "npm",
        }
    }

    /// A script from the network, with a variable set for it. It is downloaded as a whole first: half
    /// a script must not run.
    pub(crate) fn script(url: &str, variable: &str) -> Self {
        let script = format!("script=$(curl -fsSL {url}) && {variable} bash -c \"$script\"");
        let argv = ["bash", "-c", &script].map(str::to_owned);
        Self {
            argv: argv.to_vec(),
            needs: "curl",
        }
    }

    /// As it would be typed.
    pub fn command_line(&self) -> String {
        let quoted = self.argv.iter().map(|word| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=".contains(c);
            match word.chars().all(is_plain) && !word.is_empty() {
                true => word.clone(),
                false => format!("'{}'", word.replace('\'', "'\\''")),
            }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

/// What became of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Installed {
    /// What was run.
    pub argv: Vec<String>,
    /// How it ended; `null` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The last 4 KiB of what it printed on either stream.
    pub output: String,
    /// Where the provider's program is now; `null` when it still is not on the PATH.
    pub path: Option<PathBuf>,
}

/// So much is kept of what an installer prints.
const OUTPUT_KEPT: usize = 4096;

impl Installer {
    /// Runs it to its end, without a terminal and with nothing to read. If the time is over before
    /// that, it is ended with its process group.
    ///
    /// # Errors
    /// [`Error::ProviderNotInstalled`] when it fails, or its program is not on the PATH after it;
    /// [`Error::TaskWaitTimedOut`]; both with `output`. [`Error::Internal`] when it cannot be run.
    pub fn run(
        &self,
        provider: Provider,
        surroundings: &Surroundings,
        deadline: Deadline,
    ) -> Result<Installed> {
        let mut kept = Vec::new();
        let status = self
            .execute(surroundings, deadline, &mut |bytes| {
                keep_last(&mut kept, bytes);
                true
            })
            .map_err(|error| Error::Internal {
                message: format!("cannot run `{}`: {error}", self.command_line()),
            })?;
        let output = String::from_utf8_lossy(&kept).into_owned();
        let Some(status) = status else {
            return Err(self.timed_out().with("output", output));
        };
        match provider.find(surroundings).ok().flatten() {
            Some(path) if status.success() => Ok(Installed {
                argv: self.argv.clone(),
                exit_code: status.code(),
                output,
                path: Some(path),
            }),
            _ => Err(self.failed(status, surroundings).with("output", output)),
        }
    }

    fn execute(
        &self,
        surroundings: &Surroundings,
        deadline: Deadline,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> io::Result<Option<ExitStatus>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (program, args) = self.argv.split_first().ok_or_else(missing)?;
        let program = surroundings.find(program).ok_or_else(missing)?;
        let (output, printed) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(args)
            .stdout(printed.try_clone()?)
            .stderr(printed);
        child::run(&mut command, surroundings, output, deadline, take)
    }

    fn timed_out(&self) -> Error {
        Error::TaskWaitTimedOut {
            message: format!("`{}` was not done in time", self.command_line()),
            hint: "It was ended; try again with a longer --timeout.",
            details: Map::new(),
        }
    }

    /// Why the program is still not there.
    fn failed(&self, status: ExitStatus, surroundings: &Surroundings) -> Error {
        let (fate, hint) = match status.code() {
            Some(0) => (
                "succeeded, but what it installed is not on the PATH".to_owned(),
                "Put the folder that it installs to on the PATH; details.output may name it.",
            ),
            Some(code) => (
                format!("exited with code {code}"),
                "Mend what details.output tells of, and try again.",
            ),
            None => (
                "was ended by a signal".to_owned(),
                "details.output shows how far it was; try again.",
            ),
        };
        let error = Error::ProviderNotInstalled {
            message: format!("`{}` {fate}", self.command_line()),
            hint: hint.to_owned(),
            searched: surroundings.search_path(),
        };
        error.with("exit_code", status.code())
    }
}

fn keep_last(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let surplus = kept.len().saturating_sub(OUTPUT_KEPT);
    kept.drain(..surplus);
}

impl Provider {
    /// What installs it, when everything that takes is there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it is built in, or what the installer needs is missing.
    pub fn installer(self, surroundings: &Surroundings) -> Result<Installer> {
        let Some(installer) = self.cli().installer() else {
            return Err(Error::Unsupported {
                message: format!("{self} is built in: there is nothing to install"),
                hint: "Start it.".to_owned(),
            });
        };
        let runner = installer.argv.first().map_or("", String::as_str);
        let missing = [runner, installer.needs]
            .into_iter()
            .find(|program| surroundings.find(program).is_none());
        match missing {
            None => Ok(installer),
            Some(program) => Err(Error::Unsupported {
                message: format!("cannot install {self}: {program} is not on the PATH"),
                hint: match program {
                    "npm" => "Install Node.js, which brings npm, and try again.".to_owned(),
                    _ => format!("Install {program} and try again."),
                },
            }),
        }
    }
}

/// The program of a provider is not on the PATH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInstalled {
    /// Whose it is.
    pub provider: Provider,
    /// What was looked for.
    pub program: &'static str,
    /// Where.
    pub searched: Vec<PathBuf>,
    /// What would install it.
    pub installer: Option<Installer>,
    /// Where it was before.
    pub was_at: Option<PathBuf>,
}

impl NotInstalled {
    pub(crate) fn new(
        provider: Provider,
        program: &'static str,
        surroundings: &Surroundings,
    ) -> Self {
        Self {
            provider,
            program,
            searched: surroundings.search_path(),
            installer: provider.cli().installer(),
            was_at: None,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        let Some(installer) = &self.installer else {
            return format!("Put {} on the PATH.", self.program);
        };
        format!(
            "Install it with agent install {{\"provider\": \"{}\"}}, which runs `{}`; or put {} on the PATH.",
            self.provider,
            installer.command_line(),
            self.program
        )
    }
}

impl std::fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folders: Vec<_> = self
            .searched
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        let provider = self.provider;
        match &self.was_at {
            None => write!(f, "{provider} is not installed: there")?,
            Some(path) => write!(
                f,
                "{provider} is not installed any more: {} cannot be executed, and there",
                path.display()
            )?,
        }
        let (program, folders) = (self.program, folders.join(":"));
        write!(f, " is no program `{program}` on the PATH ({folders})")
    }
}

impl From<NotInstalled> for Error {
    fn from(absent: NotInstalled) -> Self {
        Self::ProviderNotInstalled {
            message: absent.to_string(),
            hint: absent.hint(),
            searched: absent.searched,
        }
    }
}

impl std::error::Error for NotInstalled {}
