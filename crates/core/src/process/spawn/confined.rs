//! Executing a program within limits, or in a terminal. posix_spawn(3) can neither place a process
//! in a cgroup, nor set its resource limits, nor make a terminal the controlling one of its session,
//! and all of that has to be done before the program runs; so here it is a fork, whose child does
//! the same as posix_spawn and what is needed besides. `vfork` uses the child's part as well.
//!
//! Between fork and exec only calls that are safe in a signal handler are made, and nothing is
//! allocated: other threads of the caller may have held any lock.
#![allow(
    unsafe_code,
    reason = "fork, clone3(2) and what a child does before exec"
)]

use std::io::{PipeReader, PipeWriter, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, openat};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;

use super::super::alive::identify_child;
use super::super::entry::IGNORED;
use super::{SignalMask, Spawn, pointers};
use crate::task::ProcessIdentity;

/// The numbers of the child's own descriptors begin here: no target of a [`Spawn`] is as high.
const OUT_OF_THE_WAY: RawFd = 32;

/// What a program is held to from its first instruction on.
#[derive(Debug, Default)]
pub(crate) struct Confinement<'a> {
    /// The folder of the cgroup that it is to begin in.
    pub group: Option<BorrowedFd<'a>>,
    /// Resource limits, soft and hard.
    pub limits: &'a [(Resource, u64)],
}

impl Spawn<'_> {
    /// Executes it, within limits if there are any, in its terminal if it has one, and returns which
    /// process it is.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(crate) fn run_within(
        &self,
        confinement: Option<&Confinement<'_>>,
    ) -> Result<ProcessIdentity, Errno> {
        let unlimited = Confinement::default();
        let confinement = match confinement {
            None if !self.has_terminal => return self.run_identified(),
            None => &unlimited,
            Some(confinement) => confinement,
        };
        self.run_confined(confinement).map(identify_child)
    }

    /// Executes it within limits and returns its pid.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    fn run_confined(&self, confinement: &Confinement<'_>) -> Result<i32, Errno> {
        #[cfg(target_os = "macos")]
        let program = &super::posix::program(self.program, self.workdir)?;
        #[cfg(target_os = "linux")]
        let program = self.program;
        let argv = pointers(self.argv);
        let env = pointers(self.env);
        let (failure, writer) = std::io::pipe().map_err(|error| errno_of(&error))?;
        let report = high_copy(&writer)?;
        drop(writer);
        // No handler of the caller is to run in the child.
        let before = block_signals();
        let forked = fork(confinement.group);
        if let Ok(Forked::Child { placed }) = forked {
            let prepared = self.prepare(confinement, placed);
            if prepared.is_ok() {
                set_mask(self.mask);
                // SAFETY: terminated strings and lists that end with a null pointer, all alive.
                unsafe {
                    libc::execve(program.as_ptr(), argv.as_ptr().cast(), env.as_ptr().cast())
                };
            }
            give_up(&report, prepared.err().unwrap_or_else(Errno::last));
        }
        // SAFETY: a set that pthread_sigmask has filled in.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
        drop(report);
        match forked? {
            Forked::Parent { child } => match hear(failure) {
                None => Ok(child),
                Some(errno) => {
                    // SAFETY: waits for our own child, which is on its way out.
                    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
                    Err(errno)
                }
            },
            Forked::Child { .. } => Err(Errno::EIO),
        }
    }

    /// The child's part before exec.
    pub(super) fn prepare(&self, confinement: &Confinement<'_>, placed: bool) -> Result<(), Errno> {
        if let (Some(group), false) = (confinement.group, placed) {
            enter(group)?;
        }
        // SAFETY: no arguments; a child is no group leader, so it cannot fail.
        unsafe { libc::setsid() };
        reset_dispositions(self.mask);
        // First, because a later dup2 may take the number of the directory's descriptor.
        // SAFETY: a descriptor that is open.
        Errno::result(unsafe { libc::fchdir(self.workdir.as_raw_fd()) })?;
        for (source, target) in self.descriptors {
            let source = source.as_raw_fd();
            // SAFETY: numbers. A descriptor that has its number already only must survive exec.
            Errno::result(unsafe {
                if source == *target {
                    libc::fcntl(source, libc::F_SETFD, 0)
                } else {
                    libc::dup2(source, *target)
                }
            })?;
        }
        if self.has_terminal {
            // SAFETY: a number. The cast is for macOS, where the request has another type.
            Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) })?;
        }
        // Last: with little memory or few descriptors the steps before could fail.
        for (resource, most) in confinement.limits {
            setrlimit(*resource, *most as libc::rlim_t, *most as libc::rlim_t)?;
        }
        Ok(())
    }
}

