//! Which system calls can change what others see.
//!
//! To be killed before one that cannot is the same as to be killed before the next that can: nobody
//! can tell the difference. So only those are boundaries, about one in seven.

use std::fs;

use nix::libc;

/// A system call that a thread is about to make.
pub struct SystemCall {
    number: libc::c_long,
    arguments: Vec<u64>,
    tid: i32,
}

impl SystemCall {
    /// The one before which a stopped thread stands.
    pub fn of(tid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
        let mut words = text.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        let arguments = words.filter_map(hex).collect();
        Some(Self {
            number,
            arguments,
            tid,
        })
    }

    fn argument(&self, index: usize) -> u64 {
        self.arguments.get(index).copied().unwrap_or(0)
    }

    /// Whether others could see that it was made.
    pub fn is_visible(&self) -> bool {
        if self.number == libc::SYS_openat {
            let changing = libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC;
            return self.argument(2) & u64::from(changing.cast_unsigned()) != 0;
        }
        if self.number == libc::SYS_close {
            // It may let go of a lock, or hang up a pipe.
            let path = fs::read_link(format!("/proc/{}/fd/{}", self.tid, self.argument(0)));
            return path.is_ok_and(|path| !path.starts_with("/proc"));
        }
        if self.number == libc::SYS_fcntl {
            let asking = [
                libc::F_GETFD,
                libc::F_SETFD,
                libc::F_GETFL,
                libc::F_SETFL,
                libc::F_GETLK,
            ];
            return !asking
                .iter()
                .any(|command| self.argument(1) == u64::from(command.cast_unsigned()));
        }
        !INVISIBLE.contains(&self.number) && !OLD_INVISIBLE.contains(&self.number)
    }
}

impl std::fmt::Display for SystemCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = NAMES.iter().find(|(number, _)| *number == self.number);
        match known {
            Some((_, name)) => write!(f, "{name}"),
            None => write!(f, "number {}", self.number),
        }
    }
}

/// Calls that read, or concern nothing but the process itself.
const INVISIBLE: [libc::c_long; 41] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getcwd,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_futex,
    libc::SYS_ppoll,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_prlimit64,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_signalfd4,
];

/// The same under names that newer systems do without.
#[cfg(target_arch = "x86_64")]
const OLD_INVISIBLE: [libc::c_long; 6] = [
    libc::SYS_poll,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_INVISIBLE: [libc::c_long; 0] = [];

/// Those that a report names.
const NAMES: [(libc::c_long, &str); 22] = [
    (libc::SYS_openat, "openat"),
    (libc::SYS_close, "close"),
    (libc::SYS_write, "write"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_mknodat, "mknodat"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_kill, "kill"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_exit_group, "exit_group"),
    (libc::SYS_dup3, "dup3"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
];
