//! Linux: `/proc`, pidfds, subreaper. See `proc(5)`, `pidfd_open(2)`, `prctl(2)`.
#![allow(unsafe_code, reason = "system calls that no crate in use wraps")]

use std::ffi::CStr;
use std::fs;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;

use crate::task::SignalNumber;

#[path = "linux/proc.rs"]
mod proc;

#[cfg(fuzzing)]
pub(super) use proc::fuzz;
pub use proc::kernel_lists_children;
pub(crate) use proc::{all_pids, children, environment_values, stat, stat_and_children};

/// Whether the end of every process of a tree is told to its supervisor by the kernel: as a
/// subreaper it becomes the parent of whatever is orphaned, and gets SIGCHLD for each.
pub(crate) const PROMPT_TREE_EXIT: bool = true;

/// Whether poll(2) tells that the last writer of a FIFO has gone.
pub(crate) const POLL_TELLS_HANG_UP: bool = true;

/// Where the kernel names this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Names this boot; pids and start times mean nothing in another.
pub(crate) fn boot_id() -> io::Result<String> {
    // It is given whole in one read.
    let mut text = [0; 64];
    let length = proc::open(BOOT_ID)?.read(&mut text)?;
    let text = std::str::from_utf8(&text[..length]).map_err(io::Error::other)?;
    Ok(text.trim_end().to_owned())
}

/// What a process that is made now has for a start time, in [`ProcessStat::start_time`]'s unit.
pub(crate) fn start_time_now() -> Option<u64> {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: on success the call fills in what it is pointed at.
    let now = unsafe {
        Errno::result(libc::clock_gettime(libc::CLOCK_BOOTTIME, now.as_mut_ptr())).ok()?;
        now.assume_init()
    };
    let nanoseconds = now.tv_sec as u64 * NANOSECONDS + now.tv_nsec as u64;
    Some(nanoseconds / (NANOSECONDS / TICKS))
}

const NANOSECONDS: u64 = 1_000_000_000;
/// In a second: `USER_HZ`, which is the same wherever this program runs.
const TICKS: u64 = 100;

/// Whether the process executes our very program with `first_argument`. The kernel tells which
/// file it executes; that cannot be made up like a name.
pub(crate) fn runs_our_program_as(pid: i32, first_argument: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let program = |path: &str| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    let arguments = || fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    program("/proc/self/exe").is_some_and(|ours| program(&format!("/proc/{pid}/exe")) == Some(ours))
        && arguments().split(|&byte| byte == 0).nth(1) == Some(first_argument.as_bytes())
}

/// Where the process is.
pub(crate) fn working_directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes two integers; the result is checked and owned by nobody else.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec by definition).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Signals `pid` if it is still the process that is meant: the pidfd pins it, so the answer of
/// `still_meant` holds until the signal is sent.
pub(crate) fn pinned_kill(
    pid: i32,
    signals: &[SignalNumber],
    still_meant: impl FnOnce() -> bool,
) -> Result<bool, Errno> {
    let pinned = match pidfd_open(pid) {
        Ok(fd) => Some(fd),
        Err(Errno::ENOSYS | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EPERM) => None,
        Err(errno) => return Err(errno),
    };
    if !still_meant() {
        return Ok(false);
    }
    for signal in signals {
        let sent = pinned.as_ref().map(|fd| send_pinned(fd, *signal));
        match sent {
            Some(Ok(())) => {}
            // A filter of system calls may know the one and not the other.
            None | Some(Err(Errno::ENOSYS | Errno::EPERM)) => {
                // SAFETY: takes two integers; the caller refuses pids <= 1.
                Errno::result(unsafe { libc::kill(pid, signal.number()) })?;
            }
            Some(Err(errno)) => return Err(errno),
        }
    }
    Ok(true)
}

fn send_pinned(fd: &OwnedFd, signal: SignalNumber) -> Result<(), Errno> {
    // SAFETY: integers and a null pointer, which means "as kill(2) would fill it in".
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd.as_raw_fd(),
            signal.number(),
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    Errno::result(sent).map(drop)
}

/// A descriptor that becomes readable when the process has ended.
pub(crate) fn exit_watch(pid: i32) -> io::Result<OwnedFd> {
    Ok(pidfd_open(pid)?)
}

/// Makes orphans of our descendants our children, whatever session they are in.
pub(crate) fn become_subreaper() -> bool {
    // SAFETY: an option and integers.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 }
}

/// Names the process in `ps -e` and `/proc/PID/comm` (at most 15 bytes are kept).
pub(crate) fn set_title(title: &CStr) {
    // SAFETY: the kernel copies at most 16 bytes of a terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, title.as_ptr(), 0, 0, 0) };
}

/// Closes every descriptor from `first` on, also those that a caller left open by mistake.
pub(crate) fn close_descriptors_from(first: RawFd) {
    let first = libc::c_uint::try_from(first).unwrap_or(libc::c_uint::MAX);
    // SAFETY: integers; nothing in this process owns descriptors from `first` on (the contract
    // of this function).
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9.
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<libc::c_uint>().ok();
    let open: Vec<_> = open.flatten().filter_map(number).collect();
    for fd in open.into_iter().filter(|&fd| fd >= first) {
        // SAFETY: as above; the folder's own descriptor is closed by now, which close ignores.
        unsafe { libc::close(fd.cast_signed()) };
    }
}

/// Whether signals can be sent without hitting a later process with the same pid (Linux 5.3).
pub fn kernel_offers_pidfds() -> bool {
    i32::try_from(std::process::id()).is_ok_and(|me| pidfd_open(me).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_starts_at_the_time_that_is_told() {
        // Not where a tick has passed in between.
        let found = std::iter::repeat_with(|| {
            let before = start_time_now().unwrap();
            let mut child = std::process::Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let is_certain = start_time_now() == Some(before);
            let stat = stat(i32::try_from(child.id()).unwrap()).unwrap().unwrap();
            drop(child.stdin.take());
            child.wait().unwrap();
            is_certain.then_some((before, stat.start_time))
        });
        let (told, found) = found.flatten().next().unwrap();
        assert_eq!(told, found);
    }
}
