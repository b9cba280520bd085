//! The process table, as `/proc` shows it. See `proc(5)`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use crate::process::{ProcessStat, Values};

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

fn stat_and_threads(pid: i32) -> io::Result<Option<(ProcessStat, u32)>> {
    // It is given whole in one read.
    let mut text = [0; 1024];
    let read = open(&format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut text));
    Ok(if_there(read)?.and_then(|length| parse_stat(&text[..length])))
}

/// By openat(2): the C library asks twice for close-on-exec when it opens by name alone. A sweep
/// looks at every process of a tree, and asking the kernel is all that it takes.
pub(super) fn open(path: &str) -> io::Result<File> {
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
pub(crate) fn fuzz(input: &[u8]) {
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

/// Whether the kernel lists the children of a thread (CONFIG_PROC_CHILDREN).
pub fn kernel_lists_children() -> bool {
    let me = std::process::id();
    fs::metadata(format!("/proc/self/task/{me}/children")).is_ok()
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
