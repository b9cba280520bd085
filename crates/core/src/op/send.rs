//! `send`: write to the standard input of a running task.
//!
//! The bytes go straight into the FIFO that the command reads from, or the supervisor in front of
//! its terminal. One caller writes at a time; a FIFO that is full is waited for.

mod refusal;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use self::refusal::{receptive, told};
use crate::client::{Client, find, not_found};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::request::{Send, SendAnswer};
use crate::store::{Home, InputLock, Observed, TASKS, TaskDir, file, open_writer, stat};
use crate::task::TaskId;
use crate::wait::poll_timeout;

/// Ends the input of a terminal's program at the beginning of a line, and hands over a line that
/// is not complete.
const END_OF_TRANSMISSION: u8 = 4;
/// How often is asked where no hang-up tells that an input has been closed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Writes to a task's standard input; answers when everything is written.
///
/// # Errors
/// [`Error::TaskNotFound`]; [`Error::TaskNotRunning`] when the task has ended or not begun, and
/// when nobody reads its input any more; [`Error::CommandInput`] when its input is not open;
/// [`Error::TaskWaitTimedOut`] when it has not read enough by the deadline, and how much was
/// written.
pub fn send(client: &Client, request: &Send, deadline: Deadline) -> Result<SendAnswer> {
    let home = client.home_of(&request.id)?;
    loop {
        if let Some(answer) = Sending::begin(&home, request, deadline)? {
            return Ok(answer);
        }
        if deadline.has_passed() {
            return Err(Error::busy(&request.id));
        }
    }
}

/// A task at whose input it is our turn to write.
struct Sending<'a> {
    home: &'a Home,
    id: &'a TaskId,
    dir: TaskDir,
    observed: Observed,
}

/// Why not everything was written.
enum Hindrance {
    /// Nobody reads it any more.
    Closed,
    /// The time is over.
    Full,
    /// Something else.
    Failed(Error),
}

impl<'a> Sending<'a> {
    /// `None`: the task was started anew meanwhile.
    fn begin(home: &'a Home, request: &'a Send, deadline: Deadline) -> Result<Option<SendAnswer>> {
        let id = &request.id;
        receptive(find(home, id)?)?;
        let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        let error = |error| home.error("lock", &input_name(id, file::INPUT_LOCK), error);
        let Some(_turn) = InputLock::take(&dir, deadline).map_err(error)? else {
            let message = format!("others are still sending to {id}");
            return Err(told(Error::timed_out(message), &find(home, id)?, 0));
        };
        // Whose turn came before may have ended the input, or the task.
        let observed = receptive(find(home, id)?)?;
        let sending = Self {
            home,
            id,
            dir,
            observed,
        };
        sending.send(request, deadline)
    }

    fn send(self, request: &Send, deadline: Deadline) -> Result<Option<SendAnswer>> {
        let has_terminal = self.observed.record()?.spec.pty.is_some();
        let mut bytes = request.bytes()?.into_owned();
        let length = bytes.len();
        if request.says_end() && has_terminal {
            if bytes.last().is_some_and(|&last| last != b'\n') {
                bytes.push(END_OF_TRANSMISSION);
            }
            bytes.push(END_OF_TRANSMISSION);
        }
        let mut fifo = match open_writer(&self.dir, file::INPUT) {
            Ok(fifo) => fifo,
            Err(errno @ (Errno::ENOENT | Errno::ENXIO)) => {
                return self.why_closed(0, errno == Errno::ENOENT);
            }
            Err(errno) => return Err(self.error("open", errno)),
        };
        let mut written = 0;
        let end = self
            .write(&mut fifo, &bytes, &mut written, deadline)
            .and_then(|()| match request.says_end() && !has_terminal {
                true => self.end(fifo, deadline),
                false => Ok(()),
            });
        let written = written.min(length);
        match end {
            Ok(()) => {}
            Err(Hindrance::Closed) => return self.why_closed(written, false),
            Err(Hindrance::Full) => return Err(self.timed_out(written, length)),
            Err(Hindrance::Failed(error)) => return Err(error),
        }
        let task = find(self.home, self.id)?.task();
        Ok(Some(SendAnswer {
            task_id: task.id.clone(),
            status: task.status,
            written_bytes: written,
            eof: request.says_end(),
            task,
        }))
    }

    fn write(
        &self,
        fifo: &mut File,
        bytes: &[u8],
        written: &mut usize,
        deadline: Deadline,
    ) -> std::result::Result<(), Hindrance> {
        while *written < bytes.len() {
            match fifo.write(&bytes[*written..]) {
                Ok(n) => *written += n,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::BrokenPipe => return Err(Hindrance::Closed),
                    ErrorKind::WouldBlock if deadline.has_passed() => return Err(Hindrance::Full),
                    ErrorKind::WouldBlock => {
                        self.await_fifo(fifo, PollFlags::POLLOUT, deadline)?;
                    }
                    _ => {
                        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
                        return Err(Hindrance::Failed(self.error("write to", errno)));
                    }
                },
            }
        }
        Ok(())
    }

    /// Has the supervisor close its end, and waits until it is so: what is sent next must not
    /// come before the end.
    fn end(&self, fifo: File, deadline: Deadline) -> std::result::Result<(), Hindrance> {
        let ours = nix::sys::stat::fstat(&fifo).map_err(|errno| self.failed(errno))?;
        drop(fifo);
        let mut end = match open_writer(&self.dir, file::INPUT_END) {
            Ok(end) => end,
            // With its supervisor the last end has gone.
            Err(Errno::ENOENT | Errno::ENXIO) => return Err(Hindrance::Closed),
            Err(errno) => return Err(self.failed(errno)),
        };
        match end.write(b"\n") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Hindrance::Closed),
            // Full: then it has been told often enough.
            _ => {}
        }
        loop {
            let there = stat(&self.dir, file::INPUT);
            let is_ours = there.is_ok_and(|there| {
                there.is_some_and(|it| (it.st_dev, it.st_ino) == (ours.st_dev, ours.st_ino))
            });
            if !is_ours {
                return Ok(());
            }
            if deadline.has_passed() {
                return Err(Hindrance::Full);
            }
            let soon = deadline.sooner(Deadline::after(LOOK_AGAIN));
            if self.await_fifo(&end, PollFlags::empty(), soon)? {
                // A supervisor takes the name away first; this one was killed.
                return Ok(());
            }
        }
    }

    /// Waits until there is room, or until nobody reads it any more: then `true`.
    fn await_fifo(
        &self,
        fifo: &File,
        events: PollFlags,
        deadline: Deadline,
    ) -> std::result::Result<bool, Hindrance> {
        let mut fds = [PollFd::new(fifo.as_fd(), events)];
        match poll(&mut fds, poll_timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => {
                let told = fds[0].revents().unwrap_or(PollFlags::empty());
                Ok(told.intersects(PollFlags::POLLERR | PollFlags::POLLHUP))
            }
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn failed(&self, errno: Errno) -> Hindrance {
        Hindrance::Failed(self.error("write to", errno))
    }

    fn error(&self, action: &'static str, errno: Errno) -> Error {
        let name = input_name(self.id, file::INPUT);
        self.home.error(action, &name, errno)
    }
}

fn input_name(id: &TaskId, name: &str) -> String {
    format!("{TASKS}/{id}/{name}")
}
