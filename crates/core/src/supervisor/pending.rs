//! The caller's side of a launch: the answer of a supervisor.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::handshake::{self, Answer};
use crate::clock::Deadline;
use crate::error::{Error, Result, SpawnStep};
use crate::task::{Facts, TaskId};

/// A supervisor that has not answered yet. It goes on whether it is listened to or not.
pub(crate) struct Pending {
    pub(super) id: TaskId,
    pub(super) answer: OwnedFd,
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// As [`Pending::hear`]; [`Error::SpawnFailed`] also when the supervisor has ended without one.
    pub(crate) fn wait(self, deadline: Deadline) -> Result<Facts> {
        let id = self.id.clone();
        self.hear(deadline)?.ok_or_else(|| ended_unheard(id))
    }

    /// Waits for the answer; `None` when the supervisor has ended without one. It was killed then, and
    /// nobody has undone anything.
    ///
    /// # Errors
    /// [`Error::SpawnFailed`] as the supervisor told it (what it had made is gone again);
    /// [`Error::TaskNotRunning`] when the task was stopped before the next run began;
    /// [`Error::TaskWaitTimedOut`] when it has not answered by the deadline.
    pub(crate) fn hear(self, deadline: Deadline) -> Result<Option<Facts>> {
        let id = self.id;
        match handshake::hear(self.answer, deadline) {
            Ok(Some(Answer::Ready(facts))) => Ok(Some(*facts)),
            Ok(Some(Answer::Stopped)) => Err(Error::not_running(
                format!("{id} was stopped while its restart waited for the present run to end"),
                "Somebody stopped it on purpose; start or restart it if it should run after all.",
            )
            .with("id", id.to_string())),
            Ok(Some(Answer::Failed(failure))) => Err(Error::SpawnFailed {
                id,
                step: failure.step,
                subject: failure.subject,
                errno: Errno::from_raw(failure.errno),
                explanation: failure.explanation,
            }),
            Ok(None) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let message = format!("the supervisor of {id} has not answered yet");
                Err(Error::timed_out(message).with("id", id.to_string()))
            }
            Err(error) => Err(Error::Internal {
                message: format!("the answer of the supervisor of {id} cannot be read: {error}"),
            }),
        }
    }
}

/// The supervisor of a task has ended without an answer.
pub(crate) fn ended_unheard(id: TaskId) -> Error {
    let explanation = "it ended before it could say that the command runs".to_owned();
    no_supervisor(id, Errno::EPIPE, Some(explanation))
}

/// There is no supervisor.
pub(super) fn no_supervisor(id: TaskId, errno: Errno, explanation: Option<String>) -> Error {
    Error::SpawnFailed {
        id,
        step: SpawnStep::Supervisor,
        subject: "background-tasks".to_owned(),
        errno,
        explanation,
    }
}