enum Forked {
    Parent {
        child: i32,
    },
    /// `placed`: it is in its group already.
    Child {
        placed: bool,
    },
}

/// A child that begins in a group is in it from the first moment, and need not be moved there,
/// which is slow: the kernel waits until nobody looks at the old place any more.
#[cfg(target_os = "linux")]
fn fork(group: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    /// `struct clone_args` of clone3(2).
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let Some(group) = group else {
        return plain_fork();
    };
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: u64::from(group.as_raw_fd().unsigned_abs()),
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork: the child has a copy of everything. What the C
    // library would do in it besides concerns locks and threads, of which the child uses none.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match Errno::result(pid) {
        Ok(0) => Ok(Forked::Child { placed: true }),
        Ok(pid) => Ok(Forked::Parent { child: pid as i32 }),
        // Before Linux 5.7, or where a filter of system calls does not know it.
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::E2BIG | Errno::EPERM) => plain_fork(),
        Err(errno) => Err(errno),
    }
}

#[cfg(target_os = "macos")]
fn fork(_group: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    plain_fork()
}

fn plain_fork() -> Result<Forked, Errno> {
    // SAFETY: the child calls only what is safe in a signal handler, then exec or _exit.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child { placed: false }),
        child => Ok(Forked::Parent { child }),
    }
}

/// Moves this process into a group.
fn enter(group: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let processes = openat(group, c"cgroup.procs", flags, Mode::empty())?;
    nix::unistd::write(&processes, b"0").map(drop)
}

/// Back to the defaults: what is ignored would stay so over exec. That may be any of a caller (nohup
/// ignores SIGHUP, others SIGCHLD); a supervisor has begun with defaults, and ignores what our own
/// start-up does. Each costs a system call.
fn reset_dispositions(mask: SignalMask) {
    #[cfg(target_os = "linux")]
    const LAST: libc::c_int = 64;
    #[cfg(target_os = "macos")]
    const LAST: libc::c_int = 31;
    match mask {
        SignalMask::Empty => IGNORED.into_iter().for_each(reset),
        SignalMask::Full => (1..=LAST).for_each(reset),
    }
}

fn reset(signal: libc::c_int) {
    // SAFETY: all zeros is a valid action: the default, no flags, an empty mask.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: an initialised action. Refused for those that nobody can change.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
}

pub(super) fn block_signals() -> MaybeUninit<libc::sigset_t> {
    let mut every = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: the first call initialises its set; the second fills the other one in.
    unsafe {
        libc::sigfillset(every.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, every.as_ptr(), before.as_mut_ptr());
    }
    before
}

pub(super) fn set_mask(mask: SignalMask) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used.
    unsafe {
        match mask {
            SignalMask::Empty => libc::sigemptyset(set.as_mut_ptr()),
            SignalMask::Full => libc::sigfillset(set.as_mut_ptr()),
        };
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// The child's last words.
fn give_up(report: &OwnedFd, errno: Errno) -> ! {
    let _ = nix::unistd::write(report, &(errno as i32).to_ne_bytes());
    // SAFETY: nothing of the parent's is to be flushed or run.
    unsafe { libc::_exit(127) }
}

/// What the child says; nothing when the exec has closed its end.
fn hear(mut failure: PipeReader) -> Option<Errno> {
    let mut errno = [0; 4];
    failure.read_exact(&mut errno).ok()?;
    Some(Errno::from_raw(i32::from_ne_bytes(errno)))
}

fn high_copy(fd: &PipeWriter) -> Result<OwnedFd, Errno> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(OUT_OF_THE_WAY))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Opens the folder of a group for [`Confinement::group`].
pub(crate) fn open_group(folder: &std::path::Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(folder, flags, Mode::empty())
}

/// Whether `RLIMIT_AS` limits anything: macOS takes it and does nothing.
pub(crate) const ADDRESS_SPACE_IS_LIMITED: bool = cfg!(target_os = "linux");
