//! Executing a program as posix_spawn(3) does it: by a child that has our memory until it executes,
//! and for which we wait so long.
//!
//! The C library's function is not used, because it allocates each step, which costs every supervisor
//! two pages for as long as it lives, and it hears of a failure through a pipe. Here the child, whose
//! memory is ours, leaves the errno where we find it.
#![allow(unsafe_code, reason = "clone(2) and what a child does before exec")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

use nix::errno::Errno;

use super::super::alive::identify_child;
use super::super::os;
use super::confined::{block_signals, set_mask};
use super::{Confinement, Spawn, pointers};
use crate::task::ProcessIdentity;

/// What the child's few calls take, by far.
const STACK: usize = if cfg!(debug_assertions) {
    64 << 10
} else {
    7 << 10
};

/// It grows from its end, which has to be aligned.
#[repr(align(16))]
struct Stack([MaybeUninit<u8>; STACK]);

/// What the child has to do, and where it says what it could not. It is read again when the child has
/// executed or ended, so nothing of it is ever read and written at the same time.
struct Child<'a> {
    spawn: &'a Spawn<'a>,
    argv: &'a [*mut libc::c_char],
    env: &'a [*mut libc::c_char],
    /// What a process that was made at its beginning would have for a start time.
    start_time: Cell<Option<u64>>,
    failure: Cell<Option<Errno>>,
}

impl Spawn<'_> {
    /// Executes it and returns its pid.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(crate) fn run(&self) -> Result<i32, Errno> {
        self.run_child().map(|(pid, _)| pid)
    }

    /// Executes it and returns which process it is.
    ///
    /// We go on as soon as the child has let go of our memory, which is in the middle of the exec, and a
    /// look into its `stat` would have to wait for the rest: for a millisecond, where the two share a
    /// processor and the child is over before we get it back. When it was started is known all the
    /// same, unless one tick of a hundredth of a second ended just then.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(super) fn run_identified(&self) -> Result<ProcessIdentity, Errno> {
        let before = os::start_time_now();
        let (pid, after) = self.run_child()?;
        Ok(match before {
            Some(start_time) if after == before => ProcessIdentity { pid, start_time },
            _ => identify_child(pid),
        })
    }

    /// The pid, and what a process that was made right after it would have for a start time.
    fn run_child(&self) -> Result<(i32, Option<u64>), Errno> {
        let (argv, env) = (pointers(self.argv), pointers(self.env));
        let child = Child {
            spawn: self,
            argv: &argv,
            env: &env,
            start_time: Cell::new(None),
            failure: Cell::new(None),
        };
        let mut stack = Stack([MaybeUninit::uninit(); STACK]);
        // No handler of ours is to run in the child, on our memory.
        let before = block_signals();
        // SAFETY: with CLONE_VFORK we go on when the child has executed or ended, so all that it is
        // given lives as long as it needs it. It has a stack of its own, calls only what is safe in a
        // signal handler, and writes to nothing of ours but its cells (and errno).
        let pid = Errno::result(unsafe {
            libc::clone(
                begin,
                stack.0.as_mut_ptr().add(STACK).cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                (&raw const child).cast_mut().cast(),
            )
        });
        // SAFETY: a set that pthread_sigmask has filled in.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
        let pid = pid?;
        match child.failure.get() {
            None => Ok((pid, child.start_time.get())),
            Some(errno) => {
                // SAFETY: waits for our own child, which has ended.
                unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
                Err(errno)
            }
        }
    }
}

/// The child.
extern "C" fn begin(child: *mut c_void) -> c_int {
    // SAFETY: what `run` hands over, which is there until this process has executed or ended.
    let child = unsafe { &*child.cast_const().cast::<Child<'_>>() };
    let Child {
        spawn, argv, env, ..
    } = child;
    child.start_time.set(os::start_time_now());
    let failure = match spawn.prepare(&Confinement::default(), true) {
        Err(errno) => errno,
        Ok(()) => {
            set_mask(spawn.mask);
            let program = spawn.program.as_ptr();
            // SAFETY: terminated strings and lists that end with a null pointer, all alive.
            unsafe { libc::execve(program, argv.as_ptr().cast(), env.as_ptr().cast()) };
            Errno::last()
        }
    };
    child.failure.set(Some(failure));
    127
}
