//! Executing one probe.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::super::command::Command;
use super::super::handshake::SpawnFailure;
use super::super::launch::{self, errno_of, inherited_environment};
use super::super::tree::pids_of;
use super::super::{PROBE, Program};
use crate::process::{self, SignalMask, Spawn};
use crate::store::TaskDir;
use crate::task::{MainExit, ProcessIdentity, SignalNumber, TaskId};

/// Of what a probe says of itself so much is kept.
const LONGEST_PROBLEM: usize = 512;

/// A probe that has been executed and not been taken in yet: a child of ours that is no process of
/// the task.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub pid: i32,
    /// Where it says what is wrong.
    says: Option<File>,
}

impl Attempt {
    /// This program, asking over the network.
    pub(super) fn ask(dir: &TaskDir, id: &TaskId) -> Result<Self, String> {
        Self::try_ask(dir, id).map_err(cannot_execute)
    }

    fn try_ask(dir: &TaskDir, id: &TaskId) -> Result<Self, Errno> {
        let (says, told) = launch::pipe()?;
        fcntl(&says, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let program = Program::default()
            .path()
            .map_err(|error| errno_of(&error))?;
        let null = open_null()?;
        let pid = Spawn {
            program: &launch::text(program.as_os_str().as_encoded_bytes())?,
            argv: &[
                launch::text(format!("background-tasks: {id}").as_bytes())?,
                launch::text(PROBE.as_bytes())?,
            ],
            env: &inherited_environment()?,
            workdir: dir.as_fd(),
            descriptors: &[(null.as_fd(), 0), (told.as_fd(), 1), (null.as_fd(), 2)],
            mask: SignalMask::Empty,
            has_terminal: false,
        }
        .run()?;
        Ok(Self {
            pid,
            says: Some(File::from(says)),
        })
    }

    /// A command, with what the task's own command gets.
    pub(super) fn command(
        command: &Command<'_>,
        program: &str,
        args: &[String],
    ) -> Result<Self, String> {
        let null = open_null().map_err(cannot_execute)?;
        let probe = command.execute_probe(program, args, null.as_fd());
        let pid = probe.map_err(|failure| told(&failure))?.pid;
        Ok(Self { pid, says: None })
    }

    /// SIGKILL to it and to what it started.
    pub(super) fn kill(&self) {
        // It leads a group, whose number is nobody else's before it has been reaped. What has left
        // the group is found by descent, as long as nothing in between has ended.
        let below: Vec<ProcessIdentity> = pids_of(self.pid)
            .into_iter()
            .filter_map(process::identify)
            .collect();
        process::kill_group(self.pid);
        for process in below {
            process::send(&process, &[SignalNumber::KILL]);
        }
    }

    /// What its end means.
    pub(super) fn verdict(mut self, exit: MainExit) -> Result<(), String> {
        match exit {
            MainExit::Code(0) => return Ok(()),
            MainExit::Code(_) | MainExit::Signal(_) => {}
        }
        let mut said = [0; LONGEST_PROBLEM];
        let length = self
            .says
            .as_mut()
            .and_then(|says| says.read(&mut said).ok());
        let said = String::from_utf8_lossy(&said[..length.unwrap_or(0)]).into_owned();
        Err(match exit {
            _ if !said.is_empty() => said,
            MainExit::Code(code) => format!("it exited with code {code}"),
            MainExit::Signal(signal) => format!("it was ended by {signal}"),
        })
    }
}

fn told(failure: &SpawnFailure) -> String {
    let errno = Errno::from_raw(failure.errno);
    let (step, subject) = (failure.step.as_str(), &failure.subject);
    format!(
        "it cannot be executed: {step} `{subject}`: {}",
        errno.desc()
    )
}

fn cannot_execute(errno: Errno) -> String {
    format!("it cannot be executed: {}", errno.desc())
}

fn open_null() -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
}
