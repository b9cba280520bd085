//! Waiting until nobody supervises a task any more.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::settle::{holder, out_of_reach};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::process;
use crate::store::{Holder, Home, TaskDir};
use crate::task::TaskId;
use crate::wait::poll_timeout;

/// Between two looks at a supervisor that cannot be watched.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until the task has no supervisor.
pub(super) fn await_unsupervised(
    home: &Home,
    id: &TaskId,
    dir: &TaskDir,
    deadline: Deadline,
) -> Result<()> {
    loop {
        match holder(home, id, dir)? {
            Holder::Nobody => return Ok(()),
            Holder::Elsewhere => return Err(out_of_reach(id)),
            Holder::Supervisor(pid) => await_end_of(home, id, dir, pid, deadline)?,
        }
    }
}

/// Waits until this process is not the task's supervisor any more.
pub(super) fn await_end_of(
    home: &Home,
    id: &TaskId,
    dir: &TaskDir,
    pid: i32,
    deadline: Deadline,
) -> Result<()> {
    let is_still = || Ok(holder(home, id, dir)? == Holder::Supervisor(pid));
    let is_gone = match process::exit_watch(pid) {
        // The pid may have been used again before it was watched.
        Ok(watch) => !is_still()? || ends_in_time(&watch, deadline)?,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => true,
        // An old kernel, a filter of system calls, no descriptors: nothing tells.
        Err(_) => is_gone_in_time(is_still, deadline)?,
    };
    if is_gone {
        return Ok(());
    }
    Err(Error::timed_out(format!(
        "processes of {id} are still being ended"
    )))
}

/// Looks again and again; `false` when the deadline passes first.
fn is_gone_in_time(is_still: impl Fn() -> Result<bool>, deadline: Deadline) -> Result<bool> {
    while is_still()? {
        if deadline.has_passed() {
            return Ok(false);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(true)
}

/// Waits for a watched process; `false` when the deadline passes first.
fn ends_in_time(watch: &OwnedFd, deadline: Deadline) -> Result<bool> {
    loop {
        let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, poll_timeout(deadline)) {
            Ok(0) if deadline.has_passed() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => {
                return Err(Error::Internal {
                    message: format!("poll: {errno}"),
                });
            }
        }
    }
}
