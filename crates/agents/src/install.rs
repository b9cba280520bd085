//! How a provider's CLI is installed. Nothing is installed unless that is what was asked for.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use background_tasks_core::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

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
    /// Runs it to its end, without a terminal and with nothing to read.
    ///
    /// # Errors
    /// What the system says when it cannot be run.
    pub fn run(&self, provider: Provider, surroundings: &Surroundings) -> io::Result<Installed> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (program, args) = self.argv.split_first().ok_or_else(missing)?;
        let program = surroundings.find(program).ok_or_else(missing)?;
        let (mut output, printed) = io::pipe()?;
        // The command goes at once: the copies of the pipe that it holds would keep it open.
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(surroundings.variables())
            .envs([("NO_COLOR", "1"), ("TERM", "dumb")])
            .stdin(Stdio::null())
            .stdout(printed.try_clone()?)
            .stderr(printed)
            .spawn()?;
        let kept = keep_last(&mut output)?;
        let status = child.wait()?;
        Ok(Installed {
            argv: self.argv.clone(),
            exit_code: status.code(),
            output: String::from_utf8_lossy(&kept).into_owned(),
            path: provider.find(surroundings).ok().flatten(),
        })
    }
}

/// The last of what comes, until nothing does.
fn keep_last(output: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; OUTPUT_KEPT];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return Ok(kept),
            Ok(length) => kept.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let surplus = kept.len().saturating_sub(OUTPUT_KEPT);
        kept.drain(..surplus);
    }
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
        write!(
            f,
            "{} is not installed: there is no program `{}` on the PATH ({})",
            self.provider,
            self.program,
            folders.join(":")
        )
    }
}

impl std::error::Error for NotInstalled {}
