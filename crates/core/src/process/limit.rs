//! This process's own limits.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process have as many descriptors as it may: whoever watches many tasks needs a few for
/// each. Only for a program that executes nothing else afterwards: what it executed would inherit
/// the limit, and programs that use select(2) break above 1024.
pub fn allow_many_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // macOS has a lower bound of its own besides; then it stays as it is.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Makes sure that this process is allowed that many descriptors, those that it has open included.
pub(crate) fn require_descriptors(count: libc::rlim_t) -> Result<(), Errno> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < count {
        return Err(Errno::EMFILE);
    }
    Ok(())
}

/// Gives a pipe more room, if this is one that may have it: writer and reader then wait for each
/// other less often. Only for a program that has much to write: all pipes of a user share an
/// allowance.
pub fn enlarge_pipe(pipe: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    {
        use nix::fcntl::{FcntlArg, fcntl};
        /// What an unprivileged program may ask for.
        const ROOM: i32 = 1 << 20;
        // A file, a terminal, or a user whose allowance is used up: it goes on as it is.
        let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(ROOM));
    }
    // Elsewhere a pipe grows by itself.
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}
