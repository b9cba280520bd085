//! What `logs` and `events` answer.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::event::{Frame, StreamName};
use crate::task::TaskId;

/// A bounded view of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogsAnswer {
    /// The task.
    pub task_id: TaskId,
    /// Lines in the log, an unfinished last one included, and those that are gone for good.
    pub total_lines: u64,
    /// Lines shown; with `grep`, matches.
    pub shown_lines: usize,
    /// Whether there is more of what was asked for than is shown.
    pub has_more: bool,
    /// Bytes that are gone for good: of the log; with `cursor`, of what came after it.
    pub truncated_bytes: u64,
    /// Shown lines that were cut.
    pub clipped_lines: usize,
    /// The lines, without their ends.
    pub lines: LogLines,
    /// With `head`: how many lines between those from the start and those from the end are left
    /// out; they would stand after the first `head` of `lines`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted_lines: Option<u64>,
    /// With `grep`: what was found, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<Vec<LogMatch>>,
    /// Set when the first line shown is the rest of one whose beginning was given before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub first_line_continues: bool,
    /// Whether the last line shown has no end yet.
    pub last_line_partial: bool,
    /// Where this view ends.
    pub cursor: String,
    /// Whether more may come: the task has not ended.
    pub running: bool,
}

/// Lines as text or, with `timestamps`, with what is known of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LogLines {
    /// Text.
    Plain(Vec<String>),
    /// With `timestamps`.
    Detailed(Vec<DetailedLine>),
}

/// A line and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DetailedLine {
    /// Counts from 1, within its stream.
    pub number: u64,
    /// When it was complete, to within 100 ms.
    pub timestamp: Timestamp,
    /// Where it was written to.
    pub stream: StreamName,
    /// Its text, without its end.
    pub line: String,
}

/// A line that was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogMatch {
    /// Counts from 1, within its stream.
    pub number: u64,
    /// With `timestamps`: when it was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// Where it was written to, where standard error is kept apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamName>,
    /// Its text, without its end.
    pub line: String,
    /// With `context`: the lines before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<String>>,
    /// With `context`: the lines after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
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
    /// The task; `null` when several were asked for.
    pub task_id: Option<TaskId>,
    /// Log lines and lifecycle events that there are.
    pub total: u64,
    /// A snapshot of each task, then the frames in the order in which they happened.
    pub frames: Vec<Frame<'static>>,
}
