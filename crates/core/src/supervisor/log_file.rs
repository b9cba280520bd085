//! Making a task's log.
//!
//! The log has two names, hard links of one file: `logs/<id>.log`, which people read, and
//! `log` in the task folder, under which it is opened: a change of it is then a change in the
//! task folder, which the supervisor can be told of without a watch of its own.
//!
//! A log is never truncated and never opened through a symbolic link. A new generation gets a new
//! file, made aside and put in place only when its command has been executed.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::store::{Home, TaskDir, file};
use crate::task::TaskId;

/// Where the logs of one task are.
pub(crate) struct LogPlace<'a> {
    pub home: &'a Home,
    pub dir: &'a TaskDir,
    pub id: &'a TaskId,
}

const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
const APPEND: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_APPEND)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW)
    // Something else that was planted must not make us wait; a regular file does not care.
    .union(OFlag::O_NONBLOCK);

impl LogPlace<'_> {
    /// A new, empty log, not in place yet.
    pub(crate) fn create_aside(&self) -> io::Result<File> {
        // A leftover of a supervisor that was killed at this very point.
        remove(self.dir, file::NEXT_LOG)?;
        let flags = APPEND | OFlag::O_CREAT | OFlag::O_EXCL;
        Ok(File::from(openat(self.dir, file::NEXT_LOG, flags, MODE)?))
    }

    /// Throws the new log away.
    pub(crate) fn discard_aside(&self) -> io::Result<()> {
        remove(self.dir, file::NEXT_LOG)
    }

    /// Puts the new log in the place of the old one, under both names.
    pub(crate) fn put_in_place(&self) -> io::Result<()> {
        let public = Home::log_name(self.id);
        let link = |name: &str| linkat(self.dir, file::NEXT_LOG, self.home, name, AtFlags::empty());
        match link(&public) {
            Ok(()) => {}
            // An earlier log: replaced in one step, so that there is always one to read.
            Err(Errno::EEXIST) => {
                let aside = format!("{public}.new");
                remove(self.home, &aside)?;
                link(&aside)?;
                renameat(self.home, aside.as_str(), self.home, public.as_str())?;
            }
            // A filesystem without hard links: the public name is the only one.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK) => {
                renameat(self.dir, file::NEXT_LOG, self.home, public.as_str())?;
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        }
        Ok(renameat(self.dir, file::NEXT_LOG, self.dir, file::LOG)?)
    }

    /// The present log, to go on with; a new one where someone has removed it.
    pub(crate) fn open_present(&self) -> io::Result<File> {
        let public = Home::log_name(self.id);
        match openat(self.dir, file::LOG, APPEND, MODE) {
            Ok(fd) => {
                // Under its public name it may have been removed by hand: give it back.
                match linkat(
                    self.dir,
                    file::LOG,
                    self.home,
                    public.as_str(),
                    AtFlags::empty(),
                ) {
                    Ok(()) | Err(_) => Ok(File::from(fd)),
                }
            }
            Err(Errno::ENOENT) => match openat(self.home, public.as_str(), APPEND, MODE) {
                Ok(fd) => Ok(File::from(fd)),
                Err(Errno::ENOENT) => {
                    let log = self.create_aside()?;
                    self.put_in_place()?;
                    Ok(log)
                }
                Err(errno) => Err(errno.into()),
            },
            Err(errno) => Err(errno.into()),
        }
    }
}

fn remove(dir: impl std::os::fd::AsFd, name: &str) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
