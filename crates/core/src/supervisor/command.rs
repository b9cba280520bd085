//! Executing the command: environment, PATH lookup, descriptors.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, faccessat};

use super::confine::Confined;
use super::handshake::SpawnFailure;
use super::input::Prepared;
use super::log_file::Logs;
use super::{ID_VARIABLE, RUN_VARIABLE, WORK_VARIABLE};
use crate::env_file;
use crate::error::SpawnStep;
use crate::process::{SignalMask, Spawn, may_access};
use crate::store::Home;
use crate::task::{Facts, ProcessIdentity, Program, TaskId, TaskSpec};

/// PATH where a task has none; the default of execvp(3) in common C libraries.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// What a terminal calls itself, unless told: what most of them do.
const DEFAULT_TERM: &str = "xterm-256color";

/// A command about to be executed.
pub(crate) struct Command<'a> {
    pub home: &'a Home,
    pub id: &'a TaskId,
    pub spec: &'a TaskSpec,
    pub facts: &'a Facts,
}

/// What a program finds as its standard streams, and whether they are its terminal.
#[derive(Clone, Copy)]
struct Standard<'a> {
    descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    is_terminal: bool,
}

type Environment = BTreeMap<OsString, OsString>;

impl Command<'_> {
    /// Opens what the command begins with, each its own step, so that a failure names it.
    pub(crate) fn open_workdir(&self) -> Result<OwnedFd, SpawnFailure> {
        let path = &self.spec.workdir;
        let failure = |errno| SpawnFailure::new(SpawnStep::Workdir, path.to_string_lossy(), errno);
        // Entering needs no permission to read; O_PATH asks for none.
        #[cfg(target_os = "linux")]
        let access = OFlag::O_PATH;
        #[cfg(not(target_os = "linux"))]
        let access = OFlag::O_RDONLY;
        let flags = access | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty()).map_err(failure)?;
        may_access(&dir, ".", AccessFlags::X_OK).map_err(failure)?;
        Ok(dir)
    }

    /// Executes the command with the logs, or its terminal, as its output.
    pub(crate) fn execute(
        &self,
        workdir: &OwnedFd,
        input: &Prepared,
        logs: &Logs,
        confined: Option<&Confined<'_>>,
    ) -> Result<ProcessIdentity, SpawnFailure> {
        let (stdout, stderr) = if input.is_terminal() {
            (input.stdin.as_fd(), input.stdin.as_fd())
        } else {
            let stderr = logs.stderr.as_ref().unwrap_or(&logs.main);
            (logs.main.as_fd(), stderr.as_fd())
        };
        let standard = Standard {
            descriptors: &[(input.stdin.as_fd(), 0), (stdout, 1), (stderr, 2)],
            is_terminal: input.is_terminal(),
        };
        let environment = self.environment()?;
        match &self.spec.program {
            Program::Direct { command, args } => {
                spawn(command, args, &environment, workdir, standard, confined)
            }
            Program::Shell(script) => {
                let args = ["-c".to_owned(), script.clone()];
                spawn("/bin/sh", &args, &environment, workdir, standard, confined)
            }
        }
    }

    /// Executes another program in the surroundings of the command, with these descriptors. It does
    /// not carry the mark of the run: it is not of the task.
    pub(crate) fn execute_beside(
        &self,
        command: &str,
        args: &[String],
        descriptors: &[(BorrowedFd<'_>, RawFd)],
    ) -> Result<ProcessIdentity, SpawnFailure> {
        let workdir = self.open_workdir()?;
        let mut environment = self.environment()?;
        environment.remove(OsStr::new(RUN_VARIABLE));
        let standard = Standard {
            descriptors,
            is_terminal: false,
        };
        spawn(command, args, &environment, &workdir, standard, None)
    }

    /// Executes a health probe, whose outcome is all that anybody wants of it. What it leaves behind
    /// is of the task.
    pub(crate) fn execute_probe(
        &self,
        command: &str,
        args: &[String],
        null: BorrowedFd<'_>,
    ) -> Result<ProcessIdentity, SpawnFailure> {
        let workdir = self.open_workdir()?;
        let environment = self.environment()?;
        let standard = Standard {
            descriptors: &[(null, 0), (null, 1), (null, 2)],
            is_terminal: false,
        };
        spawn(command, args, &environment, &workdir, standard, None)
    }

    /// What is inherited, then the env file, then `env`, then what is ours.
    fn environment(&self) -> Result<Environment, SpawnFailure> {
        let mut environment = Environment::new();
        if self.spec.inherit_env {
            environment.extend(std::env::vars_os());
        }
        if self.spec.pty.is_some() {
            // The caller's speaks of another terminal.
            environment.insert("TERM".into(), DEFAULT_TERM.into());
        }
        let home = OsString::from(self.home.path());
        environment.insert(crate::store::HOME_VARIABLE.into(), home);
        if let Some(path) = &self.spec.env_file {
            let variables = env_file::load(path).map_err(|unreadable| SpawnFailure {
                explanation: unreadable.explanation,
                ..SpawnFailure::new(SpawnStep::EnvFile, path.to_string_lossy(), unreadable.errno)
            })?;
            environment.extend(
                variables
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into())),
            );
        }
        for (name, value) in &self.spec.env.0 {
            environment.insert(name.into(), value.into());
        }
        environment.insert(ID_VARIABLE.into(), self.id.as_str().into());
        environment.insert(RUN_VARIABLE.into(), self.facts.run_token.as_str().into());
        if self.facts.work > 0 {
            let number = self.facts.work.to_string();
            environment.insert(WORK_VARIABLE.into(), number.into());
        }
        Ok(environment)
    }
}

