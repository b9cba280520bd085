//! The first thing that a supervisor does: it cuts what is left of its ties to the caller.
//!
//! The exec has done much already: a new session, the task folder as working directory,
//! `/dev/null` on 0 to 2, default dispositions, all signals blocked, nothing of the caller's
//! `BACKGROUND_TASKS_*` in the environment.
#![allow(unsafe_code, reason = "descriptors that were handed over by number")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};

use super::descriptor;
use crate::process;
use crate::store::file;

/// What the caller handed over.
pub(crate) struct HandedOver {
    /// Our copy of the task's short lock.
    pub short_lock: OwnedFd,
    /// Where the answer goes.
    pub handshake: OwnedFd,
    /// Hangs up when dropped: the task has ended.
    pub live: OwnedFd,
}

/// Lets go of everything that is not ours and takes what is.
///
/// Returns `None` when the agreed descriptors are not there: this process was not launched by
/// `launch.rs`.
pub(crate) fn detach() -> Option<HandedOver> {
    let agreed = [
        descriptor::SHORT_LOCK,
        descriptor::HANDSHAKE,
        descriptor::LIVE,
    ];
    for fd in agreed {
        // SAFETY: only asks for the flags of a number.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags < 0 {
            return None;
        }
        // They arrived without close-on-exec and must not reach the command.
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
    }
    process::close_descriptors_from(descriptor::FIRST_FOREIGN);
    process::set_title(c"background-task");
    process::become_subreaper();
    std::panic::set_hook(Box::new(|panic| leave_note(&panic.to_string())));
    // SAFETY: open (checked above), and nothing else in this process owns them.
    let take = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    Some(HandedOver {
        short_lock: take(descriptor::SHORT_LOCK),
        handshake: take(descriptor::HANDSHAKE),
        live: take(descriptor::LIVE),
    })
}

/// There is no terminal to complain to: what broke is left in the task folder, where readers of
/// the task find it.
pub(crate) fn leave_note(problem: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let note = options.create(true).write(true).truncate(true).mode(0o600);
    if let Ok(mut note) = note.custom_flags(libc::O_NOFOLLOW).open(file::PANIC) {
        let _ = writeln!(note, "{problem}");
    }
}

/// Gives back what was needed to begin: a supervisor that only waits needs a page of its stack, and
/// hardly any of its code. Code that is needed again is mapped again, from the page cache.
#[cfg(target_os = "linux")]
pub(crate) fn release_unused_memory() {
    const DEEPEST: usize = 256 << 10;
    /// What this function and those that it calls use of the stack, by far.
    const OWN_FRAME: usize = 1024;
    let marker = 0_u8;
    let top = (std::ptr::from_ref(&marker).addr() - OWN_FRAME) & !(PAGE - 1);
    // SAFETY: below this frame (with room for the red zone and for the calls themselves) nothing on
    // the stack is in use. The range ends where the stack has not grown to, which the call reports
    // and we ignore. No signal handler runs: all signals are blocked.
    unsafe { release(top - DEEPEST, DEEPEST) };
    process::Arena::give_back();
    // SAFETY: it is called with what is loaded, the program itself first, and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(release_program), std::ptr::null_mut()) };
}

#[cfg(target_os = "linux")]
const PAGE: usize = 4096;

/// # Safety
/// The content of these pages does not matter any more, or is read from a file again.
#[cfg(target_os = "linux")]
unsafe fn release(from: usize, length: usize) {
    let from = std::ptr::without_provenance_mut(from);
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(from, length, libc::MADV_DONTNEED) };
}

/// Releases what nobody writes to: code and constants.
#[cfg(target_os = "linux")]
unsafe extern "C" fn release_program(
    program: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader's own description, which is there as long as the program is.
    let (base, segments) = unsafe {
        let program = &*program;
        let count = usize::from(program.dlpi_phnum);
        (
            program.dlpi_addr as usize,
            std::slice::from_raw_parts(program.dlpi_phdr, count),
        )
    };
    for segment in segments {
        if segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0 {
            let begin = base + segment.p_vaddr as usize;
            let end = (begin + segment.p_memsz as usize) & !(PAGE - 1);
            let begin = begin.next_multiple_of(PAGE);
            // SAFETY: the same bytes are read from the file again.
            unsafe { release(begin, end.saturating_sub(begin)) };
        }
    }
    // What else is loaded, in a program that is not static, is not ours.
    1
}

/// Not worth it where the system compresses memory.
#[cfg(not(target_os = "linux"))]
pub(crate) fn release_unused_memory() {}
