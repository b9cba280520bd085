//! Linux: `/proc`, pidfds, subreaper. See `proc(5)`, `pidfd_open(2)`, `prctl(2)`.
#![allow(unsafe_code, reason = "system calls that no crate in use wraps")]

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::{ProcessStat, Values};
use crate::task::SignalNumber;

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
    let length = open(BOOT_ID)?.read(&mut text)?;
    let text = std::str::from_utf8(&text[..length]).map_err(io::Error::other)?;
    Ok(text.trim_end().to_owned())
}

/// Lacking descriptors or memory we cannot look, which says nothing about what there is to see:
/// who is not seen must not be taken for gone.
fn cannot_look(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)
    ) || error.kind() == io::ErrorKind::OutOfMemory
}

/// `None` where there is nothing (any more), or nothing that we may look at.
fn if_there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if cannot_look(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// What the process table says; `None` when there is no such process.
pub(crate) fn stat(pid: i32) -> io::Result<Option<ProcessStat>> {
    Ok(stat_and_threads(pid)?.map(|(stat, _)| stat))
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

fn stat_and_threads(pid: i32) -> io::Result<Option<(ProcessStat, u32)>> {
    // It is given whole in one read.
    let mut text = [0; 1024];
    let read = open(&format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut text));
    Ok(if_there(read)?.and_then(|length| parse_stat(&text[..length])))
}

/// By openat(2): the C library asks twice for close-on-exec when it opens by name alone. A sweep
/// looks at every process of a tree, and asking the kernel is all that it takes.
fn open(path: &str) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    Ok(openat(AT_FDCWD, path, flags, Mode::empty())?.into())
}

/// The command name may hold spaces and parentheses, so fields are counted from the last `)`.
fn parse_stat(text: &[u8]) -> Option<(ProcessStat, u32)> {
    let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&text[after_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let threads: u32 = fields.nth(13)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let stat = ProcessStat {
        parent,
        session,
        start_time,
        // A main thread that has ended before the others is shown as a zombie too.
        zombie: matches!(state, "Z" | "X" | "x") && threads <= 1,
    };
    Some((stat, threads))
}

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(super) fn fuzz(input: &[u8]) {
    parse_stat(input);
}

/// The children of a process, zombies included.
pub(crate) fn children(pid: i32) -> io::Result<Vec<i32>> {
    Ok(stat_and_children(pid)?.1)
}

/// What the process table says, and the children. A zombie has none: they were handed on before it
/// became one.
pub(crate) fn stat_and_children(pid: i32) -> io::Result<(Option<ProcessStat>, Vec<i32>)> {
    let mut found = Vec::new();
    let Some((stat, threads)) = stat_and_threads(pid)? else {
        return Ok((None, found));
    };
    // Each thread has a list of its own.
    let threads = match threads {
        _ if stat.zombie => Vec::new(),
        1 => vec![pid],
        _ => threads_of(pid)?,
    };
    for thread in threads {
        match if_there(children_of_thread(pid, thread))? {
            Some(children) => found.extend(children),
            // A thread that has just ended; without CONFIG_PROC_CHILDREN no thread has a list.
            None if kernel_lists_children() => {}
            None => return Ok((Some(stat), children_by_scan(pid)?)),
        }
    }
    Ok((Some(stat), found))
}

fn threads_of(pid: i32) -> io::Result<Vec<i32>> {
    let threads = if_there(fs::read_dir(format!("/proc/{pid}/task")))?;
    let id_of = |entry: fs::DirEntry| entry.file_name().to_str().and_then(as_pid);
    Ok(threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(id_of)
        .collect())
}

fn children_of_thread(pid: i32, thread: i32) -> io::Result<Vec<i32>> {
    let mut file = open(&format!("/proc/{pid}/task/{thread}/children"))?;
    let mut buffer = [0; 1024];
    let mut list = Vec::new();
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => list.extend_from_slice(&buffer[..length]),
        }
    }
    let pids = list.split(|&byte| byte == b' ');
    Ok(pids
        .filter_map(|pid| as_pid(std::str::from_utf8(pid).ok()?))
        .collect())
}

fn children_by_scan(parent: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for pid in all_pids()? {
        if stat(pid)?.is_some_and(|stat| stat.parent == parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn as_pid(text: &str) -> Option<i32> {
    text.parse().ok().filter(|&pid| pid > 1)
}

/// Every process on the system.
pub(crate) fn all_pids() -> io::Result<Vec<i32>> {
    let pid_of = |entry: fs::DirEntry| entry.file_name().to_str().and_then(as_pid);
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(pid_of).collect())
}

/// The values that these variables had when the process was executed. Another user's environment
/// cannot be read.
pub(crate) fn environment_values<const N: usize>(
    pid: i32,
    names: [&str; N],
) -> io::Result<Values<N>> {
    let all = if_there(fs::read(format!("/proc/{pid}/environ")))?.unwrap_or_default();
    Ok(names.map(|name| {
        let value = |one: &[u8]| {
            let rest = one.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(OsStringExt::from_vec(rest.to_vec()))
        };
        all.split(|&byte| byte == 0).find_map(value)
    }))
}

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
        let result = match &pinned {
            // SAFETY: integers and a null pointer, which means "as kill(2) would fill it in".
            Some(fd) => unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    fd.as_raw_fd(),
                    signal.number(),
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                )
            },
            // SAFETY: takes two integers; the caller refuses pids <= 1.
            None => libc::c_long::from(unsafe { libc::kill(pid, signal.number()) }),
        };
        Errno::result(result)?;
    }
    Ok(true)
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

/// Whether the kernel lists the children of a thread (CONFIG_PROC_CHILDREN).
pub fn kernel_lists_children() -> bool {
    let me = std::process::id();
    fs::metadata(format!("/proc/self/task/{me}/children")).is_ok()
}

/// Whether signals can be sent without hitting a later process with the same pid (Linux 5.3).
pub fn kernel_offers_pidfds() -> bool {
    i32::try_from(std::process::id()).is_ok_and(|me| pidfd_open(me).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_skipped_whole() {
        let line = b"42 (a) b (c)) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let (stat, threads) = parse_stat(line).unwrap();
        assert_eq!(threads, 1);
        assert_eq!((stat.parent, stat.session), (7, 40));
        assert_eq!(stat.start_time, 987_654);
        assert!(!stat.zombie);
        let dead = b"42 (x) Z 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert!(parse_stat(dead).unwrap().0.zombie);
        let leader = b"42 (x) Z 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 2 0 987654 1 2";
        assert!(!parse_stat(leader).unwrap().0.zombie);
        assert_eq!(parse_stat(b"42 (x) S 7"), None);
        assert_eq!(parse_stat(b""), None);
    }

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

    #[test]
    fn children_of_every_thread_are_found() {
        let me = i32::try_from(std::process::id()).unwrap();
        let (child, stop) = std::thread::spawn(|| {
            let mut child = std::process::Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let stop = child.stdin.take();
            (child, stop)
        })
        .join()
        .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(children(me).unwrap().contains(&pid));
        assert!(children_by_scan(me).unwrap().contains(&pid));
        drop(stop);
        let mut child = child;
        child.wait().unwrap();
    }
}