fn spawn(
    command: &str,
    args: &[String],
    environment: &Environment,
    workdir: &OwnedFd,
    standard: Standard<'_>,
    confined: Option<&Confined<'_>>,
) -> Result<ProcessIdentity, SpawnFailure> {
    let program = resolve(command, environment, workdir)
        .map_err(|errno| SpawnFailure::new(SpawnStep::Exec, command, errno))?;
    let failure = |errno| exec_failure(command, &program, workdir, errno);
    let words = [command].into_iter().chain(args.iter().map(String::as_str));
    let argv = words.map(CString::new).collect::<Result<Vec<_>, _>>();
    let argv = argv.map_err(|_| failure(Errno::EINVAL))?;
    let env = as_variables(environment).map_err(failure)?;
    Spawn {
        program: &program,
        argv: &argv,
        env: &env,
        workdir: workdir.as_fd(),
        descriptors: standard.descriptors,
        mask: SignalMask::Empty,
        has_terminal: standard.is_terminal,
    }
    .run_within(confined.map(Confined::as_confinement).as_ref())
    .map_err(failure)
}

fn as_variables(environment: &Environment) -> Result<Vec<CString>, Errno> {
    environment
        .iter()
        .map(|(name, value)| {
            let mut variable = name.clone().into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable).map_err(|_| Errno::EINVAL)
        })
        .collect()
}

/// Finds the program as execvp(3) would, but on the PATH that the *command* gets and from its
/// working directory. Like there, a match that may not be executed is remembered while the
/// search goes on.
fn resolve(name: &str, environment: &Environment, workdir: &OwnedFd) -> Result<CString, Errno> {
    let as_text = |path: &OsStr| CString::new(path.as_bytes()).map_err(|_| Errno::EINVAL);
    if name.contains('/') {
        return as_text(OsStr::new(name));
    }
    let path = environment
        .get(OsStr::new("PATH"))
        .map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
    let mut verdict = Errno::ENOENT;
    for folder in std::env::split_paths(path) {
        // An empty entry means the working directory.
        let candidate = if folder.as_os_str().is_empty() {
            Path::new(".").join(name)
        } else {
            folder.join(name)
        };
        match is_executable(workdir, &candidate) {
            Ok(()) => return as_text(candidate.as_os_str()),
            Err(Errno::EACCES) => verdict = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(verdict)
}

fn is_executable(workdir: &OwnedFd, candidate: &Path) -> Result<(), Errno> {
    may_access(workdir, candidate, AccessFlags::X_OK)?;
    let stat = nix::sys::stat::fstatat(workdir, candidate, AtFlags::empty())?;
    // A folder on PATH "may be executed" too, for entering it.
    if stat.st_mode & libc::S_IFMT == libc::S_IFREG {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// `ENOENT` from an exec of a file that is there speaks of the interpreter in its first line.
fn exec_failure(name: &str, program: &CString, workdir: &OwnedFd, errno: Errno) -> SpawnFailure {
    let failure = SpawnFailure::new(SpawnStep::Exec, name, errno);
    let path = Path::new(OsStr::from_bytes(program.as_bytes()));
    let is_there = faccessat(workdir, path, AccessFlags::F_OK, AtFlags::empty()).is_ok();
    match errno {
        Errno::ENOENT if is_there => failure.explained(
            "the file is there, but the interpreter that its first line (or its ELF header) names is not",
        ),
        Errno::ENOEXEC => failure.explained("it is neither a program for this machine nor a script with a #! line"),
        _ => failure,
    }
}
