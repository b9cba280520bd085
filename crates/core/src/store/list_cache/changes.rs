//! `list.dirty`: the ids of the tasks whose recorded end is not to be believed from a cache any
//! more.
//!
//! Whoever replaces the record of an ended task, or takes the task away, appends its id first and
//! holds a shared lock on the file until that is done. Whoever makes a cache takes the lock alone
//! for an instant and notes how long the file is, before it reads a record. So a change has either
//! been done by then, and the record that is read is the new one; or its id stands behind that
//! place, where every reader of the cache finds it. A process that is killed in between lets go of
//! the lock, after the id has been written.
//!
//! A file begins with a random token, which a cache names: one that belongs to another file is of
//! no use. So unlinking this file makes every cache void, also one that is just being written. That
//! is what is done where the id cannot be written.

use std::ffi::CStr;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};

use super::super::format::{create_new, open_for_reading};
use crate::task::TaskId;

/// The file's name in the home.
pub(super) const NAME: &str = "list.dirty";
/// Of the token, with the end of its line.
const HEAD: u64 = 17;
/// A longer file is replaced by a new one when the cache is.
const LONG: u64 = 64 << 10;
/// How often something that others are in the middle of is tried again.
const ATTEMPTS: u32 = 64;

/// The token of one file.
pub(super) type Token = [u8; 16];

/// A change that readers of a cache know of. It is to be done while this lives.
#[derive(Debug)]
pub(crate) struct Announced {
    _file: Option<File>,
}

