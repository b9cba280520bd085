//! FIFOs: one hangs up when a task has ended, others carry what is sent to it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};

use super::{TaskDir, file, make_anew};

const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
const FLAGS: OFlag = OFlag::O_NONBLOCK
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);

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

/// Both ends of a FIFO; neither waits.
#[derive(Debug)]
pub(crate) struct Fifo {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
}

impl Fifo {
    /// Puts a new one in place of whatever has this name: nobody who has the old one open can
    /// reach it.
    pub(crate) fn replace(dir: &TaskDir, name: &str) -> Result<Self, Errno> {
        let aside = format!("{name}.new");
        make_anew(dir, &aside, || make_fifo(dir.as_fd(), &aside))?;
        // One without a reader cannot be opened for writing without waiting: read first.
        let reader = openat(dir, aside.as_str(), FLAGS | OFlag::O_RDONLY, Mode::empty())?;
        let writer = openat(dir, aside.as_str(), FLAGS | OFlag::O_WRONLY, Mode::empty())?;
        renameat(dir, aside.as_str(), dir, name)?;
        Ok(Self { reader, writer })
    }
}

/// Opens a FIFO to write to it without waiting.
///
/// # Errors
/// `ENOENT` when there is none, `ENXIO` when nobody reads from it, `EINVAL` when something else
/// stands in its place.
pub(crate) fn open_writer(dir: &TaskDir, name: &str) -> Result<File, Errno> {
    let fifo = match openat(dir, name, FLAGS | OFlag::O_WRONLY, Mode::empty()) {
        // What a symbolic link or a folder answers.
        Err(Errno::ELOOP | Errno::EISDIR) => return Err(Errno::EINVAL),
        other => other?,
    };
    if fstat(&fifo)?.st_mode & libc::S_IFMT == libc::S_IFIFO {
        Ok(File::from(fifo))
    } else {
        Err(Errno::EINVAL)
    }
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
