//! Who is traced, and what the kernel is asked to tell of them.

use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

/// Whose system calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The command line itself.
    Caller,
    /// The supervisor that it launches, from the fork on.
    Launched,
    /// The command that this one executes, from the fork on.
    Command,
    /// The supervisor that was there before.
    Present,
}

/// What came of waiting for a boundary.
#[derive(Debug, PartialEq, Eq)]
pub enum Reached {
    /// It stands before this system call.
    At { pid: i32, call: String },
    /// It ended, or has nothing to do any more, before it came so far.
    Not,
}

/// A thread that is attached.
#[derive(Clone, Copy)]
pub struct Tracee {
    pub pid: i32,
    /// `None`: nothing to do with it.
    pub role: Option<Role>,
    pub executed: bool,
}

/// What is told of everybody that is attached.
pub const OPTIONS: Options = Options::PTRACE_O_TRACESYSGOOD
    .union(Options::PTRACE_O_TRACECLONE)
    .union(Options::PTRACE_O_TRACEFORK)
    .union(Options::PTRACE_O_TRACEVFORK)
    .union(Options::PTRACE_O_TRACEEXEC)
    .union(Options::PTRACE_O_EXITKILL);

/// What tells of a new child or thread.
pub const FORKS: [i32; 3] = [
    ptrace::Event::PTRACE_EVENT_FORK as i32,
    ptrace::Event::PTRACE_EVENT_VFORK as i32,
    ptrace::Event::PTRACE_EVENT_CLONE as i32,
];

/// Whether a thread stands before a system call, and not after it.
pub fn is_entry(pid: Pid) -> bool {
    /// `PTRACE_SYSCALL_INFO_ENTRY` of ptrace(2).
    const ENTRY: u8 = 1;
    ptrace::syscall_info(pid).is_ok_and(|info| info.op == ENTRY)
}
