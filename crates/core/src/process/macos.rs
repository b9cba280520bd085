//! macOS: libproc, sysctl, kqueue. There is no subreaper, and the environment of Apple's own
//! programs is hidden, so what double-forks into a new session may escape; see `proc_info.h`.
#![allow(unsafe_code, reason = "system calls that no crate in use wraps")]

use std::ffi::{CStr, OsString, c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::{fs, io, ptr};

use nix::errno::Errno;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

use super::{ProcessStat, Values};
use crate::task::SignalNumber;

/// Orphans become children of launchd here, so a supervisor looks again and again.
pub(crate) const PROMPT_TREE_EXIT: bool = false;

/// It does not here; select(2) alone would (golang/go#24164).
pub(crate) const POLL_TELLS_HANG_UP: bool = false;

/// `ARG_MAX` of `<sys/syslimits.h>`, which the libc crate does not have.
const ARGUMENTS_MAX: usize = 1 << 20;

/// `struct kinfo_proc` of `<sys/sysctl.h>`, missing in libc: its size, and where its fields stand.
mod kinfo_proc {
    pub(super) const SIZE: usize = 648;
    pub(super) const SECONDS: usize = 0;
    pub(super) const MICROSECONDS: usize = 8;
    pub(super) const STATUS: usize = 36;
    pub(super) const PID: usize = 40;
    pub(super) const PARENT: usize = 560;
}

/// Names this boot; pids and start times mean nothing in another.
pub(crate) fn boot_id() -> io::Result<String> {
    let mut text = [0; 64];
    let mut size = text.len();
    // SAFETY: a terminated name, and a buffer that is as large as said.
    Errno::result(unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut size,
            ptr::null_mut(),
            0,
        )
    })?;
    let text = CStr::from_bytes_until_nul(&text).map_err(io::Error::other)?;
    Ok(text.to_str().map_err(io::Error::other)?.to_owned())
}

/// Reads a system variable that is named by numbers; returns how many bytes were filled.
fn sysctl(name: &mut [c_int], buffer: &mut [u8]) -> Result<usize, Errno> {
    let length = c_uint::try_from(name.len()).map_err(|_| Errno::EINVAL)?;
    let mut size = buffer.len();
    // SAFETY: name and buffer are as long as said; nothing is set.
    Errno::result(unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            length,
            buffer.as_mut_ptr().cast(),
            &raw mut size,
            ptr::null_mut(),
            0,
        )
    })?;
    Ok(size)
}

/// # Safety
/// `T` must be the plain structure that `proc_info.h` has for this flavor.
unsafe fn proc_pidinfo<T>(pid: i32, flavor: c_int, argument: u64) -> Result<T, Errno> {
    let mut info = MaybeUninit::<T>::zeroed();
    let size = c_int::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the buffer is as large as said.
    let filled =
        unsafe { libc::proc_pidinfo(pid, flavor, argument, info.as_mut_ptr().cast(), size) };
    if filled < size {
        return Err(Errno::last());
    }
    // SAFETY: filled whole, and any bytes make a `T` (the caller's promise).
    Ok(unsafe { info.assume_init() })
}

/// What the process table says; `None` when there is no such process.
pub(crate) fn stat(pid: i32) -> io::Result<Option<ProcessStat>> {
    // SAFETY: this flavor fills a `proc_bsdinfo` (the 1: also for zombies).
    let told = unsafe { proc_pidinfo::<libc::proc_bsdinfo>(pid, libc::PROC_PIDTBSDINFO, 1) };
    let info = match told {
        Ok(info) => info,
        // Another user's: a set-user-ID program, mostly.
        Err(Errno::EPERM | Errno::EACCES) => return Ok(stat_of_any_user(pid)),
        Err(_) => return Ok(None),
    };
    Ok(Some(ProcessStat {
        parent: info.pbi_ppid.cast_signed(),
        session: session_of(pid),
        start_time: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
        zombie: info.pbi_status == libc::SZOMB,
    }))
}

