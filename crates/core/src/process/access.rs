//! What this process may do with a file.

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
        Err(Errno::EPERM) => faccessat(&dir, path, mode, AtFlags::empty()),
        asked => asked,
    }
}
