//! What a program says that its version is, from one that may hang.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::surroundings::Surroundings;

/// So long a program may think about its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a process that holds its output open, or has closed it, is gone.
/// Nothing portable waits for an exit and for output at once.
const GLANCE: Duration = Duration::from_millis(10);
/// More than a version has.
const LONGEST: usize = 4096;

/// The first line that it prints for `--version`.
pub(crate) fn ask_version(program: &Path, surroundings: &Surroundings) -> Option<String> {
    ask(program, surroundings, PATIENCE)
}

fn ask(program: &Path, surroundings: &Surroundings, patience: Duration) -> Option<String> {
    let deadline = Instant::now() + patience;
    let mut child = Command::new(program)
        .arg("--version")
        .env_clear()
        .envs(surroundings.variables())
        .envs([("NO_COLOR", "1"), ("TERM", "dumb")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let output = child
        .stdout
        .take()
        .map(|pipe| File::from(OwnedFd::from(pipe)));
    let (text, status) = match output {
        Some(output) => listen(&mut child, output, deadline),
        None => (Vec::new(), None),
    };
    end(&mut child);
    status.filter(ExitStatus::success)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(
        line.chars()
            .filter(|letter| !letter.is_control())
            .take(200)
            .collect(),
    )
}

/// Everything that it prints until it exits, which it must have done by then.
fn listen(child: &mut Child, mut output: File, deadline: Instant) -> (Vec<u8>, Option<ExitStatus>) {
    let mut text = Vec::new();
    let mut is_open = fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok();
    loop {
        let status = child.try_wait().ok().flatten();
        // Only what was written before the exit was looked for is sure to be there.
        is_open = is_open && drain(&mut output, &mut text);
        if status.is_some() || Instant::now() >= deadline {
            return (text, status);
        }
        await_output(is_open.then_some(&output));
    }
}

/// Reads what is there; whether more may come.
fn drain(output: &mut File, text: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                let room = LONGEST.saturating_sub(text.len());
                text.extend_from_slice(&buffer[..length.min(room)]);
                if room < length {
                    return false;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn await_output(output: Option<&File>) {
    let mut polled = output.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
    let timeout = PollTimeout::try_from(GLANCE).unwrap_or(PollTimeout::ZERO);
    // Interrupted is as good as over.
    let _ = poll(polled.as_mut_slice(), timeout);
}

/// Ends it, with what it has started in its group. As long as it has not been reaped, no other process
/// or group can have its number.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
}
