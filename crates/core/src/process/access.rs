//! What this process may do with a file.
#![allow(
    unsafe_code,
    reason = "C libraries make one system call of both, the one that may be denied"
)]

use std::os::fd::AsFd;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

/// Asks as execve(2) and open(2) would decide, by the effective ids. Where a filter of system calls
/// knows no faccessat2(2), and answers EPERM instead of ENOSYS, by the real ones.
pub(crate) fn may_access<P: ?Sized + NixPath>(
    dir: impl AsFd,
    path: &P,
    mode: AccessFlags,
) -> Result<(), Errno> {
    match faccessat(&dir, path, mode, AtFlags::AT_EACCESS) {
        Err(Errno::EPERM) => by_real_ids(dir, path, mode),
        asked => asked,
    }
}

#[cfg(target_os = "linux")]
fn by_real_ids<P: ?Sized + NixPath>(
    dir: impl AsFd,
    path: &P,
    mode: AccessFlags,
) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let dir = dir.as_fd().as_raw_fd();
    let asked = path.with_nix_path(|path| {
        // SAFETY: integers, and a path that outlives the call.
        unsafe { libc::syscall(libc::SYS_faccessat, dir, path.as_ptr(), mode.bits()) }
    })?;
    Errno::result(asked).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn by_real_ids<P: ?Sized + NixPath>(
    dir: impl AsFd,
    path: &P,
    mode: AccessFlags,
) -> Result<(), Errno> {
    faccessat(dir, path, mode, AtFlags::empty())
}