/// The same from where ps(1) has it: slower, but not kept from anybody.
fn stat_of_any_user(pid: i32) -> Option<ProcessStat> {
    let mut entry = [0; kinfo_proc::SIZE];
    let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid];
    // Nothing is filled when there is no such process.
    let filled = sysctl(&mut name, &mut entry).ok()?;
    let number = |at: usize| Some(i32::from_ne_bytes(*entry[at..].first_chunk()?));
    if filled != entry.len() || number(kinfo_proc::PID)? != pid {
        return None;
    }
    let seconds = u64::from_ne_bytes(*entry[kinfo_proc::SECONDS..].first_chunk()?);
    let microseconds = u64::try_from(number(kinfo_proc::MICROSECONDS)?).ok()?;
    Some(ProcessStat {
        parent: number(kinfo_proc::PARENT)?,
        session: session_of(pid),
        start_time: seconds * 1_000_000 + microseconds,
        zombie: u32::from(entry[kinfo_proc::STATUS]) == libc::SZOMB,
    })
}

/// 0 for zombies: they are in no session any more.
fn session_of(pid: i32) -> i32 {
    // SAFETY: takes an integer.
    unsafe { libc::getsid(pid) }.max(0)
}

/// The children of a process, zombies included.
pub(crate) fn children(pid: i32) -> io::Result<Vec<i32>> {
    Ok(listed(|buffer, size| {
        // SAFETY: `listed` gives a buffer that is as large as it says, or none.
        unsafe { libc::proc_listchildpids(pid, buffer, size) }
    }))
}

/// What the process table says, and the children.
pub(crate) fn stat_and_children(pid: i32) -> io::Result<(Option<ProcessStat>, Vec<i32>)> {
    Ok((stat(pid)?, children(pid)?))
}

/// Every process on the system.
pub(crate) fn all_pids() -> io::Result<Vec<i32>> {
    Ok(listed(|buffer, size| {
        // SAFETY: `listed` gives a buffer that is as large as it says, or none.
        unsafe { libc::proc_listallpids(buffer, size) }
    }))
}

/// The pids that a function of libproc fills into a buffer of so many bytes. It returns how many
/// it filled in; without a buffer, how many there can be.
fn listed(list: impl Fn(*mut c_void, c_int) -> c_int) -> Vec<i32> {
    let mut expected = list(ptr::null_mut(), 0);
    while let Ok(room) = usize::try_from(expected) {
        let mut pids = vec![0; room + 32];
        let size = c_int::try_from(size_of_val(pids.as_slice())).unwrap_or(c_int::MAX);
        let count = usize::try_from(list(pids.as_mut_ptr().cast(), size)).unwrap_or(0);
        // Full: there may be more by now.
        if count < pids.len() {
            pids.truncate(count);
            pids.retain(|&pid| pid > 1);
            return pids;
        }
        expected = expected.saturating_mul(2);
    }
    Vec::new()
}

/// The values that these variables had when the process was executed. Another user's environment
/// cannot be read, nor that of Apple's own programs (System Integrity Protection).
pub(crate) fn environment_values<const N: usize>(
    pid: i32,
    names: [&str; N],
) -> io::Result<Values<N>> {
    let block = arguments_of(pid);
    Ok(names.map(|name| {
        let (_, count, all) = block.as_deref().and_then(strings_in)?;
        all.skip(count).find_map(|one| {
            let rest = one.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(OsStringExt::from_vec(rest.to_vec()))
        })
    }))
}

/// Whether the process was executed from our very program's file with `first_argument`.
pub(crate) fn runs_our_program_as(pid: i32, first_argument: &str) -> bool {
    let block = arguments_of(pid);
    let ours = std::env::current_exe().unwrap_or_default();
    block
        .as_deref()
        .and_then(strings_in)
        .is_some_and(|(path, _, mut all)| {
            path == ours.as_os_str().as_bytes() && all.nth(1) == Some(first_argument.as_bytes())
        })
}

/// What KERN_PROCARGS2 gives.
fn arguments_of(pid: i32) -> Option<Vec<u8>> {
    let mut block = vec![0; ARGUMENTS_MAX];
    let filled = sysctl(&mut [libc::CTL_KERN, libc::KERN_PROCARGS2, pid], &mut block).ok()?;
    block.truncate(filled);
    Some(block)
}

