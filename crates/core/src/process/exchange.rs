//! Files that take each other's names.
//!
//! ext4 writes a file out when it is renamed over another, so that a crash of the machine leaves the
//! one or the other. It does not when two names are exchanged: then it is up to us, and can be done when
//! nobody waits.
#![allow(unsafe_code, reason = "system calls that no crate in use wraps")]

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
#[cfg(target_os = "linux")]
use std::{ffi::CString, os::fd::AsRawFd};

use nix::errno::Errno;

/// Exchanges two names of one folder. Not every filesystem can.
#[cfg(target_os = "linux")]
pub(crate) fn exchange(dir: BorrowedFd<'_>, one: &str, other: &str) -> io::Result<()> {
    let (one, other) = (CString::new(one)?, CString::new(other)?);
    let dir = dir.as_raw_fd();
    // SAFETY: a descriptor that is open and terminated strings.
    let exchanged = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            dir,
            one.as_ptr(),
            dir,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    Errno::result(exchanged)?;
    Ok(())
}

/// Has what was written to a file go to the disk, without waiting for it.
#[cfg(target_os = "linux")]
pub(crate) fn begin_write_out(file: &File) {
    // SAFETY: a descriptor that is open and integers. It is but a hint.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Not worth it here: a rename does not wait for the disk.
#[cfg(target_os = "macos")]
pub(crate) fn exchange(_dir: BorrowedFd<'_>, _one: &str, _other: &str) -> io::Result<()> {
    Err(Errno::ENOTSUP.into())
}

/// Never needed, as nothing is exchanged.
#[cfg(target_os = "macos")]
pub(crate) fn begin_write_out(_file: &File) {}
