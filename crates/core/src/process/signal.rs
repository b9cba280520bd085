//! The one place that sends signals.
//!
//! kill(2) gives ids below 1 a meaning: 0 is one's own group, -1 everything that one may signal.
//! A wrong id here would take the user's session down, so ids of 1 and less are refused.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{is_alive, os};
use crate::task::{ProcessIdentity, SignalNumber};

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The kernel took it.
    Delivered,
    /// The process is not there any more.
    Gone,
    /// We may not (a set-user-ID program, mostly).
    Refused(Errno),
}

/// Signals exactly this process, with one signal after the other; a later one with the same pid is never hit where the kernel
/// offers pidfds (Linux 5.3), and only within an instant elsewhere.
pub(crate) fn send(process: &ProcessIdentity, signals: &[SignalNumber]) -> Sent {
    send_while(process.pid, signals, || is_alive(process))
}

/// Signals the process with this pid if `still_meant` says, once the pid is pinned, that it is
/// the one that is meant.
pub(crate) fn send_while(
    pid: i32,
    signals: &[SignalNumber],
    still_meant: impl FnOnce() -> bool,
) -> Sent {
    if pid <= 1 {
        return Sent::Refused(Errno::EINVAL);
    }
    match os::pinned_kill(pid, signals, still_meant) {
        Ok(true) => Sent::Delivered,
        Ok(false) | Err(Errno::ESRCH) => Sent::Gone,
        Err(errno) => Sent::Refused(errno),
    }
}

/// SIGKILL to a group of processes whose leader is a child of ours that has not been reaped: until
/// then the number is nobody else's.
pub(crate) fn kill_group(leader: i32) {
    if leader > 1 {
        let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
}

/// Has the kernel end this process when the one that executed it ends; there is no such thing on
/// macOS.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_broadcast_and_init_are_refused() {
        for pid in [1, 0, -1, -4242, i32::MIN] {
            let refused = send_while(pid, &[SignalNumber::CONT], || unreachable!());
            assert_eq!(refused, Sent::Refused(Errno::EINVAL));
        }
    }

    #[test]
    fn nothing_is_sent_to_a_process_that_is_not_meant() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(send_while(me, &[SignalNumber::KILL], || false), Sent::Gone);
    }
}
