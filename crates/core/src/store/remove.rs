//! Taking a task away.

use std::io;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::home::TRASH;
use super::{Home, TASKS};
use crate::error::Result;
use crate::task::TaskId;

/// Removes a task's folder and log. Whoever calls this holds the task's short lock.
///
/// The folder is renamed out of the way first, so that others see all of the task or nothing.
///
/// # Errors
/// [`crate::Error::Store`] when it cannot be renamed.
pub(crate) fn remove_task(home: &Home, id: &TaskId) -> Result<()> {
    home.make_folder(TRASH)?;
    let from = format!("{TASKS}/{id}");
    let to = format!("{TRASH}/{id}.{}", crate::random::hex16());
    match renameat(home, from.as_str(), home, to.as_str()) {
        Ok(()) => {}
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(home.error("remove", &from, errno)),
    }
    for log in [Home::log_name(id), Home::stderr_log_name(id)] {
        let _ = unlinkat(home, log.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    delete_folder(home, &to).map_err(|error| home.error("delete", &to, error))
}

fn delete_folder(home: &Home, name: &str) -> io::Result<()> {
    std::fs::remove_dir_all(home.path().join(name))
}
