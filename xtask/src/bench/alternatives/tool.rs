//! What is asked of every program that keeps commands in the background.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::Setup;
use super::super::home::scratch;
use super::super::race::timed;
use crate::{Result, command};

/// Marks every process of a tool and of its jobs, so that all can be found again.
const MARK: &str = "BENCH_ALTERNATIVE";

/// One of the programs that are compared.
pub trait Tool {
    /// Name and version.
    fn name(&self) -> &str;

    /// Where it keeps its things, and how its processes are known.
    fn place(&self) -> &Place;

    /// A command line that starts a command in the background and prints what names it.
    fn start(&self, argv: &[&str]) -> Command;

    /// What names the command, out of what its start has printed.
    fn id(&self, printed: &str) -> Result<String>;

    /// Waits until a command has ended; `None` where there is no such thing.
    fn wait(&self, id: &str) -> Option<Command>;

    /// Asks what became of a command.
    fn status(&self, id: &str) -> Command;

    /// Whether that answer tells how it ended: an exit code, or the number or name of a signal.
    fn tells(&self, status: &str, end: End) -> bool;

    /// Shows all commands.
    fn list(&self) -> Command;

    /// Ends a command, as its documentation says.
    fn stop(&self, id: &str) -> Command;

    /// What ends the tool itself, if something runs between the calls.
    fn shut_down(&self) -> Option<Command> {
        None
    }

    /// Whether hundreds of starts take seconds and not minutes.
    fn is_quick(&self) -> bool {
        true
    }
}

/// How a command may end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// `exit 7`.
    Exit7,
    /// SIGKILL to itself.
    Killed,
}

/// Starts a command; the milliseconds until the answer is complete, and the id.
pub fn start(tool: &dyn Tool, argv: &[&str]) -> Result<(f64, String)> {
    let (time, printed) = timed(&mut tool.start(argv))?;
    let id = tool.id(&String::from_utf8_lossy(&printed))?;
    Ok((time, id))
}

/// Runs a question whose exit status says nothing about whether it was answered.
pub fn asked(command: &mut Command) -> Result<(f64, String)> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|problem| command::cannot_run(command, &problem))?;
    let time = super::super::race::milliseconds(start);
    Ok((time, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs what may leave a daemon behind that keeps its standard output open.
pub fn quietly(command: &mut Command) -> Result {
    command::run(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// A folder and an environment of a tool's own.
pub struct Place {
    /// Where its state goes.
    pub folder: PathBuf,
    program: PathBuf,
    mark: String,
}

impl Place {
    /// For a program that may be on the search path.
    pub fn of_program(setup: &Setup, program: &str) -> Result<Option<Self>> {
        match command::find(program) {
            Some(path) => Self::new(setup, path).map(Some),
            None => Ok(None),
        }
    }

    /// For this program.
    pub fn new(setup: &Setup, program: PathBuf) -> Result<Self> {
        let name = program.file_name().ok_or("a program has a name")?;
        let name = format!("alternative-{}", name.to_string_lossy());
        let folder = scratch(setup, &name)?;
        let mark = format!("{MARK}={}", folder.display());
        Ok(Self {
            folder,
            program,
            mark,
        })
    }

    /// The program with its own environment.
    pub fn command(&self) -> Command {
        self.other(&self.program)
    }

    /// Another program of the same package.
    pub fn other(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env(MARK, &self.folder).env("HOME", &self.folder);
        command
    }

    /// The first line of what it prints about its version.
    pub fn version(&self, flag: &str) -> String {
        let printed = asked(self.command().arg(flag)).map(|(_, printed)| printed);
        let printed = printed.unwrap_or_default();
        printed.lines().next().unwrap_or_default().trim().to_owned()
    }

    /// Every living process of the tool and of its jobs.
    pub fn processes(&self) -> Vec<i32> {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let mut variables = environment.split(|byte| *byte == 0);
                variables.any(|one| one == self.mark.as_bytes())
            })
            .collect()
    }

    /// Those that keep the jobs: all but the jobs themselves.
    pub fn keepers(&self, job: &str) -> Vec<i32> {
        let mut all = self.processes();
        all.retain(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            program.file_name().map(OsStrExt::as_bytes) != Some(job.as_bytes())
        });
        all
    }
}

impl Drop for Place {
    /// Ends whatever is left of the tool. The mark is in the environment of processes that this
    /// run has started only.
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.processes();
            for pid in left.iter().filter(|pid| **pid > 1) {
                // Somebody else may have been faster.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
