//! Pseudo-terminals.
#![allow(
    unsafe_code,
    reason = "ioctl(2), and what else has to be done between fork and exec"
)]

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::pty::{PtyMaster, grantpt, posix_openpt, unlockpt};
use nix::sys::stat::Mode;

/// A new terminal: what a program sees of it, and the side from which it is driven.
#[derive(Debug)]
pub(crate) struct PseudoTerminal {
    /// Ours. Nothing waits.
    pub master: OwnedFd,
    /// The program's.
    pub slave: OwnedFd,
    /// Where the program's side can be opened.
    pub path: CString,
}

impl PseudoTerminal {
    /// Opens a terminal of this size.
    pub(crate) fn open(cols: u16, rows: u16) -> Result<Self, Errno> {
        // A supervisor leads a session without a terminal, and must not get this one.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
        let master = posix_openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = name_of(&master)?;
        let slave = open(path.as_c_str(), flags | OFlag::O_CLOEXEC, Mode::empty())?;
        let size = libc::winsize {
            ws_row: rows,
            ws_col: cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // On the program's side, since not every system takes it on ours.
        // SAFETY: an open descriptor, and a structure that outlives the call.
        Errno::result(unsafe {
            libc::ioctl(slave.as_raw_fd(), libc::TIOCSWINSZ, &raw const size)
        })?;
        let master = OwnedFd::from(master);
        fcntl(master.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let present = OFlag::from_bits_retain(fcntl(master.as_fd(), FcntlArg::F_GETFL)?);
        fcntl(
            master.as_fd(),
            FcntlArg::F_SETFL(present | OFlag::O_NONBLOCK),
        )?;
        Ok(Self {
            master,
            slave,
            path,
        })
    }
}

#[cfg(target_os = "linux")]
fn name_of(master: &PtyMaster) -> Result<CString, Errno> {
    let name = nix::pty::ptsname_r(master)?;
    CString::new(name).map_err(|_| Errno::EINVAL)
}

#[cfg(target_os = "macos")]
fn name_of(master: &PtyMaster) -> Result<CString, Errno> {
    // SAFETY: its static buffer is ours, for a supervisor has one thread.
    let name = unsafe { nix::pty::ptsname(master) }?;
    CString::new(name).map_err(|_| Errno::EINVAL)
}

/// Executes a program in a terminal. posix_spawn(3) makes the session here after it has opened the
/// files, so that nothing it opens becomes the controlling terminal; with a fork it can be said.
#[cfg(target_os = "macos")]
pub(super) fn run(spawn: &super::Spawn<'_>) -> Result<i32, Errno> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    let text = |text: &CString| OsStr::from_bytes(text.as_bytes()).to_owned();
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let mut command = Command::new(text(spawn.program));
    let mut words = spawn.argv.iter().map(text);
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(words).env_clear();
    for variable in spawn.env {
        let bytes = variable.as_bytes();
        if let Some(at) = bytes.iter().position(|&byte| byte == b'=') {
            let (name, value) = (&bytes[..at], &bytes[at + 1..]);
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        }
    }
    for (source, target) in spawn.descriptors {
        let end = Stdio::from(source.try_clone_to_owned().map_err(errno)?);
        match target {
            0 => command.stdin(end),
            1 => command.stdout(end),
            _ => command.stderr(end),
        };
    }
    let workdir = spawn.workdir.as_raw_fd();
    let prepare = move || {
        // SAFETY: system calls only, on descriptors that are open; handlers are reset by the exec,
        // and nothing is ignored here that the standard library does not reset.
        unsafe {
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            Errno::result(libc::sigprocmask(
                libc::SIG_SETMASK,
                &raw const none,
                std::ptr::null_mut(),
            ))?;
            Errno::result(libc::setsid())?;
            Errno::result(libc::ioctl(0, libc::TIOCSCTTY.into(), 0))?;
            Errno::result(libc::fchdir(workdir))?;
        }
        Ok(())
    };
    // SAFETY: a supervisor has one thread, and `prepare` makes system calls only.
    let child = unsafe { command.pre_exec(prepare) }
        .spawn()
        .map_err(errno)?;
    i32::try_from(child.id()).map_err(|_| Errno::EINVAL)
}
