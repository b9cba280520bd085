//! How small files are read and replaced.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::process;

/// The on-disk format that this build writes. It reads this and older ones; a newer one is
/// refused by name and never overwritten.
pub const FORMAT_VERSION: u32 = 1;

/// Nothing that is read whole is larger: a record holds at most a payload, and a journal that has
/// grown beyond it is read from its beginning only.
const LARGEST: u64 = 64 << 20;

/// Why a stored JSON file gives no value.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    /// There is no such file.
    Missing,
    /// It is not what this program writes.
    Corrupt(String),
    /// A newer build wrote it.
    Newer(u32),
    /// It cannot be read at all.
    Io(io::Error),
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT) => Self::Missing,
            Some(libc::ELOOP) => Self::Corrupt("a symbolic link stands in its place".to_owned()),
            Some(libc::EISDIR) => Self::Corrupt("a folder stands in its place".to_owned()),
            _ => Self::Io(error),
        }
    }
}

/// Opens a file for reading; never through a symbolic link, never waiting for a FIFO's writer.
pub(crate) fn open_for_reading(dir: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

/// Reads a whole small file.
pub(crate) fn read_all(dir: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    let mut file = open_for_reading(dir, name)?;
    let mut bytes = vec![0; 2048];
    let n = file.read(&mut bytes)?;
    let is_all = n < bytes.len();
    bytes.truncate(n);
    // A short read of a regular file is its end: asking once more would be a third of the cost.
    if !is_all {
        file.take(LARGEST).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Decodes a versioned JSON document.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadFailure> {
    serde_json::from_slice(bytes).map_err(|error| {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        // A newer format may well lack what this build expects: its version says so first.
        match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { version }) if version > FORMAT_VERSION => ReadFailure::Newer(version),
            _ => ReadFailure::Corrupt(error.to_string()),
        }
    })
}

/// Replaces a file so that a reader sees the old content or the new, never a mixture: written
/// aside under a fixed name (one writer at a time, so no leftovers pile up), then renamed.
pub(crate) fn write_aside(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (aside, _) = create_aside(dir, name, bytes)?;
    Ok(renameat(dir, aside.as_str(), dir, name)?)
}

/// The same, but what is written need not be on its way to the disk yet: ext4 sends it there when a
/// file is renamed over another, which takes longer than everything else together. Whoever calls this
/// sees to that with what is returned, when nobody waits any more.
pub(crate) fn write_aside_at_leisure(
    dir: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
) -> io::Result<Option<Unsettled>> {
    let (aside, file) = create_aside(dir, name, bytes)?;
    if process::exchange(dir, &aside, name).is_err() {
        // There is none, or the filesystem cannot do it.
        renameat(dir, aside.as_str(), dir, name)?;
        return Ok(None);
    }
    Ok(Some(Unsettled { file, aside }))
}

/// A file that is in its place, but not on its way to the disk yet, while the one that it has replaced
/// is still there under the other name.
#[derive(Debug)]
pub(crate) struct Unsettled {
    file: File,
    aside: String,
}

impl Unsettled {
    /// Does the rest of the replacement.
    pub(crate) fn settle(self, dir: BorrowedFd<'_>) {
        process::begin_write_out(&self.file);
        let _ = unlinkat(dir, self.aside.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Makes a file where there should be none: what a writer that was killed has left there, or somebody
/// has planted, is taken away.
///
/// Only once it is found to be in the way: to unlink what is not there takes as long as to make it.
pub(crate) fn make_anew<T>(
    dir: impl AsFd,
    name: &str,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match make() {
        Err(Errno::EEXIST) => {}
        made => return made,
    }
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => make(),
        Err(errno) => Err(errno),
    }
}

/// Writes a file aside; returns its name there.
fn create_aside(dir: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<(String, File)> {
    let aside = format!("{name}.new");
    let made = make_anew(dir, &aside, || create_new(dir, &aside)).map_err(io::Error::from);
    let written = made.and_then(|mut file| {
        file.write_all(bytes)?;
        Ok(file)
    });
    match written {
        Ok(file) => Ok((aside, file)),
        Err(error) => {
            // A full disk: what could be written of it is of no use to anyone.
            let _ = unlinkat(dir, aside.as_str(), UnlinkatFlags::NoRemoveDir);
            Err(error)
        }
    }
}

/// Creates a file that must not exist, 0600.
pub(crate) fn create_new(dir: BorrowedFd<'_>, name: &str) -> Result<File, Errno> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    openat(dir, name, flags, mode).map(File::from)
}

/// What stands under a name, without following a symbolic link; `None` when nothing does.
pub(crate) fn stat(dir: impl AsFd, name: &str) -> io::Result<Option<nix::sys::stat::FileStat>> {
    match nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a mode is that of a regular file.
pub(crate) fn is_regular(stat: &nix::sys::stat::FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFREG
}