/// Announces that the record of an ended task will be replaced, or taken away. `prefix` leads from
/// `dir` to the home.
///
/// Nothing is in the way of the change: where the id cannot be written, no cache is left.
pub(crate) fn announce(dir: BorrowedFd<'_>, prefix: &str, id: &TaskId) -> Announced {
    let name = format!("{prefix}{NAME}");
    let file = append(dir, &name, id);
    if file.is_none() {
        let _ = unlinkat(dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    Announced { _file: file }
}

fn append(dir: BorrowedFd<'_>, name: &str, id: &TaskId) -> Option<File> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_APPEND
        | OFlag::O_CLOEXEC
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK;
    for _ in 0..ATTEMPTS {
        let mut file = match openat(dir, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // A cache may be begun at any moment: it has to have a file to look into.
            Err(Errno::ENOENT) => {
                create(dir, name).ok()?;
                continue;
            }
            Err(_) => return None,
        };
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
            Err(TryLockError::Error(_)) => return None,
        }
        if file.metadata().ok()?.nlink() > 0 {
            file.write_all(format!("{id}\n").as_bytes()).ok()?;
            return Some(file);
        }
    }
    None
}

/// Makes the file with its token in it; that somebody else has been faster is as good.
fn create(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let (aside, _) = write_aside(dir, name)?;
    let linked = linkat(dir, aside.as_str(), dir, name, LinkatFlags::empty());
    unlinkat(dir, aside.as_str(), UnlinkatFlags::NoRemoveDir)?;
    match linked {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes a file with a token under a name that nobody else uses.
fn write_aside(dir: BorrowedFd<'_>, name: &str) -> io::Result<(String, File)> {
    let aside = format!("{name}.{}", crate::random::hex16());
    let mut file = create_new(dir, &aside)?;
    file.write_all(format!("{}\n", crate::random::hex16()).as_bytes())
        .inspect_err(|_| {
            let _ = unlinkat(dir, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        })?;
    Ok((aside, file))
}

/// Whether a name in the home is that of a file which was about to take the place of this one. It
/// can be taken away at any time: whoever is still at it finds that it has gone, and then leaves no
/// cache.
pub(crate) fn is_unfinished(name: &CStr) -> bool {
    let mark = name.to_bytes().strip_prefix(NAME.as_bytes());
    let mark = mark.and_then(|rest| rest.strip_prefix(b"."));
    mark.is_some_and(|mark| mark.len() == 16 && mark.iter().all(u8::is_ascii_hexdigit))
}

/// The file as a reader has it open.
#[derive(Debug)]
pub(super) struct Changes {
    file: File,
    pub(super) token: Token,
    /// How far it has been read.
    pub(super) end: u64,
}

impl Changes {
    /// Opens the file; `None` when there is none that can be used.
    pub(super) fn open(home: BorrowedFd<'_>) -> Option<Self> {
        Self::of(open_for_reading(home, NAME).ok()?)
    }

    fn of(file: File) -> Option<Self> {
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0).ok()?;
        let (token, line_end) = head.split_first_chunk()?;
        let token = *token;
        (line_end == b"\n").then_some(Self {
            file,
            token,
            end: HEAD,
        })
    }

    /// The same; it is made where there is none.
    pub(super) fn open_or_create(home: BorrowedFd<'_>) -> Option<Self> {
        Self::open(home).or_else(|| {
            create(home, NAME).ok()?;
            Self::open(home)
        })
    }

    /// The same once more.
    pub(super) fn again(&self) -> Option<Self> {
        Some(Self {
            file: self.file.try_clone().ok()?,
            token: self.token,
            end: self.end,
        })
    }

    /// Goes on from a place that an earlier reader has got to; `None` when there is no such place.
    pub(super) fn go_to(&mut self, place: u64) -> Option<()> {
        let length = self.file.metadata().ok()?.len();
        (HEAD..=length).contains(&place).then(|| self.end = place)
    }

    /// The ids that have been added since it was last read, one in a line.
    pub(super) fn read_on(&mut self) -> Option<Vec<u8>> {
        let length = self.file.metadata().ok()?.len();
        let mut lines = vec![0; usize::try_from(length.checked_sub(self.end)?).ok()?];
        self.file.read_exact_at(&mut lines, self.end).ok()?;
        // Who is still writing the last line has not changed anything yet.
        let whole = lines.iter().rposition(|&byte| byte == b'\n');
        lines.truncate(whole.map_or(0, |at| at + 1));
        self.end += lines.len() as u64;
        Some(lines)
    }

    /// Whether a cache should be made anew for the sake of this file's length.
    pub(super) fn is_long(&self) -> bool {
        self.end > HEAD + LONG
    }

    /// Reads on to a place that no change that began before is still to be done at: what is read
    /// from records after this can be kept in a cache that goes with `token` and `end`.
    ///
    /// A long file is replaced by a new one. Its writers see that it has lost its name.
    pub(super) fn settle(&mut self, home: BorrowedFd<'_>) -> Option<Vec<u8>> {
        for _ in 0..ATTEMPTS {
            if self.file.try_lock().is_ok() {
                let read = self.read_on();
                let fresh = self.is_long().then(|| replace(home)).flatten();
                let _ = self.file.unlock();
                if let Some(fresh) = fresh {
                    *self = fresh;
                }
                return read;
            }
            std::thread::yield_now();
        }
        None
    }
}

/// Puts an empty file in the place of the one whose lock the caller has alone. It is used as it is
/// open here: under the name may stand yet another one already.
fn replace(home: BorrowedFd<'_>) -> Option<Changes> {
    let (aside, file) = write_aside(home, NAME).ok()?;
    if renameat(home, aside.as_str(), home, NAME).is_err() {
        let _ = unlinkat(home, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        return None;
    }
    Changes::of(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn announce_in(home: &File, id: &str) -> Announced {
        announce(home.as_fd(), "", &TaskId::parse(id).unwrap())
    }

    #[test]
    fn who_reads_on_finds_what_was_announced() {
        let folder = tempfile::tempdir().unwrap();
        let home = File::open(folder.path()).unwrap();
        drop(announce_in(&home, "early"));
        let mut changes = Changes::open(home.as_fd()).unwrap();
        assert_eq!(changes.settle(home.as_fd()).unwrap(), b"early\n");
        let mut later = changes.again().unwrap();
        drop(announce_in(&home, "a"));
        drop(announce_in(&home, "b"));
        assert_eq!(later.read_on().unwrap(), b"a\nb\n");
        assert_eq!(later.read_on().unwrap(), b"");
        // The place up to which a cache knows them is that of its making.
        let mut reader = Changes::open(home.as_fd()).unwrap();
        reader.go_to(changes.end).unwrap();
        assert_eq!(reader.read_on().unwrap(), b"a\nb\n");
        assert_eq!(reader.go_to(reader.end + 1), None);
    }

    #[test]
    fn nothing_settles_while_a_change_is_still_to_be_done() {
        let folder = tempfile::tempdir().unwrap();
        let home = File::open(folder.path()).unwrap();
        let announced = announce_in(&home, "a");
        let mut changes = Changes::open(home.as_fd()).unwrap();
        assert_eq!(changes.settle(home.as_fd()), None);
        drop(announced);
        assert_eq!(changes.settle(home.as_fd()).unwrap(), b"a\n");
    }

    #[test]
    fn a_long_file_is_replaced_and_nothing_announced_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let home = File::open(folder.path()).unwrap();
        drop(announce_in(&home, "first"));
        let path = folder.path().join(NAME);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all("x\n".repeat(40_000).as_bytes()).unwrap();
        let mut changes = Changes::open(home.as_fd()).unwrap();
        let before = changes.token;
        let read = changes.settle(home.as_fd()).unwrap();
        assert!(read.starts_with(b"first\nx\n") && read.ends_with(b"x\n"));
        assert_ne!(changes.token, before, "a cache of before is void");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), HEAD);
        drop(announce_in(&home, "late"));
        assert_eq!(changes.read_on().unwrap(), b"late\n");
    }

    #[test]
    fn what_cannot_be_announced_leaves_no_cache_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let home = File::open(folder.path()).unwrap();
        drop(announce_in(&home, "a"));
        let reader = Changes::open(home.as_fd()).unwrap();
        // Somebody is making a cache and does not get on.
        reader.file.lock().unwrap();
        drop(announce_in(&home, "b"));
        assert!(Changes::open(home.as_fd()).is_none());
        drop(announce_in(&home, "c"));
        assert_ne!(Changes::open(home.as_fd()).unwrap().token, reader.token);
    }
}
