//! Executing a program as posix_spawn(3) does it: by a child that has our memory until it executes,
//! and for which we wait so long.
//!
//! The C library's function is not used, because it allocates each step, which costs every supervisor
//! two pages for as long as it lives, and it hears of a failure through a pipe. Here the child, whose
//! memory is ours, leaves the errno where we find it.
#![allow(unsafe_code, reason = "clone(2) and what a child does before exec")]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;

use super::confined::{block_signals, set_mask};
use super::{Confinement, Spawn, pointers};

/// What the child's few calls take, by far.
const STACK: usize = if cfg!(debug_assertions) {
    64 << 10
} else {
    7 << 10
};

/// It grows from its end, which has to be aligned.
#[repr(align(16))]
struct Stack([MaybeUninit<u8>; STACK]);

/// What the child has to do, and where it says what it could not.
struct Child<'a> {
    spawn: &'a Spawn<'a>,
    argv: &'a [*mut libc::c_char],
    env: &'a [*mut libc::c_char],
    failure: AtomicI32,
}

impl Spawn<'_> {
    /// Executes it and returns its pid.
    ///
    /// # Errors
    /// The errno of whatever failed, of the exec mostly.
    pub(crate) fn run(&self) -> Result<i32, Errno> {
        let (argv, env) = (pointers(self.argv), pointers(self.env));
        let child = Child {
            spawn: self,
            argv: &argv,
            env: &env,
            failure: AtomicI32::new(0),
        };
        let mut stack = Stack([MaybeUninit::uninit(); STACK]);
        // No handler of ours is to run in the child, on our memory.
        let before = block_signals();
        // SAFETY: with CLONE_VFORK we go on when the child has executed or ended, so all that it is
        // given lives as long as it needs it. It has a stack of its own, calls only what is safe in a
        // signal handler, and writes to nothing of ours but `failure` (and errno).
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
        match child.failure.load(Ordering::Relaxed) {
            0 => Ok(pid),
            errno => {
                // SAFETY: waits for our own child, which has ended.
                unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
                Err(Errno::from_raw(errno))
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
    child.failure.store(failure as i32, Ordering::Relaxed);
    127
}
