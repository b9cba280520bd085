//! Making a task's logs.
//!
//! A log has two names, hard links of one file: `logs/<id>.log`, which people read, and `log` in
//! the task folder, under which it is opened: a change of it is then a change in the task folder,
//! which the supervisor can be told of without a watch of its own. The log of standard error, where
//! there is one, is kept in the same way.
//!
//! A log is never truncated and never opened through a symbolic link. A new generation gets a new
//! file. Where there was one before, it is made aside and put in place only when its command has been
//! executed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::log::LogStream;
use crate::log::timeline::Lengths;
use crate::store::{Home, Replaced, TaskDir, make_anew, stat};
use crate::task::TaskId;

/// Which logs a run writes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogSource {
    /// New ones, where there have never been any: the first run of a new task.
    First,
    /// New ones in the place of others: the first run of a later generation.
    Anew,
    /// Those that are there.
    Present,
}

impl LogSource {
    /// What a run with these logs takes the place of, if anything.
    pub(super) fn replaced(self) -> Option<Replaced> {
        match self {
            Self::First => None,
            Self::Anew => Some(Replaced::Generation),
            Self::Present => Some(Replaced::Run),
        }
    }
}

/// The open logs of a run.
#[derive(Debug)]
pub(crate) struct Logs {
    pub main: File,
    /// `None`: standard error goes into the log.
    pub stderr: Option<File>,
    /// Whether all of them have a name in the task folder.
    pub in_folder: bool,
}

impl Logs {
    /// How long they are now.
    pub(crate) fn lengths(&self) -> Lengths {
        let length = |log: &File| log.metadata().map_or(0, |metadata| metadata.len());
        Lengths {
            main: length(&self.main),
            stderr: self.stderr.as_ref().map_or(0, length),
        }
    }

    /// How long they were when they were opened.
    pub(super) fn lengths_from(&self, source: LogSource) -> Lengths {
        match source {
            LogSource::First | LogSource::Anew => Lengths::default(),
            LogSource::Present => self.lengths(),
        }
    }

    /// Each with its name.
    pub(crate) fn each(&self) -> impl Iterator<Item = (LogStream, &File)> {
        let stderr = self.stderr.as_ref().map(|log| (LogStream::Stderr, log));
        [(LogStream::Main, &self.main)].into_iter().chain(stderr)
    }
}

/// Where one of a task's logs is.
pub(crate) struct LogPlace<'a> {
    pub home: &'a Home,
    pub dir: &'a TaskDir,
    pub id: &'a TaskId,
    pub stream: LogStream,
}

const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
const APPEND: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_APPEND)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW)
    // Something else that was planted must not make us wait; a regular file does not care.
    .union(OFlag::O_NONBLOCK);

impl LogPlace<'_> {
    /// What a log of this source has for a name in the task folder until it is in its place.
    fn name_until_placed(&self, source: LogSource) -> &'static str {
        match source {
            LogSource::Anew => self.stream.next_name(),
            LogSource::First | LogSource::Present => self.stream.log_name(),
        }
    }

    /// The log of this source, to be appended to, and whether it has a name in the task folder. A new
    /// one is not in place yet.
    pub(super) fn open(&self, source: LogSource) -> io::Result<(File, bool)> {
        match source {
            LogSource::First | LogSource::Anew => Ok((self.create(source)?, true)),
            LogSource::Present => self.open_present(),
        }
    }

    fn create(&self, source: LogSource) -> io::Result<File> {
        let name = self.name_until_placed(source);
        let flags = APPEND | OFlag::O_CREAT | OFlag::O_EXCL;
        let made = make_anew(self.dir, name, || openat(self.dir, name, flags, MODE))?;
        Ok(File::from(made))
    }

    /// Throws a log away that is new.
    pub(super) fn discard(&self, source: LogSource) -> io::Result<()> {
        match source {
            LogSource::First | LogSource::Anew => remove(self.dir, self.name_until_placed(source)),
            LogSource::Present => Ok(()),
        }
    }

    /// Puts a new log in its place, under both names. Returns whether it has one in the task folder.
    pub(super) fn put_in_place(&self, source: LogSource) -> io::Result<bool> {
        let name = self.name_until_placed(source);
        match self.publish(name) {
            Ok(()) => {}
            // A filesystem without hard links: the public name is the only one.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK) => {
                renameat(self.dir, name, self.home, self.public().as_str())?;
                return Ok(false);
            }
            Err(errno) => return Err(errno.into()),
        }
        if name != self.stream.log_name() {
            renameat(self.dir, name, self.dir, self.stream.log_name())?;
        }
        Ok(true)
    }

    /// The same for the log of a later generation that may be in its place already.
    pub(super) fn put_in_place_if_aside(&self) -> io::Result<()> {
        if self.dir.exists(self.stream.next_name()) {
            self.put_in_place(LogSource::Anew)?;
        }
        Ok(())
    }

    /// Gives the present log its public name where nothing has that.
    pub(super) fn publish_if_unknown(&self) -> io::Result<()> {
        let name = self.stream.log_name();
        if self.dir.exists(name) && stat(self.home, &self.public())?.is_none() {
            self.publish(name)?;
        }
        Ok(())
    }

    /// Gives a log of the task folder its public name. What has that name now is replaced in one
    /// step, so that there is always a log to read.
    fn publish(&self, name: &str) -> Result<(), Errno> {
        let public = self.public();
        let link = |public: &str| linkat(self.dir, name, self.home, public, AtFlags::empty());
        match link(&public) {
            Err(Errno::EEXIST) => {}
            other => return other,
        }
        let identity = |found: FileStat| (found.st_dev, found.st_ino);
        let look = |found: io::Result<Option<FileStat>>| found.ok().flatten().map(identity);
        if look(stat(self.home, &public)) == look(stat(self.dir, name)) {
            return Ok(());
        }
        let aside = format!("{public}.new");
        make_anew(self.home, &aside, || link(&aside))?;
        renameat(self.home, aside.as_str(), self.home, public.as_str())
    }

    /// The present log, to go on with; a new one where someone has removed it. Also whether it has
    /// a name in the task folder.
    fn open_present(&self) -> io::Result<(File, bool)> {
        let (name, public) = (self.stream.log_name(), self.public());
        match openat(self.dir, name, APPEND, MODE) {
            Ok(fd) => {
                // Its public name may have been removed by hand, or taken for another file.
                let _ = self.publish(name);
                Ok((File::from(fd), true))
            }
            Err(Errno::ENOENT) => match openat(self.home, public.as_str(), APPEND, MODE) {
                Ok(fd) => Ok((File::from(fd), false)),
                Err(Errno::ENOENT) => {
                    let log = self.create(LogSource::Anew)?;
                    let in_folder = self.put_in_place(LogSource::Anew)?;
                    Ok((log, in_folder))
                }
                Err(errno) => Err(errno.into()),
            },
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes the log of an earlier generation away.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(self.home, &self.public())?;
        remove(self.dir, self.stream.log_name())
    }

    fn public(&self) -> String {
        self.stream.public_name(self.id)
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove(dir: impl AsFd, name: &str) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
