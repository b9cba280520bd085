//! Waiting until nobody supervises a task any more.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::settle::{holder, out_of_reach};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::process;
use crate::store::{Holder, Home, TASKS, TaskDir};
use crate::task::TaskId;
use crate::wait::poll_timeout;

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
    let watch = match process::exit_watch(pid) {
        Ok(watch) => watch,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        Err(error) => {
            return Err(home.error("watch the supervisor of", &format!("{TASKS}/{id}"), error));
        }
    };
    // The pid may have been used again before it was watched.
    if holder(home, id, dir)? == Holder::Supervisor(pid) && !ends_in_time(&watch, deadline)? {
        return Err(Error::timed_out(format!(
            "processes of {id} are still being ended"
        )));
    }
    Ok(())
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
