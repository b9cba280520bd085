//! Executing a program through posix_spawn(3): the C library does it without copying our
//! memory, and the result is the errno of the exec itself.
#![allow(
    unsafe_code,
    reason = "posix_spawn with a new session and a directory descriptor"
)]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::super::alive::identify_child;
use super::super::entry::IGNORED;
use super::{SignalMask, Spawn, pointers};
use crate::task::ProcessIdentity;

/// In the SDK since macOS 10.15, not in the libc crate.
const POSIX_SPAWN_SETSID: libc::c_int = 0x0400;
/// The second: nothing but the targets gets through. Without pipe2(2) and the like another
/// thread may have a descriptor that is not close-on-exec yet.
const FLAGS: libc::c_int = POSIX_SPAWN_SETSID | libc::POSIX_SPAWN_CLOEXEC_DEFAULT;

/// What to execute, as an absolute path: a relative one together with a directory action is
/// known to be executed and reported as ENOENT all the same (rust-lang/rust#80537).
pub(super) fn program(program: &CStr, workdir: BorrowedFd<'_>) -> Result<CString, Errno> {
    if program.to_bytes().starts_with(b"/") {
        return Ok(program.to_owned());
    }
    let mut folder = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: at most PATH_MAX bytes are filled, the terminating NUL included.
    Errno::result(unsafe {
        libc::fcntl(workdir.as_raw_fd(), libc::F_GETPATH, folder.as_mut_ptr())
    })?;
    let folder = CStr::from_bytes_until_nul(&folder).map_err(|_| Errno::ENAMETOOLONG)?;
    let path = [folder.to_bytes(), b"/", program.to_bytes()].concat();
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// Initialised file actions, destroyed when dropped.
struct FileActions(libc::posix_spawn_file_actions_t);
/// Initialised attributes, destroyed when dropped.
struct Attributes(libc::posix_spawnattr_t);

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `file_actions`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}
impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `attributes`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// The posix_spawn family returns the error number instead of setting errno.
fn check(code: libc::c_int) -> Result<(), Errno> {
    if code == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw(code))
    }
}

impl Spawn<'_> {
    /// Executes it and returns its pid.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(crate) fn run(&self) -> Result<i32, Errno> {
        let actions = self.file_actions()?;
        let attributes = self.attributes()?;
        let argv = pointers(self.argv);
        let env = pointers(self.env);
        let program = program(self.program, self.workdir)?;
        let mut pid: libc::pid_t = 0;
        // SAFETY: every pointer refers to initialised memory that outlives the call; both lists
        // end with a null pointer.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                argv.as_ptr(),
                env.as_ptr(),
            )
        })?;
        Ok(pid)
    }

    /// Executes it and returns which process it is.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(super) fn run_identified(&self) -> Result<ProcessIdentity, Errno> {
        self.run().map(identify_child)
    }

    fn file_actions(&self) -> Result<FileActions, Errno> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the call initialises what it is pointed at.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised just now.
        let mut actions = FileActions(unsafe { raw.assume_init() });
        // First, because a later dup2 may take the number of the directory's descriptor.
        // SAFETY: initialised actions and a descriptor that is open.
        check(unsafe {
            libc::posix_spawn_file_actions_addfchdir_np(
                &raw mut actions.0,
                self.workdir.as_raw_fd(),
            )
        })?;
        for (source, target) in self.descriptors {
            // SAFETY: as above.
            check(unsafe {
                libc::posix_spawn_file_actions_adddup2(
                    &raw mut actions.0,
                    source.as_raw_fd(),
                    *target,
                )
            })?;
        }
        Ok(actions)
    }

    fn attributes(&self) -> Result<Attributes, Errno> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the call initialises what it is pointed at.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised just now.
        let mut attributes = Attributes(unsafe { raw.assume_init() });
        let mut ignored = MaybeUninit::uninit();
        let mut mask = MaybeUninit::uninit();
        // SAFETY: both sets are initialised by the first call that gets them; the attributes are
        // initialised. Dispositions that are ignored survive exec, so they are set back to the
        // default: any of a caller (nohup ignores SIGHUP, others SIGCHLD), and of a supervisor,
        // which has begun with defaults, those that our own start-up ignores. Each costs a
        // system call.
        unsafe {
            match self.mask {
                SignalMask::Empty => {
                    libc::sigemptyset(mask.as_mut_ptr());
                    libc::sigemptyset(ignored.as_mut_ptr());
                    for signal in IGNORED {
                        libc::sigaddset(ignored.as_mut_ptr(), signal);
                    }
                }
                SignalMask::Full => {
                    libc::sigfillset(mask.as_mut_ptr());
                    libc::sigfillset(ignored.as_mut_ptr());
                }
            }
            let flags = libc::POSIX_SPAWN_SETSIGDEF as libc::c_int
                | libc::POSIX_SPAWN_SETSIGMASK as libc::c_int
                | FLAGS;
            let set = &raw mut attributes.0;
            check(libc::posix_spawnattr_setsigdefault(set, ignored.as_ptr()))?;
            check(libc::posix_spawnattr_setsigmask(set, mask.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(set, flags as libc::c_short))?;
        }
        Ok(attributes)
    }
}
