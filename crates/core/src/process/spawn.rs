//! Executing a program without copying our memory: on Linux as posix_spawn(3) does it (`vfork`), on
//! macOS by that function (`posix`).
//!
//! The standard library's `Command` cannot do it here: it has no new session, no signal mask and
//! no descriptors beyond 2 without a hook that forces a full fork.

mod confined;
#[cfg(target_os = "macos")]
mod posix;
#[cfg(target_os = "linux")]
mod vfork;

use std::ffi::CString;
use std::os::fd::{BorrowedFd, RawFd};

pub(crate) use confined::{ADDRESS_SPACE_IS_LIMITED, Confinement, open_group};

/// The signal mask that the new process begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalMask {
    /// Nothing blocked: for commands, which supervisors execute.
    Empty,
    /// Everything blocked: for a supervisor, which anybody launches, until it has its signal
    /// descriptor.
    Full,
}

/// A program to be executed in a session of its own with default signal dispositions.
pub(crate) struct Spawn<'a> {
    /// The file to execute, relative to `workdir` when it is not absolute.
    pub program: &'a CString,
    /// With the program's own name first.
    pub argv: &'a [CString],
    /// `NAME=value`.
    pub env: &'a [CString],
    /// Where it begins.
    pub workdir: BorrowedFd<'a>,
    /// Our descriptor and the number under which the program finds it. No source may be a
    /// target of an earlier pair.
    pub descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    /// What it begins with.
    pub mask: SignalMask,
    /// Whether its descriptor 0 is a terminal, which is then to control its session. Only for
    /// [`Spawn::run_within`].
    pub has_terminal: bool,
}

fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr().cast_mut())
        .chain([std::ptr::null_mut()])
        .collect()
}
