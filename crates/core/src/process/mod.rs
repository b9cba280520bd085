//! Processes as the kernel shows them. Everything that differs between Linux and macOS is in
//! `linux.rs` and `macos.rs`, which offer the same functions; nothing outside this folder asks
//! which system it runs on.

mod access;
mod alive;
mod arena;
// A build without optimization would call them from within themselves.
#[cfg(all(
    target_arch = "x86_64",
    any(test, all(target_env = "musl", not(debug_assertions)))
))]
mod copy;
mod entry;
mod exchange;
mod limit;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod os;
mod reap;
mod rest;
mod signal;
mod spawn;
mod terminal;
#[cfg(target_os = "linux")]
#[path = "usage_linux.rs"]
mod usage;
#[cfg(target_os = "macos")]
#[path = "usage_macos.rs"]
mod usage;

pub use arena::Arena;
pub use entry::{Arguments, prepare_process};
pub(crate) use exchange::{begin_write_out, exchange};
pub(crate) use limit::require_descriptors;
pub use limit::{allow_many_descriptors, enlarge_pipe};

pub(crate) use access::may_access;
pub(crate) use alive::{
    has_ended, identify, is_alive, living_with_children, may_be_alive, parent_and_session,
};
pub(crate) use os::{
    POLL_TELLS_HANG_UP, PROMPT_TREE_EXIT, all_pids, become_subreaper, boot_id, children,
    close_descriptors_from, environment_values, exit_watch, runs_our_program_as, set_title,
    working_directory,
};
pub(crate) use reap::{Reaped, child_has_ended, reap, reap_child, reap_waiting};
pub(crate) use rest::poll_for_long;
pub(crate) use signal::{die_with_parent, kill_group, send, send_while};
pub(crate) use spawn::{ADDRESS_SPACE_IS_LIMITED, Confinement, SignalMask, Spawn, open_group};
pub(crate) use terminal::PseudoTerminal;
#[cfg(all(fuzzing, target_os = "linux"))]
pub(crate) fn fuzz_proc(input: &[u8]) {
    os::fuzz(input);
    usage::fuzz(input);
}

pub(crate) use usage::{listening_ports, usage};

#[cfg(target_os = "linux")]
pub use os::{kernel_lists_children, kernel_offers_pidfds};
#[cfg(target_os = "macos")]
pub use os::{kernel_lists_children, kernel_offers_pidfds};

/// The values of some variables, as far as they are set.
pub(crate) type Values<const N: usize> = [Option<std::ffi::OsString>; N];

/// What a process table says about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub parent: i32,
    pub session: i32,
    pub start_time: u64,
    /// Ended, but its parent has not asked how yet: not alive.
    pub zombie: bool,
}

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time, that of the children which it has waited for included.
    pub cpu_ms: u64,
    pub memory_bytes: u64,
}

/// Whether the process was executed with exactly `NAME=value` in its environment, as far as that can
/// be read.
pub(crate) fn environment_holds(pid: i32, variable: &str) -> std::io::Result<bool> {
    let Some((name, value)) = variable.split_once('=') else {
        return Ok(false);
    };
    let [found] = environment_values(pid, [name])?;
    Ok(found.is_some_and(|found| found == *value))
}

/// Every process that was executed with exactly `NAME=value` in its environment.
///
/// # Errors
/// When we lack what it takes to look: then nobody knows.
pub(crate) fn all_with_environment(variable: &str) -> std::io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for pid in all_pids()? {
        if environment_holds(pid, variable)? {
            found.push(pid);
        }
    }
    Ok(found)
}
