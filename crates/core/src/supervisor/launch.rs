//! The caller's side of a launch: execute a supervisor, hand it the task, hear its answer.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat, renameat};
use nix::sys::stat::Mode;

use super::cgroup::outside_of_tasks;
use super::pending::{Pending, no_supervisor};
use super::{ENTRY, Errand, RUN_VARIABLE, VARIABLE_PREFIX, descriptor};
use crate::error::Result;
use crate::process::{Confinement, SignalMask, Spawn};
use crate::store::{Home, ShortLock, TASKS, TaskDir, file, kept_environment, make_anew, make_fifo};
use crate::task::TaskId;

/// Which program becomes the supervisor. It must call [`crate::supervisor::take_over`] first
/// thing in its `main`.
#[derive(Clone, Debug, Default)]
pub enum Program {
    /// The program that is running now, even when its file has been replaced meanwhile.
    #[default]
    Current,
    /// This file, for harnesses whose own program is not to be executed again.
    File(PathBuf),
}

impl Program {
    pub(super) fn path(&self) -> io::Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Current if cfg!(target_os = "linux") => Ok(PathBuf::from("/proc/self/exe")),
            Self::Current => std::env::current_exe(),
        }
    }
}

/// The task that a supervisor is launched for.
pub(crate) struct Task<'a> {
    pub home: &'a Home,
    pub id: &'a TaskId,
    pub dir: &'a TaskDir,
}

/// A launch that is prepared: from here on the task's FIFO has a writer, so whoever waits for
/// the task is woken whatever happens next.
pub(crate) struct Launch<'a> {
    task: Task<'a>,
    live: OwnedFd,
}

impl<'a> Launch<'a> {
    /// Puts a new FIFO in place and holds its write end.
    ///
    /// It is a new one for every launch: a waiter on the old one sees that hang up even when the
    /// next supervisor begins before the waiter gets to run.
    pub(crate) fn prepare(task: Task<'a>) -> Result<Self> {
        let live = open_live(task.dir).map_err(|errno| {
            let name = format!("{TASKS}/{}/{}", task.id, file::LIVE);
            task.home.error("create", &name, errno)
        })?;
        Ok(Self { task, live })
    }

    /// Executes the supervisor. The caller keeps the short lock until the answer is there.
    ///
    /// # Errors
    /// [`Error::SpawnFailed`] when there is no supervisor: what was prepared is the caller's to
    /// undo.
    pub(crate) fn go(self, errand: Errand, program: &Program, lock: &ShortLock) -> Result<Pending> {
        let id = self.task.id.clone();
        let launched = pipe().and_then(|(answer, channel)| {
            self.execute(errand, program, lock, &channel)?;
            Ok(answer)
        });
        // The supervisor has its own copies of the descriptors now. Ours are dropped here: the
        // FIFO is to hang up, and the pipe to end, when the supervisor ends.
        match launched {
            Ok(answer) => Ok(Pending { id, answer }),
            Err(errno) => Err(no_supervisor(id, errno, None)),
        }
    }

    /// The caller's environment; where nobody meant the task to have that, the one that it was
    /// started with, as far as it was kept.
    fn environment(&self, errand: Errand) -> std::result::Result<Vec<CString>, Errno> {
        let kept = match errand {
            Errand::Start | Errand::Restart | Errand::Next => None,
            Errand::Adopt | Errand::Attend | Errand::Recover => kept_environment(self.task.dir),
        };
        kept.map_or_else(inherited_environment, Ok)
    }

