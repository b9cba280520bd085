//! `on_exit`: what is run once when a task has ended for good.
//!
//! Its outcome is an event, and changes nothing else. It is claimed before it runs, by a file that
//! only one can create, so that whoever takes over from a lost supervisor does not run it again.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde_json::json;

use super::command::Command;
use super::handshake::SpawnFailure;
use super::launch::{errno_of, pipe};
use super::ledger::Ledger;
use super::tree::Tree;
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::error::SpawnStep;
use crate::event::EventData;
use crate::store::{Home, TaskDir, hook_claim};
use crate::task::{Hook, MainExit, ProcessIdentity, Task};

/// How long it may run.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
/// How much of its output is kept.
pub(crate) const KEPT: usize = 4096;
/// Where its input is written; unlinked at once.
const INPUT: &str = "on_exit.input";

/// A hook that runs.
#[derive(Debug)]
pub(super) struct RunningHook {
    main: ProcessIdentity,
    /// `None` once it will write no more.
    output: Option<File>,
    kept: Vec<u8>,
    since: Stopwatch,
    ends_at: Deadline,
    timed_out: bool,
}

/// What became of the wish to run it.
pub(super) enum Begun {
    /// It runs.
    Running(RunningHook),
    /// Somebody has run it, or begun to.
    NotOurs,
    /// It could not be executed.
    Failed(EventData),
}

/// Runs the task's hook, if nobody has yet.
pub(super) fn begin(home: &Home, ledger: &Ledger) -> Begun {
    let Some(hook) = &ledger.record.spec.on_exit else {
        return Begun::NotOurs;
    };
    if !claim(&ledger.dir, &hook_claim(&ledger.record.facts)) {
        return Begun::NotOurs;
    }
    match execute(home, ledger, hook) {
        Ok((main, output)) => Begun::Running(RunningHook {
            main,
            output: Some(output),
            kept: Vec::new(),
            since: Stopwatch::start(),
            ends_at: Deadline::after(LONGEST),
            timed_out: false,
        }),
        Err(failure) => Begun::Failed(EventData::OnExit {
            exit_code: None,
            signal: None,
            timed_out: false,
            problem: Some(failure.to_string()),
            duration_ms: None,
            output: String::new(),
        }),
    }
}

/// Where the disk is too full to claim it, it is not run: at most once comes first.
fn claim(dir: &TaskDir, name: &str) -> bool {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).is_ok()
}

fn execute(
    home: &Home,
    ledger: &Ledger,
    hook: &Hook,
) -> Result<(ProcessIdentity, File), SpawnFailure> {
    let failed = |errno| SpawnFailure::new(SpawnStep::Stdin, INPUT, errno);
    let input = input(home, ledger).map_err(|error| failed(errno_of(&error)))?;
    let (output, writer) = pipe().map_err(failed)?;
    // Only ours: the hook may write as it is used to.
    fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(failed)?;
    let record = &ledger.record;
    let command = Command {
        home,
        id: &record.id,
        spec: &record.spec,
        facts: &record.facts,
    };
    let descriptors = [(input.as_fd(), 0), (writer.as_fd(), 1), (writer.as_fd(), 2)];
    let main = command.execute_beside(&hook.command, &hook.args, &descriptors)?;
    Ok((main, File::from(output)))
}

/// The final event, as a file that nobody else can open: a pipe might be too small for it.
fn input(home: &Home, ledger: &Ledger) -> std::io::Result<File> {
    let record = &ledger.record;
    let event = EventData::of_end(&record.facts.state, &record.spec);
    let mut text = json!({
        "task_id": record.id,
        "timestamp": Timestamp::now(),
        "task": Task::of(record, &home.log_path(&record.id), false),
    });
    // Its own fields are `type` and `data`, as in a frame.
    if let (Some(text), Ok(serde_json::Value::Object(event))) =
        (text.as_object_mut(), serde_json::to_value(event))
    {
        text.extend(event);
    }
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mut file = File::from(openat(
        &ledger.dir,
        INPUT,
        flags,
        Mode::S_IRUSR | Mode::S_IWUSR,
    )?);
    unlinkat(&ledger.dir, INPUT, UnlinkatFlags::NoRemoveDir)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.rewind()?;
    Ok(file)
}

impl RunningHook {
    pub(super) fn pid(&self) -> i32 {
        self.main.pid
    }

    /// Readable when it has written something.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// When it has had its time.
    pub(super) fn due(&self) -> Deadline {
        self.ends_at
    }

    /// Reads what it has written.
    pub(super) fn listen(&mut self) {
        let mut piece = [0; KEPT];
        // A bounded number of times: one that never stops writing must not keep us here.
        for _ in 0..64 {
            let Some(output) = &mut self.output else {
                return;
            };
            match output.read(&mut piece) {
                Ok(0) => self.output = None,
                Ok(n) => {
                    self.kept.extend_from_slice(&piece[..n]);
                    let surplus = self.kept.len().saturating_sub(KEPT);
                    self.kept.drain(..surplus);
                }
                Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => {}
                Err(_) => return,
            }
        }
    }

    /// Ends it, and what it has started.
    pub(super) fn kill(&mut self, ledger: &Ledger) {
        self.timed_out = true;
        self.ends_at = Deadline::NEVER;
        // Nothing of the task itself is left, so all that is below us is of the hook.
        Tree::own(self.main, &ledger.record.facts.run_token).kill();
    }

    /// What became of it.
    pub(super) fn ended(mut self, exit: MainExit) -> EventData {
        self.listen();
        let (exit_code, signal) = EventData::exit_fields(Some(exit));
        EventData::OnExit {
            exit_code,
            signal,
            timed_out: self.timed_out,
            problem: None,
            duration_ms: Some(self.since.elapsed_ms()),
            output: String::from_utf8_lossy(&self.kept).into_owned(),
        }
    }
}
