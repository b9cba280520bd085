//! The FIFO that hangs up when a task has ended.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::stat::Mode;

const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// Makes a FIFO, 0600.
#[cfg(not(target_os = "macos"))]
pub(crate) fn make_fifo(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    nix::unistd::mkfifoat(dir, name, MODE)
}

/// Makes a FIFO, 0600. Older systems have no mkfifoat(2), so the folder's path is asked for.
#[cfg(target_os = "macos")]
pub(crate) fn make_fifo(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mut path = std::path::PathBuf::new();
    nix::fcntl::fcntl(dir, nix::fcntl::FcntlArg::F_GETPATH(&mut path))?;
    nix::unistd::mkfifo(&path.join(name), MODE)
}