/// Its parts: argument count, executed path, NULs up to a word, then arguments and environment.
fn strings_in(block: &[u8]) -> Option<(&[u8], usize, impl Iterator<Item = &[u8]>)> {
    let (count, rest) = block.split_first_chunk()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path_end = rest.iter().position(|&byte| byte == 0)?;
    let padding = rest[path_end..].iter().position(|&byte| byte != 0)?;
    let strings = rest[path_end + padding..].split(|&byte| byte == 0);
    Some((&rest[..path_end], count, strings))
}

/// Where the process is.
pub(crate) fn working_directory(pid: i32) -> Option<PathBuf> {
    // SAFETY: this flavor fills a `proc_vnodepathinfo`.
    let told =
        unsafe { proc_pidinfo::<libc::proc_vnodepathinfo>(pid, libc::PROC_PIDVNODEPATHINFO, 0) };
    let path = told.ok()?.pvi_cdir.vip_path;
    let path = path.as_flattened().iter().map(|byte| byte.cast_unsigned());
    let path: Vec<u8> = path.take_while(|&byte| byte != 0).collect();
    (!path.is_empty()).then(|| OsString::from_vec(path).into())
}

/// Signals `pid` if it is still the process that is meant. Nothing can pin it here, so
/// `still_meant` is asked right before; pids are given out in turn, so it takes thousands of new
/// processes until one is used again.
pub(crate) fn pinned_kill(
    pid: i32,
    signals: &[SignalNumber],
    still_meant: impl FnOnce() -> bool,
) -> Result<bool, Errno> {
    if !still_meant() {
        return Ok(false);
    }
    for signal in signals {
        // SAFETY: takes two integers; the caller refuses pids <= 1.
        Errno::result(unsafe { libc::kill(pid, signal.number()) })?;
    }
    Ok(true)
}

/// A descriptor that becomes readable when the process has ended. An error (ESRCH) when it has
/// already, reaped or not.
pub(crate) fn exit_watch(pid: i32) -> io::Result<OwnedFd> {
    let queue = Kqueue::new()?;
    let interest = KEvent::new(
        usize::try_from(pid).map_err(|_| Errno::ESRCH)?,
        EventFilter::EVFILT_PROC,
        EvFlags::EV_ADD,
        FilterFlag::NOTE_EXIT,
        0,
        0,
    );
    // The event is never fetched, so the queue stays readable; it is close-on-exec by definition.
    queue.kevent(&[interest], &mut [], None)?;
    Ok(queue.into())
}

/// Would make orphans of our descendants our children, but this system cannot.
pub(crate) fn become_subreaper() -> bool {
    false
}

/// Would name the process; here `ps` shows what it was executed as, which says the same.
pub(crate) fn set_title(_title: &CStr) {}

/// Closes every descriptor from `first` on, also those that a caller left open by mistake.
pub(crate) fn close_descriptors_from(first: RawFd) {
    let Ok(open) = fs::read_dir("/dev/fd") else {
        return;
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<RawFd>().ok();
    let open: Vec<_> = open.flatten().filter_map(number).collect();
    for fd in open.into_iter().filter(|&fd| fd >= first) {
        // SAFETY: only asks for the flags of a number.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        // What came through the exec is not close-on-exec. What is belongs to a library of this
        // process, and may be guarded: to close it would end us.
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: nothing in this process owns it (the contract of this function).
            unsafe { libc::close(fd) };
        }
    }
}

/// Whether the kernel lists the children of a process.
pub fn kernel_lists_children() -> bool {
    true
}

/// Whether signals can be sent without hitting a later process with the same pid.
pub fn kernel_offers_pidfds() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_begins_after_the_path_its_padding_and_the_arguments() {
        let mut block = 2_i32.to_ne_bytes().to_vec();
        block.extend(b"/bin/x\0\0\0\0x\0A=1\0B=2\0C=3\0\0ptr_munge=\0");
        let (path, count, strings) = strings_in(&block).unwrap();
        assert_eq!((path, count), (&b"/bin/x"[..], 2));
        let found: Vec<_> = strings.take(4).collect();
        assert_eq!(found, [&b"x"[..], b"A=1", b"B=2", b"C=3"]);
        assert!(strings_in(&block[..8]).is_none());
    }

    #[test]
    fn both_ways_to_ask_about_a_process_agree() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(stat(me).is_some());
        assert_eq!(stat(me), stat_of_any_user(me));
    }
}
