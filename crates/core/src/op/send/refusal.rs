//! Why something cannot be sent, each told apart from the others.

use serde_json::Map;

use super::Sending;
use crate::client::find;
use crate::error::{Error, Result};
use crate::request::{SendAnswer, invalid};
use crate::store::{Condition, Observed};
use crate::task::{Stdin, TaskStatus};

impl Sending<'_> {
    /// Nobody reads what would be sent: why, as far as it can be told. `None`: that was an earlier
    /// run.
    pub(super) fn why_closed(
        self,
        written: usize,
        has_no_name: bool,
    ) -> Result<Option<SendAnswer>> {
        let now = find(self.home, self.id)?;
        if written == 0 && now.run() != self.observed.run() {
            return Ok(None);
        }
        let now = receptive(now).map_err(|error| error.with("written_bytes", written))?;
        let (reason, message, hint) = if has_no_name {
            (
                "eof_sent",
                format!("the input of {} has been ended by a send with eof", self.id),
                "Nothing more can be sent to this run; restart begins one with an open input.",
            )
        } else {
            (
                "input_closed",
                format!(
                    "no process of {} reads its standard input any more",
                    self.id
                ),
                "Look at its logs: the command has closed its input, or is about to end.",
            )
        };
        let error = Error::not_running(message, hint).with("reason", reason);
        Err(told(error, &now, written))
    }

    /// The time is over.
    pub(super) fn timed_out(&self, written: usize, length: usize) -> Error {
        let error = if written < length {
            Error::TaskWaitTimedOut {
                message: format!(
                    "{} does not read what it is sent: {written} of {length} bytes were written",
                    self.id
                ),
                hint: "Send the rest once it reads again; the first details.written_bytes bytes have been sent.",
                details: Map::new(),
            }
        } else {
            Error::TaskWaitTimedOut {
                message: format!(
                    "all of it was written to {}, but its input has not been ended yet",
                    self.id
                ),
                hint: "Send {\"eof\": true} alone.",
                details: Map::new(),
            }
        };
        told(error, &self.observed, written)
    }
}

/// A task that something can be sent to.
pub(super) fn receptive(observed: Observed) -> Result<Observed> {
    let record = observed.record()?;
    let id = &observed.id;
    let status = observed.status();
    let (reason, message, hint) = if status.is_terminal() {
        (
            "ended",
            format!("task {id} has ended ({})", status.as_str()),
            "Restart it, or read its logs.",
        )
    } else if record.spec.stdin != Stdin::Open && record.spec.pty.is_none() {
        return Err(invalid(
            "id",
            format!("the standard input of {id} is not open"),
            "Start it with \"stdin\": \"open\", or with \"pty\": true, to send to it.",
        )
        .with("id", id.to_string())
        .with("reason", "not_open"));
    } else if matches!(observed.condition, Condition::Unsupervised) {
        (
            "supervisor_lost",
            format!("the supervisor of {id} was killed, and the input has ended with it"),
            "Restart it to get an open input again.",
        )
    } else if status != TaskStatus::Running {
        (
            "not_started",
            format!("task {id} is not running yet ({})", status.as_str()),
            "Send when its status is running; an input belongs to one run.",
        )
    } else {
        return Ok(observed);
    };
    let error = Error::not_running(message, hint).with("reason", reason);
    Err(told(error, &observed, 0))
}

/// What a caller needs to go on.
pub(super) fn told(error: Error, observed: &Observed, written: usize) -> Error {
    error
        .with("written_bytes", written)
        .with_task(&observed.task())
}
