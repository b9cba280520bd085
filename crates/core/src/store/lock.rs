//! The two locks of a task.
//!
//! * The **short lock**, `locks/<id>.lock`: an flock(2), held for moments by callers that change
//!   the task. It belongs to the open file, not to the process: a new supervisor inherits the
//!   descriptor and so carries the lock on, even when its caller is killed. Closing the last
//!   descriptor releases it; nobody unlocks explicitly, because that would take it from the
//!   others too.
//! * The **supervisor lock**, `tasks/<id>/supervisor.lock`: a POSIX record lock (fcntl(2)), held
//!   by the supervisor for as long as it lives. The kernel tells whose it is, and releases it
//!   whatever way the process ends.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::Mode;

use super::home::LOCKS;
use super::{Home, TaskDir, file};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::task::TaskId;

/// The task's short lock, held for as long as this value (or a copy that a supervisor has
/// inherited) is open.
#[derive(Debug)]
pub(crate) struct ShortLock {
    file: File,
}

/// Ids that differ only in case share one lock: on filesystems that fold case they are one file.
fn lock_name(id: &TaskId) -> String {
    format!("{LOCKS}/{}.lock", id.as_str().to_ascii_lowercase())
}

impl ShortLock {
    /// Takes the lock, waiting for others until `deadline`.
    ///
    /// # Errors
    /// [`Error::TaskWaitTimedOut`] when others hold it for so long, [`Error::Store`] when it
    /// cannot be opened.
    pub(crate) fn take(home: &Home, id: &TaskId, deadline: Deadline) -> Result<Self> {
        let name = lock_name(id);
        let file = match open_lock(home, &name) {
            Err(Errno::ENOENT) => {
                home.make_layout()?;
                open_lock(home, &name)
            }
            other => other,
        }
        .map_err(|errno| home.error("open", &name, errno))?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => wait_for_lock(file, deadline)
                .map_err(|error| home.error("lock", &name, error))?
                .ok_or_else(|| Error::busy(id))?,
            Err(TryLockError::Error(error)) => return Err(home.error("lock", &name, error)),
        };
        Ok(Self { file })
    }

    /// Whether nobody is changing the task. Takes the lock for an instant, shared, so that
    /// several readers that ask at once do not mistake each other for changers.
    pub(crate) fn is_free(home: &Home, id: &TaskId) -> Result<bool> {
        let name = lock_name(id);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = match openat(home, name.as_str(), flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(true),
            Err(errno) => return Err(home.error("open", &name, errno)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(home.error("lock", &name, error)),
        }
    }

    /// The spelling under which the task of this lock was created, when it is not all lower
    /// case: the lock's content.
    pub(crate) fn recorded_spelling(&mut self) -> io::Result<Option<TaskId>> {
        let mut text = String::new();
        (&self.file).take(256).read_to_string(&mut text)?;
        Ok(TaskId::parse(text.trim_end()).ok())
    }

    /// Notes the spelling of a new task's id.
    pub(crate) fn record_spelling(&mut self, id: &TaskId) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        self.file.write_all(id.as_str().as_bytes())
    }
}

impl AsFd for ShortLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open_lock(home: &Home, name: &str) -> std::result::Result<File, Errno> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    Ok(File::from(openat(
        home,
        name,
        flags,
        Mode::S_IRUSR | Mode::S_IWUSR,
    )?))
}

/// flock(2) knows no time limit, so a thread waits for it. When the time is over the thread is
/// left behind: it ends with the process, or lets go at once when it gets the lock after all.
fn wait_for_lock(file: File, deadline: Deadline) -> io::Result<Option<File>> {
    let (answer, taken) = mpsc::channel();
    std::thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        let _ = answer.send(locked);
    });
    let received = match deadline.remaining() {
        Some(left) => taken.recv_timeout(left).ok(),
        None => taken.recv().ok(),
    };
    received.transpose()
}

/// The supervisor lock, held by this process until it ends.
///
/// Closing *any* descriptor of the file in this process would release it, which is why the file
/// is opened exactly once and never given away.
#[derive(Debug)]
pub(crate) struct SupervisorLock {
    _file: File,
}

/// Who holds a supervisor lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody: there is no supervisor.
    Nobody,
    /// This process.
    Supervisor(i32),
    /// A process in another pid namespace: alive, but out of reach.
    Elsewhere,
}

impl SupervisorLock {
    /// Takes the lock, waiting for its present holder to end.
    pub(crate) fn take(dir: &TaskDir) -> io::Result<Self> {
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = File::from(openat(dir, file::SUPERVISOR_LOCK, flags, mode)?);
        let whole = write_lock();
        loop {
            match fcntl(&file, FcntlArg::F_SETLKW(&whole)) {
                Ok(_) => return Ok(Self { _file: file }),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Who holds the lock of a task's folder. Not to be asked by a supervisor about its own.
    pub(crate) fn holder(dir: &TaskDir) -> io::Result<Holder> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = match openat(dir, file::SUPERVISOR_LOCK, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(Holder::Nobody),
            Err(errno) => return Err(errno.into()),
        };
        let mut asked = write_lock();
        fcntl(&file, FcntlArg::F_GETLK(&mut asked))?;
        Ok(if asked.l_type == libc::F_UNLCK as libc::c_short {
            Holder::Nobody
        } else if asked.l_pid > 1 {
            Holder::Supervisor(asked.l_pid)
        } else {
            Holder::Elsewhere
        })
    }
}

/// Whether a filesystem knows record locks, tried on a file that nobody else uses.
pub(crate) fn try_record_lock(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_SETLK(&write_lock()))?;
    Ok(())
}

/// On the whole file.
fn write_lock() -> libc::flock {
    // Built field by field: its layout differs between systems.
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
