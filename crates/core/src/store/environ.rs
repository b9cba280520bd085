//! The environment that a task was started with, kept for `recover` only: whoever starts it again
//! after a reboot has another.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use super::{TaskDir, file, read_all, write_aside};

/// Keeps these variables, readable by the owner only: they may hold secrets.
pub(crate) fn keep_environment(
    dir: &TaskDir,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (name, value) in variables {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    write_aside(dir.as_fd(), file::ENVIRON, &bytes)
}

/// The variables that were kept, as `NAME=value`; `None` where none were.
pub(crate) fn kept_environment(dir: &TaskDir) -> Option<Vec<CString>> {
    let bytes = read_all(dir.as_fd(), file::ENVIRON).ok()?;
    let variables = bytes.split(|&byte| byte == 0).filter(|it| !it.is_empty());
    variables.map(|it| CString::new(it).ok()).collect()
}
