//! The one line that a new supervisor says to its caller.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::clock::Deadline;
use crate::error::SpawnStep;
use crate::task::Facts;
use crate::wait::poll_timeout;

/// What became of a launch.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The command has been executed (or the task adopted), and these facts are on record.
    Ready(Box<Facts>),
    /// It was to begin the next run, but the task was stopped while it waited for the one before.
    Stopped,
    /// It could not be; what the launch had made is gone again.
    Failed(SpawnFailure),
}

/// Why a command could not be executed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpawnFailure {
    pub step: SpawnStep,
    pub subject: String,
    pub errno: i32,
    pub explanation: Option<String>,
}

impl SpawnFailure {
    pub(crate) fn new(step: SpawnStep, subject: impl Into<String>, errno: Errno) -> Self {
        Self {
            step,
            subject: subject.into(),
            errno: errno as i32,
            explanation: None,
        }
    }

    #[must_use]
    pub(crate) fn explained(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }
}

impl fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = Errno::from_raw(self.errno);
        write!(
            f,
            "it could not be executed: {} `{}`: {} ({errno:?})",
            self.step.as_str(),
            self.subject,
            errno.desc()
        )
    }
}

/// The supervisor's side, once: the first answer takes the channel. A caller that is gone does
/// not matter: SIGPIPE is ignored.
pub(crate) fn tell(channel: &mut Option<OwnedFd>, answer: &Answer) {
    if let Some(channel) = channel.take()
        && let Ok(mut line) = serde_json::to_vec(answer)
    {
        line.push(b'\n');
        let _ = File::from(channel).write_all(&line);
    }
}

/// Whether the caller is still there to hear the answer.
pub(crate) fn is_heard(channel: &Option<OwnedFd>) -> bool {
    channel.as_ref().is_some_and(|channel| {
        // Asked for nothing, poll(2) still tells that a pipe has lost its reader.
        let mut asked = [PollFd::new(channel.as_fd(), PollFlags::empty())];
        matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
    })
}

/// The caller's side: waits for the line. `Ok(None)` when the supervisor ended without a word.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] past the deadline.
pub(crate) fn hear(channel: OwnedFd, deadline: Deadline) -> io::Result<Option<Answer>> {
    let mut channel = File::from(channel);
    let mut line = Vec::with_capacity(1024);
    while line.last() != Some(&b'\n') {
        let ready = poll(
            &mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)],
            poll_timeout(deadline),
        );
        match ready {
            Ok(0) if deadline.has_passed() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut piece = [0; 1024];
        match channel.read(&mut piece)? {
            0 => return Ok(None),
            n => line.extend_from_slice(&piece[..n]),
        }
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
