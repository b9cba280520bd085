//! The FIFO that hangs up when a task has ended.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::{TaskDir, file};

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

/// The FIFO of a task, to wait for its hang-up.
pub(crate) fn open_live(dir: &TaskDir) -> Option<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(dir, file::LIVE, flags, Mode::empty())
        .ok()
        .map(File::from)
}

/// A FIFO that never had a writer while we held it would never hang up. read(2) tells: without
/// one it is at its end, with one it would block.
pub(crate) fn has_writer(fifo: &File) -> bool {
    let mut byte = [0];
    let mut fifo = fifo;
    fifo.read(&mut byte)
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
