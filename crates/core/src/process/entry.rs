//! How a program begins that is over in a tenth of a millisecond.
//!
//! Rust's own start-up code prepares for what such a program never does (a handler for stack
//! overflows on a stack of its own, mostly): a dozen system calls and several pages of memory, a
//! twelfth of a `status`, and for a supervisor memory that it keeps for as long as its task lives.
//! [`crate::entry!`] makes a C `main` instead, which does only what is needed.
#![allow(unsafe_code, reason = "what the C library hands to main")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// The arguments of this process, the program's own name included.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a>(&'a [*const c_char]);

impl<'a> Arguments<'a> {
    /// Takes what a C `main` is given.
    ///
    /// # Safety
    /// `argv` points to `argc` terminated strings that stay where they are.
    pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> Self {
        let count = usize::try_from(argc).unwrap_or(0);
        if count == 0 || argv.is_null() {
            return Self(&[]);
        }
        // SAFETY: the caller's promise.
        Self(unsafe { std::slice::from_raw_parts(argv, count) })
    }

    /// One argument, without copying it.
    pub fn get(self, index: usize) -> Option<&'a OsStr> {
        let text = *self.0.get(index)?;
        // SAFETY: terminated, and stays where it is (`from_main`).
        Some(OsStr::from_bytes(
            unsafe { CStr::from_ptr(text) }.to_bytes(),
        ))
    }

    /// The arguments behind the program's own name.
    pub fn to_vec(self) -> Vec<OsString> {
        (1..self.0.len())
            .filter_map(|index| self.get(index).map(OsStr::to_owned))
            .collect()
    }
}

/// What this program ignores; whatever it executes must not.
pub(super) const IGNORED: [c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// What Rust's start-up code does that is needed here as well.
///
/// A descriptor 0, 1 or 2 that the caller has closed would be given to the next file that is
/// opened, and what is printed would end up in that file. And a write to a pipe without a reader, or
/// beyond the largest file that this process may write (`ulimit -f`), is to be an error, not the end
/// of the process.
pub fn prepare_process() {
    for fd in 0..=2 {
        // SAFETY: asks for the flags of a number.
        let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        if !is_open && let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
            // The lowest free number is the one that is missing.
            std::mem::forget(null);
        }
    }
    for signal in IGNORED {
        // SAFETY: a constant disposition.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Makes the C `main` of a program from a function that gets its arguments and returns its exit
/// status. It first becomes a supervisor, if it was executed as one.
///
/// For binaries with `#![no_main]`. Others call [`crate::supervisor::take_over`] themselves.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        /// The program's beginning.
        ///
        /// # Safety
        /// Only the C library calls it, with the arguments of the process.
        #[allow(unsafe_code, reason = "the C library calls it by name")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: ::std::ffi::c_int,
            argv: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: the C library calls main with its arguments, which stay for ever.
            let arguments = unsafe { $crate::Arguments::from_main(argc, argv) };
            $crate::prepare_process();
            $crate::supervisor::take_over_with(arguments);
            let run: fn(::std::vec::Vec<::std::ffi::OsString>) -> u8 = $run;
            ::std::ffi::c_int::from(run(arguments.to_vec()))
        }
    };
}
