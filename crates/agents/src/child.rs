//! Programs that are asked for something, and may hang.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use background_tasks_core::Deadline;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::surroundings::Surroundings;

/// How often it is looked whether a process that holds its output open, or has closed it, is gone.
/// Nothing portable waits for an exit and for output at once.
const GLANCE: Duration = Duration::from_millis(10);
/// At least what a pipe holds; between two such pieces the time is looked at.
const PIECE: usize = 128 << 10;

/// Runs a program in a process group of its own, with nothing to read, until it exits or the time is
/// over, which ends the group; then the status is `None`. `take` gets what comes out of the pipe, as
/// long as it wants more.
pub(crate) fn run(
    command: &mut Command,
    surroundings: &Surroundings,
    output: PipeReader,
    deadline: Deadline,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<Option<ExitStatus>> {
    let mut output = File::from(OwnedFd::from(output));
    let mut is_open = fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok();
    let mut child = command
        .env_clear()
        .envs(surroundings.variables())
        .envs([("NO_COLOR", "1"), ("TERM", "dumb")])
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    let status = loop {
        let status = child.try_wait().ok().flatten();
        // Only what was written before the exit was looked for is sure to be there.
        is_open = is_open && drain(&mut output, take);
        if status.is_some() || deadline.has_passed() {
            break status;
        }
        await_output(is_open.then_some(&output));
    };
    end(&mut child);
    Ok(status)
}

/// Reads what is there; whether more may come.
fn drain(output: &mut File, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut buffer = [0; 4096];
    for _ in 0..PIECE / buffer.len() {
        match output.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) if take(&buffer[..length]) => {}
            Ok(_) => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
    true
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
