//! Processes as the kernel shows them. Everything here is about single pids, or about the
//! processes of one test: nothing is ever found or ended by its name.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether a process may still do something: it is there, no zombie, and not about to be one.
pub fn is_alive(pid: i32) -> bool {
    /// `PF_EXITING` of the kernel: none of its own instructions is executed any more.
    const EXITING: u64 = 4;
    let flags = stat_field(pid, 9).and_then(|flags| flags.parse::<u64>().ok());
    !has_ended(pid) && flags.is_some_and(|flags| flags & EXITING == 0)
}

/// Whether nothing is left of a process but perhaps its exit status: all of its locks and
/// descriptors are released.
pub fn has_ended(pid: i32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether a process sleeps in the kernel until something wakes it.
pub fn is_asleep(pid: i32) -> bool {
    state(pid) == Some('S')
}

/// Whether a process has been stopped until SIGCONT.
pub fn stands_still(pid: i32) -> bool {
    state(pid) == Some('T')
}

/// Whether a process sleeps in the kernel and hears no signal, but SIGKILL perhaps.
pub fn sleeps_uninterruptibly(pid: i32) -> bool {
    state(pid) == Some('D')
}

fn state(pid: i32) -> Option<char> {
    stat_field(pid, 3)?.chars().next()
}

/// Whether anything has this pid, a zombie included.
pub fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

pub fn parent(pid: i32) -> i32 {
    number(pid, 4)
}

pub fn group(pid: i32) -> i32 {
    number(pid, 5)
}

pub fn session(pid: i32) -> i32 {
    number(pid, 6)
}

/// Clock ticks between the boot and the start of the process.
pub fn start_time(pid: i32) -> u64 {
    let field = stat_field(pid, 22).expect("the process is there");
    field.parse().expect("a number")
}

fn number(pid: i32, field: usize) -> i32 {
    let field = stat_field(pid, field).expect("the process is there");
    field.parse().expect("a number")
}

/// A field of `/proc/PID/stat`, counted from 1 as proc_pid_stat(5) does. The name, field 2, may
/// hold anything.
fn stat_field(pid: i32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(field - 3).map(str::to_owned)
}

/// The arguments, its own name first.
pub fn arguments(pid: i32) -> Vec<String> {
    zero_separated(&format!("/proc/{pid}/cmdline"))
}

/// The environment that it was executed with, as `NAME=value`.
pub fn environment(pid: i32) -> Vec<String> {
    zero_separated(&format!("/proc/{pid}/environ"))
}

fn zero_separated(path: &str) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let parts = bytes
        .split(|&byte| byte == 0)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

pub fn working_directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The open descriptors and where they lead.
pub fn descriptors(pid: i32) -> Vec<(i32, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there");
    let mut open: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect();
    open.sort();
    open
}

/// How often it went to sleep by itself, over all of its life.
pub fn times_slept(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok())
        .expect("the kernel counts")
}

/// Sends a signal to exactly one process.
pub fn send(pid: i32, signal: Signal) {
    assert!(pid > 1, "{pid} is no process of a test");
    // It may have ended in between, which is what most callers want.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// The living processes of one test: those whose environment names its home, and those whose
/// working directory is below its folder.
pub fn of_test(folder: &Path, home: &Path) -> Vec<i32> {
    let variable = format!("BACKGROUND_TASKS_HOME={}", home.display());
    let me = std::process::id().cast_signed();
    let is_of_test = |&pid: &i32| {
        let is_inside = || working_directory(pid).is_some_and(|at| at.starts_with(folder));
        pid > 1
            && pid != me
            && (environment(pid).contains(&variable) || is_inside())
            && is_alive(pid)
    };
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_of_test)
        .collect()
}
