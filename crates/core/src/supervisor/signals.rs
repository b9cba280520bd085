//! The supervisor's ear: signals as readable events, and a clock that only ticks when something
//! is due. With nothing due it sleeps in the kernel for ever.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::Deadline;
use crate::process;
use crate::wait::poll_timeout;

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// A child changed its state.
    pub child: bool,
    /// The run is to end.
    pub end: bool,
    /// A wish was left that has the run go on.
    pub wish: bool,
    /// Something was written to the task's folder, perhaps a log.
    pub written: bool,
    /// What else was listened to and has something to say.
    pub ready: Vec<Concern>,
}

/// What a descriptor besides the signals tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// A log was written to.
    Writes,
    /// The process that owns the task has ended.
    Owner,
    /// The main process, which is not our child, has ended.
    Main,
    /// Something was sent to the command, or that this was all.
    Input,
    /// The command's terminal shows something, or has room again.
    Terminal,
    /// What the task waits for before its turn has changed.
    Turn,
    /// The hook has written something.
    Hook,
}

/// A descriptor to listen to, and what it tells of.
#[derive(Debug)]
pub(crate) struct Listen<'a> {
    pub fd: BorrowedFd<'a>,
    /// What to wait for; hang-ups and errors are always told.
    pub events: PollFlags,
    pub concern: Concern,
}

impl<'a> Listen<'a> {
    /// Waits until there is something to read, or to know.
    pub(crate) fn to(fd: BorrowedFd<'a>, concern: Concern) -> Self {
        Self {
            fd,
            events: PollFlags::POLLIN,
            concern,
        }
    }
}

/// Listens for SIGCHLD, SIGTERM and SIGUSR1, and for SIGIO where that is how writes are told.
#[derive(Debug)]
pub(crate) struct Signals {
    source: os::Source,
}

impl Signals {
    /// Begins to listen. All signals were blocked when this process was executed, so none has
    /// been missed, and none can end it before its task is in order.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            source: os::Source::open()?,
        })
    }

    /// Sleeps until something is heard or the deadline has passed.
    pub(crate) fn wait(&mut self, deadline: Deadline, others: &[Listen<'_>]) -> io::Result<Heard> {
        self.wait_by(poll, deadline, others)
    }

    /// The same, after giving back the memory that it took to get here.
    pub(crate) fn wait_for_long(
        &mut self,
        deadline: Deadline,
        others: &[Listen<'_>],
    ) -> io::Result<Heard> {
        self.wait_by(process::poll_for_long, deadline, others)
    }

    fn wait_by(
        &mut self,
        poll: impl FnOnce(&mut [PollFd<'_>], PollTimeout) -> nix::Result<i32>,
        deadline: Deadline,
        others: &[Listen<'_>],
    ) -> io::Result<Heard> {
        let mut ready = Vec::new();
        let signals = PollFd::new(self.source.as_fd(), PollFlags::POLLIN);
        let told = if others.is_empty() {
            // The common case, in which a supervisor allocates nothing.
            poll(&mut [signals], poll_timeout(deadline))
        } else {
            let mut fds = Vec::with_capacity(1 + others.len());
            fds.push(signals);
            fds.extend(others.iter().map(|it| PollFd::new(it.fd, it.events)));
            let told = poll(&mut fds, poll_timeout(deadline));
            let told_of = others.iter().zip(&fds[1..]);
            let spoke = told_of.filter(|(_, fd)| fd.any() == Some(true));
            ready.extend(spoke.map(|(it, _)| it.concern));
            told
        };
        match told {
            Ok(_) => {}
            Err(Errno::EINTR) => ready.clear(),
            Err(errno) => return Err(errno.into()),
        }
        let heard = self.source.drain()?;
        Ok(Heard {
            written: heard.written || ready.contains(&Concern::Writes),
            ready,
            ..heard
        })
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use nix::errno::Errno;
    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};

    use super::Heard;

    #[derive(Debug)]
    pub(super) struct Source(SignalFd);

    impl Source {
        pub(super) fn open() -> io::Result<Self> {
            let mut heeded = SigSet::empty();
            heeded.add(Signal::SIGCHLD);
            heeded.add(Signal::SIGTERM);
            heeded.add(Signal::SIGUSR1);
            heeded.add(Signal::SIGIO);
            // Blocked already; said again for a supervisor that was not launched by us.
            SigSet::all().thread_block()?;
            let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
            Ok(Self(SignalFd::with_flags(&heeded, flags)?))
        }

        pub(super) fn drain(&mut self) -> io::Result<Heard> {
            let mut heard = Heard::default();
            loop {
                match self.0.read_signal() {
                    Ok(Some(info)) => {
                        let is = |signal: Signal| info.ssi_signo == signal as u32;
                        heard.end |= is(Signal::SIGTERM);
                        heard.wish |= is(Signal::SIGUSR1);
                        heard.written |= is(Signal::SIGIO);
                        heard.child |= is(Signal::SIGCHLD);
                    }
                    Ok(None) => return Ok(heard),
                    Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
    }

    impl AsFd for Source {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

/// Without signalfd: handlers that write a byte into a pipe ("self-pipe trick").
#[cfg(target_os = "macos")]
mod os {
    #![allow(unsafe_code, reason = "signal handlers")]
    use std::fs::File;
    use std::io::{self, Read};
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};
    use std::sync::atomic::{AtomicI32, Ordering};

    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    use super::Heard;

    static PIPE: AtomicI32 = AtomicI32::new(-1);

    extern "C" fn note(signal: libc::c_int) {
        let byte = u8::try_from(signal).unwrap_or(0);
        // SAFETY: write(2) is async-signal-safe; the pipe stays open for ever. A full pipe has
        // woken the reader already. errno is restored for whoever was interrupted.
        unsafe {
            let errno = libc::__error();
            let before = *errno;
            libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
            *errno = before;
        }
    }

    #[derive(Debug)]
    pub(super) struct Source(File);

    impl Source {
        pub(super) fn open() -> io::Result<Self> {
            let (read, write) = nix::unistd::pipe()?;
            for end in [&read, &write] {
                fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
                fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            }
            PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
            let action = SigAction::new(
                SigHandler::Handler(note),
                SaFlags::SA_RESTART,
                SigSet::all(),
            );
            let mut heeded = SigSet::empty();
            for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGUSR1] {
                // SAFETY: the handler is async-signal-safe.
                unsafe { sigaction(signal, &action)? };
                heeded.add(signal);
            }
            heeded.thread_unblock()?;
            Ok(Self(File::from(read)))
        }

        pub(super) fn drain(&mut self) -> io::Result<Heard> {
            let mut heard = Heard::default();
            let mut bytes = [0; 64];
            loop {
                match self.0.read(&mut bytes) {
                    Ok(n) => {
                        heard.end |= bytes[..n].contains(&(Signal::SIGTERM as u8));
                        heard.wish |= bytes[..n].contains(&(Signal::SIGUSR1 as u8));
                        heard.child |= bytes[..n].contains(&(Signal::SIGCHLD as u8));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    impl AsFd for Source {
        fn as_fd(&self) -> BorrowedFd<'_> {
            debug_assert!(self.0.as_raw_fd() >= 0);
            self.0.as_fd()
        }
    }
}