    fn execute(
        &self,
        errand: Errand,
        program: &Program,
        lock: &ShortLock,
        channel: &OwnedFd,
    ) -> std::result::Result<(), Errno> {
        let program = program.path().map_err(|error| errno_of(&error))?;
        let folder = self
            .task
            .home
            .path()
            .join(TASKS)
            .join(self.task.id.as_str());
        // What `ps` shows: a title, and the folder as the only argument that says anything. Never
        // a command line, never a value.
        let argv = [
            text(format!("background-tasks: {}", self.task.id).as_bytes())?,
            text(ENTRY.as_bytes())?,
            text(folder.as_os_str().as_bytes())?,
            text(errand.as_str().as_bytes())?,
        ];
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map_err(|error| errno_of(&error))?;
        // Out of the way of the numbers that they are given in the supervisor.
        let sources = [
            null.as_fd(),
            lock.as_fd(),
            channel.as_fd(),
            self.live.as_fd(),
        ];
        let [null, lock, channel, live] = sources.map(high_copy);
        let (null, lock, channel, live) = (null?, lock?, channel?, live?);
        let supervisor = Spawn {
            program: &text(program.as_os_str().as_bytes())?,
            argv: &argv,
            env: &self.environment(errand)?,
            workdir: self.task.dir.as_fd(),
            descriptors: &[
                (null.as_fd(), 0),
                (null.as_fd(), 1),
                (null.as_fd(), 2),
                (lock.as_fd(), descriptor::SHORT_LOCK),
                (channel.as_fd(), descriptor::HANDSHAKE),
                (live.as_fd(), descriptor::LIVE),
            ],
            mask: SignalMask::Full,
            has_terminal: false,
        };
        launch_outside_of_tasks(&supervisor)
    }
}

/// A supervisor is in no other task's group. A caller that is in one was executed by that task, or
/// by one below it, and knows its name; the others need not look.
fn launch_outside_of_tasks(supervisor: &Spawn<'_>) -> std::result::Result<(), Errno> {
    if std::env::var_os(RUN_VARIABLE).is_some()
        && let Some(outside) = outside_of_tasks()
    {
        let confinement = Confinement {
            group: Some(outside.as_fd()),
            limits: &[],
        };
        // Where it may not be moved it stays inside, and the other task is ended one by one.
        if supervisor.run_within(Some(&confinement)).is_ok() {
            return Ok(());
        }
    }
    supervisor.run().map(drop)
}

fn open_live(dir: &TaskDir) -> std::result::Result<OwnedFd, Errno> {
    // Made aside, so that on a full disk the present one stays. The first has nobody to wait on it.
    let aside = format!("{}.new", file::LIVE);
    let name = match make_fifo(dir.as_fd(), file::LIVE) {
        Ok(()) => file::LIVE,
        Err(Errno::EEXIST) => match make_anew(dir, &aside, || make_fifo(dir.as_fd(), &aside)) {
            Ok(()) => aside.as_str(),
            Err(Errno::ENOSPC | Errno::EDQUOT) => file::LIVE,
            Err(errno) => return Err(errno),
        },
        Err(errno) => return Err(errno),
    };
    // A FIFO without a reader cannot be opened for writing without blocking: read first.
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let _reader = openat(dir, name, flags | OFlag::O_RDONLY, Mode::empty())?;
    let writer = openat(dir, name, flags | OFlag::O_WRONLY, Mode::empty())?;
    if name != file::LIVE {
        renameat(dir, name, dir, file::LIVE)?;
    }
    Ok(writer)
}

#[cfg(target_os = "linux")]
pub(super) fn pipe() -> std::result::Result<(OwnedFd, OwnedFd), Errno> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC)
}

/// There is no pipe2 here; another thread that executes something in between hands it a copy.
#[cfg(target_os = "macos")]
pub(super) fn pipe() -> std::result::Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = nix::unistd::pipe()?;
    for end in [&read, &write] {
        fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    Ok((read, write))
}

fn high_copy(fd: BorrowedFd<'_>) -> std::result::Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(descriptor::FIRST_FOREIGN))?;
    #[allow(unsafe_code, reason = "F_DUPFD_CLOEXEC gives a bare number")]
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// The caller's environment without what an outer task put there.
pub(super) fn inherited_environment() -> std::result::Result<Vec<CString>, Errno> {
    std::env::vars_os()
        .filter(|(name, _)| !name.as_bytes().starts_with(VARIABLE_PREFIX.as_bytes()))
        .map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable).map_err(|_| Errno::EINVAL)
        })
        .collect()
}

pub(super) fn text(bytes: &[u8]) -> std::result::Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

pub(crate) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// The folder of the home that a task folder is in.
pub(crate) fn home_of(task_folder: &Path) -> Option<&Path> {
    task_folder.parent()?.parent()
}
