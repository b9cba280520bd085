//! Pseudo-terminals.
#![allow(unsafe_code, reason = "ioctl(2) and ptsname(3)")]

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
        let slave = open(path.as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())?;
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
        Ok(Self { master, slave })
    }
}

#[cfg(target_os = "linux")]
fn name_of(master: &PtyMaster) -> Result<String, Errno> {
    nix::pty::ptsname_r(master)
}

#[cfg(target_os = "macos")]
fn name_of(master: &PtyMaster) -> Result<String, Errno> {
    // SAFETY: its static buffer is ours, for a supervisor has one thread.
    unsafe { nix::pty::ptsname(master) }
}
