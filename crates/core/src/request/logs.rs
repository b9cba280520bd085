//! `logs` and `events`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Request, invalid};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::Frame;
use crate::task::TaskId;

/// Show the end of a task's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LogsRequest")]
pub struct Logs {
    /// The task.
    pub id: TaskId,
    /// So many lines from the end; 100 when left out.
    pub lines: Option<usize>,
    /// At most so many bytes of text; 65536 when left out. At least one line is shown.
    #[serde(alias = "maxBytes")]
    pub max_bytes: Option<usize>,
    /// Longer lines are cut there, with a mark; 4096 when left out.
    #[serde(alias = "maxLineBytes")]
    pub max_line_bytes: Option<usize>,
}

impl Logs {
    /// Lines shown unless told.
    pub const DEFAULT_LINES: usize = 100;
    /// Bytes of text shown unless told.
    pub const DEFAULT_MAX_BYTES: usize = 65536;
    /// Bytes of one line shown unless told.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 4096;

    /// With defaults for everything but the task.
    pub fn of(id: TaskId) -> Self {
        Self {
            id,
            lines: None,
            max_bytes: None,
            max_line_bytes: None,
        }
    }
}

impl Request for Logs {
    const COMMAND: &'static str = "logs";

    fn check(&self) -> Result<()> {
        for (field, value) in [
            ("max_bytes", self.max_bytes),
            ("max_line_bytes", self.max_line_bytes),
        ] {
            if value == Some(0) {
                return Err(invalid(
                    field,
                    "it must be at least 1",
                    "Leave it out for the default.",
                ));
            }
        }
        Ok(())
    }
}

/// Show what happened to a task, its log lines among it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventsRequest")]
pub struct Events {
    /// The task.
    pub id: TaskId,
    /// So many log lines from the end; 100 when left out.
    pub lines: Option<usize>,
}

impl Request for Events {
    const COMMAND: &'static str = "events";
}

/// A bounded view of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogsAnswer {
    /// The task.
    pub task_id: TaskId,
    /// Lines in the log, an unfinished last one included.
    pub total_lines: u64,
    /// Lines shown.
    pub shown_lines: usize,
    /// Whether there are lines that are not shown.
    pub has_more: bool,
    /// Bytes of the log that are gone for good.
    pub truncated_bytes: u64,
    /// Shown lines that were cut.
    pub clipped_lines: usize,
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// Whether the last line shown has no end yet.
    pub last_line_partial: bool,
    /// Where this view ends.
    pub cursor: String,
    /// Whether more may come: the task has not ended.
    pub running: bool,
}

/// What `logs` answers: the view alone, or beside a pointer to all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LogsReply {
    /// Everything fits, or was asked for inline.
    Inline(LogsAnswer),
    /// There is more in the file.
    WithArtifact(LogsWithArtifact),
}

/// A view and where the whole is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogsWithArtifact {
    /// Always `summary+artifact`.
    pub kind: &'static str,
    /// One sentence.
    pub summary: String,
    /// The view.
    pub inline: LogsAnswer,
    /// The whole.
    pub artifact: Artifact,
}

/// A file that a caller may read by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Artifact {
    /// Names it for programs: `task.<id>.logs`.
    pub key: String,
    /// Names it for people.
    pub label: String,
    /// Always `text`.
    pub kind: &'static str,
    /// Where it is.
    pub absolute_path: PathBuf,
    /// The same below the home.
    pub relative_path: String,
    /// Its size now.
    pub size_bytes: u64,
    /// When its task was created.
    pub created_at: Option<Timestamp>,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EventsAnswer {
    /// The task.
    pub task_id: TaskId,
    /// Log lines and lifecycle events that there are.
    pub total: u64,
    /// A snapshot, then the frames in the order in which they happened.
    pub frames: Vec<Frame>,
}
