//! What a program that embeds this crate keeps with a task, and asks of its supervisor, beside what
//! callers can ask for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::StreamName;

/// What a crate on top of this one keeps with a task of its own kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// What answers show of it.
    pub shown: Value,
    /// What is kept beside that for the embedding program, and never shown.
    pub kept: Value,
    /// The line after which a run is done, and has so much time to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Done>,
    /// The first piece of its work (see [`crate::op::give_work`]): each piece has a run of its own.
    /// It is kept in a file of its own, and may not be empty.
    #[serde(skip)]
    pub first_work: Vec<u8>,
}

/// When a run is done though its main process goes on: it has a grace period from then on to end by
/// itself, and is stopped after it. That is no failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Any of these lines says so.
    pub lines: Vec<LinePattern>,
    /// Any of these takes it back: it was not done after all.
    pub revoked_by: Vec<LinePattern>,
    /// Milliseconds.
    pub grace_ms: u64,
}

/// Which lines of which log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePattern {
    /// Where it is written to.
    pub stream: StreamName,
    /// A regular expression; of a long line it sees the first 64 KiB.
    pub pattern: String,
    /// The same for lines that are none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
    /// So many of them count as one, if nothing is taken back in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}
