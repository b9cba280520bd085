//! Learning how a child ended.
#![allow(
    unsafe_code,
    reason = "the wrapper in use has no name for real-time signals and loses their status"
)]

use nix::errno::Errno;

use crate::task::{MainExit, SignalNumber};

/// What waitpid(2) says about our children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// This child has ended, and is no more.
    Ended { pid: i32, exit: MainExit },
    /// There are children, and none of them has ended.
    StillAlive,
    /// There is no child.
    NoChild,
}

/// Takes in one child that has ended, without waiting for any.
pub(crate) fn reap() -> Reaped {
    reap_with(libc::WNOHANG)
}

/// Takes in one child, waiting for it to end.
pub(crate) fn reap_waiting() -> Reaped {
    reap_with(0)
}

/// Whether this is a child of ours that has ended; it stays to be taken in.
pub(crate) fn child_has_ended(pid: i32) -> bool {
    let Ok(id) = libc::id_t::try_from(pid) else {
        return false;
    };
    // SAFETY: integers only; the kernel fills it in, and leaves 0 for "none".
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the place is ours and as large as it has to be.
    let asked = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, options) };
    // SAFETY: it is zeroed, or of the kind that tells of a child.
    asked == 0 && unsafe { info.si_pid() } == pid
}

/// Takes in this child, if it has ended.
pub(crate) fn reap_child(pid: i32) {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
}

fn reap_with(options: libc::c_int) -> Reaped {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one integer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, options) };
        match Errno::result(pid) {
            Ok(0) => return Reaped::StillAlive,
            // Anything else is a stop of a child that somebody traces: not an end.
            Ok(pid) => {
                if let Some(exit) = exit_of(status) {
                    return Reaped::Ended { pid, exit };
                }
            }
            Err(Errno::EINTR) => {}
            // ECHILD; other errors cannot be with these arguments.
            Err(_) => return Reaped::NoChild,
        }
    }
}

fn exit_of(status: libc::c_int) -> Option<MainExit> {
    if libc::WIFEXITED(status) {
        return Some(MainExit::Code(libc::WEXITSTATUS(status)));
    }
    if libc::WIFSIGNALED(status) {
        return SignalNumber::from_number(libc::WTERMSIG(status)).map(MainExit::Signal);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_has_ended_is_told_from_one_that_lives_and_stays() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(!child_has_ended(pid));
        assert!(!child_has_ended(std::process::id().cast_signed()));
        drop(child.stdin.take());
        while !child_has_ended(pid) {
            std::thread::yield_now();
        }
        assert!(child_has_ended(pid));
        assert!(child.wait().unwrap().success());
        assert!(!child_has_ended(pid));
    }
}
