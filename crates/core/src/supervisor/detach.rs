//! The first thing that a supervisor does: it cuts what is left of its ties to the caller.
//!
//! The exec has done much already: a new session, the task folder as working directory,
//! `/dev/null` on 0 to 2, default dispositions, all signals blocked, nothing of the caller's
//! `BACKGROUND_TASKS_*` in the environment.
#![allow(unsafe_code, reason = "descriptors that were handed over by number")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};

use super::descriptor;
use crate::process;
use crate::store::file;

/// What the caller handed over.
pub(crate) struct HandedOver {
    /// Our copy of the task's short lock.
    pub short_lock: OwnedFd,
    /// Where the answer goes.
    pub handshake: OwnedFd,
    /// Hangs up when dropped: the task has ended.
    pub live: OwnedFd,
}

/// Lets go of everything that is not ours and takes what is.
///
/// Returns `None` when the agreed descriptors are not there: this process was not launched by
/// `launch.rs`.
pub(crate) fn detach() -> Option<HandedOver> {
    let agreed = [
        descriptor::SHORT_LOCK,
        descriptor::HANDSHAKE,
        descriptor::LIVE,
    ];
    for fd in agreed {
        // SAFETY: only asks for the flags of a number.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags < 0 {
            return None;
        }
        // They arrived without close-on-exec and must not reach the command.
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
    }
    process::close_descriptors_from(descriptor::FIRST_FOREIGN);
    process::set_title(c"background-task");
    process::become_subreaper();
    std::panic::set_hook(Box::new(|panic| leave_note(&panic.to_string())));
    // SAFETY: open (checked above), and nothing else in this process owns them.
    let take = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    Some(HandedOver {
        short_lock: take(descriptor::SHORT_LOCK),
        handshake: take(descriptor::HANDSHAKE),
        live: take(descriptor::LIVE),
    })
}

/// There is no terminal to complain to: what broke is left in the task folder, where readers of
/// the task find it.
pub(crate) fn leave_note(problem: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let note = options.create(true).write(true).truncate(true).mode(0o600);
    if let Ok(mut note) = note.custom_flags(libc::O_NOFOLLOW).open(file::PANIC) {
        let _ = writeln!(note, "{problem}");
    }
}
