//! The two locks of a task.
//!
//! * The **short lock**, `locks/<id>.lock`: an flock(2), held for moments by callers that change
//!   the task. It belongs to the open file, not to the process: a new supervisor inherits the
//!   descriptor and so carries the lock on, even when its caller is killed. Closing the last
//!   descriptor releases it; nobody unlocks explicitly, because that would take it from the
//!   others too.
//! * The **supervisor lock**, `tasks/<id>/supervisor.lock`: a POSIX record lock (fcntl(2)), held
//!   by the supervisor for as long as it lives. The kernel tells whose it is, and releases it
//!   whatever way the process ends. Its second byte is the place of a successor that waits.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::Mode;

use super::format::open_for_reading;
use super::home::LOCKS;
use super::{Home, TaskDir, file};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::task::TaskId;
use crate::wait::wait_in_thread;

/// The task's short lock, held for as long as this value (or a copy that a supervisor has
/// inherited) is open.
#[derive(Debug)]
pub(crate) struct ShortLock {
    file: File,
}

const FLAGS: OFlag = OFlag::O_RDWR
    .union(OFlag::O_CREAT)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK);

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
        let file = open_lock(home, &name)?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => wait_for_lock(file, deadline)
                .map_err(|error| home.error("lock", &name, error))?
                .ok_or_else(|| Error::busy(id))?,
            Err(TryLockError::Error(error)) => return Err(home.error("lock", &name, error)),
        };
        Ok(Self { file })
    }

    /// The same for a chore that somebody else may do as well: `None` when others have it.
    pub(crate) fn try_take(home: &Home, id: &TaskId) -> Result<Option<Self>> {
        let name = lock_name(id);
        let file = open_lock(home, &name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(home.error("lock", &name, error)),
        }
    }

    /// Whether nobody is changing the task. Takes the lock for an instant, shared, so that
    /// several readers that ask at once do not mistake each other for changers.
    pub(crate) fn is_free(home: &Home, id: &TaskId) -> Result<bool> {
        let name = lock_name(id);
        let file = match open_for_reading(home.as_fd(), &name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(home.error("open", &name, error)),
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

pub(super) fn open_lock(home: &Home, name: &str) -> Result<File> {
    let open = || openat(home, name, FLAGS, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from);
    let opened = match open() {
        Err(Errno::ENOENT) => {
            home.make_layout()?;
            open()
        }
        // Locking changes nothing: what can still be done on such a disk (a stop) is to be done.
        Err(Errno::EROFS) => open_for_reading(home.as_fd(), name).map_err(|_| Errno::EROFS),
        other => other,
    };
    opened.map_err(|errno| home.error("open", name, errno))
}

pub(super) fn wait_for_lock(file: File, deadline: Deadline) -> io::Result<Option<File>> {
    wait_in_thread(deadline, move || file.lock().map(|()| file))
}

/// The supervisor lock, held by this process until it ends.
/// Closing *any* descriptor of the file in this process would release it, which is why the file
/// is opened exactly once and never given away.
#[derive(Debug)]
pub(crate) struct SupervisorLock {
    file: File,
}

/// The place of the one that will hold the supervisor lock next: a second byte of the same file.
///
/// A successor may have to wait for its predecessor's grace period. It lets go of the short lock
/// once it has this, so that others can still change the task meanwhile.
#[derive(Debug)]
pub(crate) struct Candidacy {
    file: File,
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

/// The byte of the lock file that stands for the supervisor.
const SUPERVISOR: libc::off_t = 0;
/// The byte that stands for its successor.
const SUCCESSOR: libc::off_t = 1;

impl Candidacy {
    /// Becomes the successor of the present supervisor.
    pub(crate) fn declare(dir: &TaskDir) -> io::Result<Self> {
        let file = open_supervisor_lock(dir)?;
        wait_for_record_lock(&file, F_WRLCK, SUCCESSOR)?;
        Ok(Self { file })
    }

    /// Who is to be succeeded. Asked through our own descriptor: opening and closing another would
    /// drop our place.
    pub(crate) fn predecessor(&self) -> io::Result<Holder> {
        holder_in(&self.file, SUPERVISOR)
    }

    /// Takes the supervisor lock, waiting for its present holder to end. The place of the
    /// successor is kept until [`SupervisorLock::settle`].
    pub(crate) fn succeed(self) -> io::Result<SupervisorLock> {
        wait_for_record_lock(&self.file, F_WRLCK, SUPERVISOR)?;
        Ok(SupervisorLock { file: self.file })
    }

    /// Who is waiting to become the supervisor. Not to be asked by a supervisor about its own.
    pub(crate) fn holder(dir: &TaskDir) -> io::Result<Holder> {
        holder_of(dir, SUCCESSOR)
    }

    /// Waits until nobody is about to become the supervisor; `false` when the deadline passes.
    pub(crate) fn wait_until_settled(dir: &TaskDir, deadline: Deadline) -> io::Result<bool> {
        let file = open_supervisor_lock(dir)?;
        // A shared lock, released with the file: several may wait, and nobody takes them for
        // successors.
        wait_in_thread(deadline, move || {
            wait_for_record_lock(&file, F_RDLCK, SUCCESSOR)
        })
        .map(|settled| settled.is_some())
    }
}

impl SupervisorLock {
    /// Takes the lock, waiting for its present holder to end.
    pub(crate) fn take(dir: &TaskDir) -> io::Result<Self> {
        let file = open_supervisor_lock(dir)?;
        wait_for_record_lock(&file, F_WRLCK, SUPERVISOR)?;
        Ok(Self { file })
    }

    /// Gives up the place of the successor: from here on others may change the task.
    pub(crate) fn settle(&self) -> io::Result<()> {
        fcntl(
            &self.file,
            FcntlArg::F_SETLK(&record_lock(F_UNLCK, SUCCESSOR)),
        )?;
        Ok(())
    }

    /// Who holds the lock of a task's folder. Not to be asked by a supervisor about its own.
    pub(crate) fn holder(dir: &TaskDir) -> io::Result<Holder> {
        holder_of(dir, SUPERVISOR)
    }
}

const F_RDLCK: libc::c_short = libc::F_RDLCK as libc::c_short;
const F_WRLCK: libc::c_short = libc::F_WRLCK as libc::c_short;
const F_UNLCK: libc::c_short = libc::F_UNLCK as libc::c_short;

fn open_supervisor_lock(dir: &TaskDir) -> io::Result<File> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let fd = openat(dir, file::SUPERVISOR_LOCK, FLAGS, mode)?;
    Ok(File::from(fd))
}

fn wait_for_record_lock(file: &File, kind: libc::c_short, byte: libc::off_t) -> io::Result<()> {
    loop {
        match fcntl(file, FcntlArg::F_SETLKW(&record_lock(kind, byte))) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn holder_of(dir: &TaskDir, byte: libc::off_t) -> io::Result<Holder> {
    match open_for_reading(dir.as_fd(), file::SUPERVISOR_LOCK) {
        Ok(file) => holder_in(&file, byte),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Holder::Nobody),
        Err(error) => Err(error),
    }
}

fn holder_in(file: &File, byte: libc::off_t) -> io::Result<Holder> {
    // Asked as a reader: those who only wait have shared locks and do not count.
    let mut asked = record_lock(F_RDLCK, byte);
    fcntl(file, FcntlArg::F_GETLK(&mut asked))?;
    Ok(if asked.l_type == F_UNLCK {
        Holder::Nobody
    } else if asked.l_pid > 1 {
        Holder::Supervisor(asked.l_pid)
    } else {
        Holder::Elsewhere
    })
}

/// Whether a filesystem knows record locks, tried on a file that nobody else uses.
pub(crate) fn try_record_lock(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_SETLK(&record_lock(F_WRLCK, SUPERVISOR)))?;
    Ok(())
}

fn record_lock(kind: libc::c_short, byte: libc::off_t) -> libc::flock {
    // Built field by field: its layout differs between systems.
    libc::flock {
        l_type: kind,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}
