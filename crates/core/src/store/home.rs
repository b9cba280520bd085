//! The root folder: where it is, and whether it can be trusted.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat, mkdirat};

use super::TaskDir;
use crate::error::{Error, Result};
use crate::task::TaskId;

pub(crate) const TASKS: &str = "tasks";
pub(crate) const LOGS: &str = "logs";
pub(crate) const LOCKS: &str = "locks";
pub(crate) const TRASH: &str = "trash";

/// The environment variable that says where the tasks are.
pub(crate) const HOME_VARIABLE: &str = "BACKGROUND_TASKS_HOME";

/// The opened and checked root folder. Everything below it is reached through its descriptor,
/// so that a path that is swapped in between leads nowhere else.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    fd: OwnedFd,
}

impl Home {
    /// Where the tasks are by the environment: `BACKGROUND_TASKS_HOME`, else
    /// `$XDG_STATE_HOME/background-tasks`, else `$HOME/.local/state/background-tasks`.
    ///
    /// # Errors
    /// [`Error::Store`] when none of them is set.
    pub fn locate() -> Result<PathBuf> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        locate_from(
            variable(HOME_VARIABLE),
            variable("XDG_STATE_HOME"),
            variable("HOME"),
        )
    }

    /// Opens the folder if it is there.
    ///
    /// # Errors
    /// [`Error::Store`] when it is no folder, belongs to someone else or others may write to it.
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = match open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(Error::store("open", path, &errno.into())),
        };
        let home = Self {
            path: path.to_owned(),
            fd,
        };
        home.check_ownership()?;
        Ok(Some(home))
    }

    /// Opens the folder, making it (0700) with its parents where it is missing.
    ///
    /// # Errors
    /// As [`Home::open_existing`], and when it cannot be made.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        if let Some(home) = Self::open_existing(path)? {
            return Ok(home);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Error::store("create", path, &error))?;
        Self::open_existing(path)?
            .ok_or_else(|| Error::store("open", path, &io::Error::from_raw_os_error(libc::ENOENT)))
    }

    /// Makes the folders of the first level (0700) where they are missing.
    pub(crate) fn make_layout(&self) -> Result<()> {
        // Where the disk is full, nothing could be removed without a place to put it first.
        for name in [TASKS, LOGS, LOCKS, TRASH] {
            self.make_folder(name)?;
        }
        Ok(())
    }

    /// Makes one folder of the first level, 0700.
    pub(crate) fn make_folder(&self, name: &str) -> Result<()> {
        match mkdirat(&self.fd, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(self.error("create", name, errno)),
        }
    }

    fn check_ownership(&self) -> Result<()> {
        let stat =
            fstat(&self.fd).map_err(|errno| Error::store("look at", &self.path, &errno.into()))?;
        let refuse = |problem: String, hint: String| Error::Store {
            action: "trust",
            path: self.path.clone(),
            problem,
            errno: None,
            hint,
        };
        let me = nix::unistd::geteuid();
        if stat.st_uid != me.as_raw() {
            return Err(refuse(
                format!("it belongs to user {}, not to user {me}", stat.st_uid),
                "Set BACKGROUND_TASKS_HOME to a folder that you own.".to_owned(),
            ));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(refuse(
                format!("others may write to it (mode {:03o})", stat.st_mode & 0o777),
                format!("Run: chmod 700 {}", self.path.display()),
            ));
        }
        Ok(())
    }

    /// The root folder's path; absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log's path relative to the root.
    pub fn log_name(id: &TaskId) -> String {
        format!("{LOGS}/{id}.log")
    }

    /// The path of the log of standard error, relative to the root. No other task's log has this
    /// name: ids that end in `.stderr` are refused.
    pub fn stderr_log_name(id: &TaskId) -> String {
        format!("{LOGS}/{id}.stderr.log")
    }

    /// The log's absolute path.
    pub fn log_path(&self, id: &TaskId) -> PathBuf {
        self.path.join(Self::log_name(id))
    }

    /// The folder of a task; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Store`] when it is there but cannot be opened, or something else stands there.
    pub(crate) fn task_dir(&self, id: &TaskId) -> Result<Option<TaskDir>> {
        let name = format!("{TASKS}/{id}");
        match TaskDir::open_at(self.fd.as_fd(), &name) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.error("open", &name, errno)),
        }
    }

    /// The ids of all task folders, in no order. Other names in there are no tasks.
    ///
    /// # Errors
    /// [`Error::Store`] when the folder cannot be read.
    pub fn task_ids(&self) -> Result<Vec<TaskId>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = match Dir::openat(&self.fd, TASKS, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(self.error("read", TASKS, errno)),
        };
        let mut ids = Vec::new();
        for entry in dir {
            let entry = entry.map_err(|errno| self.error("read", TASKS, errno))?;
            let name = entry.file_name().to_str().unwrap_or("");
            ids.extend(TaskId::parse(name));
        }
        Ok(ids)
    }

    /// An error about something below the root.
    pub(crate) fn error(
        &self,
        action: &'static str,
        name: &str,
        error: impl Into<io::Error>,
    ) -> Error {
        Error::store(action, &self.path.join(name), &error.into())
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn locate_from(
    own: Option<OsString>,
    state: Option<OsString>,
    user: Option<OsString>,
) -> Result<PathBuf> {
    let chosen = match (own, state) {
        (Some(own), _) => PathBuf::from(own),
        // The XDG specification says that a relative path is to be ignored.
        (None, Some(state)) if Path::new(&state).is_absolute() => {
            PathBuf::from(state).join("background-tasks")
        }
        (None, _) => user
            .map(PathBuf::from)
            .ok_or_else(|| Error::Store {
                action: "find",
                path: PathBuf::from(HOME_VARIABLE),
                problem: "neither BACKGROUND_TASKS_HOME nor HOME is set".to_owned(),
                errno: None,
                hint: "Set BACKGROUND_TASKS_HOME to a folder that you own.".to_owned(),
            })?
            .join(".local/state/background-tasks"),
    };
    let path =
        std::path::absolute(&chosen).map_err(|error| Error::store("find", &chosen, &error))?;
    if path.to_str().is_none() {
        return Err(Error::Store {
            action: "use",
            path,
            problem: "its path is not UTF-8, so no answer could name it".to_owned(),
            errno: None,
            hint: "Set BACKGROUND_TASKS_HOME to a folder with a UTF-8 path.".to_owned(),
        });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_places() {
        let user = || Some(OsString::from("/home/u"));
        let at = |own: Option<&str>, state: Option<&str>| {
            locate_from(own.map(Into::into), state.map(Into::into), user()).unwrap()
        };
        assert_eq!(at(Some("/a"), Some("/b")), Path::new("/a"));
        assert_eq!(at(None, Some("/b")), Path::new("/b/background-tasks"));
        let default = Path::new("/home/u/.local/state/background-tasks");
        assert_eq!(at(None, None), default);
        assert_eq!(at(None, Some("relative")), default);
        assert!(at(Some("relative"), None).is_absolute());
        assert!(locate_from(None, None, None).is_err());
    }
}
