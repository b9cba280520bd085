//! Frames: what streams and `events` are made of.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{EventData, JournalEntry};
use crate::clock::Timestamp;
use crate::log::{Cursor, Line, clip};
use crate::task::{Generation, Task, TaskId};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Frame {
    /// What kind of thing; says what `data` holds.
    pub r#type: String,
    /// The task.
    pub task_id: TaskId,
    /// Counts up by one from 0 within the stream.
    pub sequence: u64,
    /// When it happened; for log lines, when the log was last written to.
    pub timestamp: Timestamp,
    /// The facts.
    pub data: FrameData,
    /// Where a reader of this frame stands.
    pub cursor: String,
}

/// The facts of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FrameData {
    /// `task.log.line`
    Line {
        /// Its text, without its end.
        line: String,
        /// Counts from 1.
        number: u64,
        /// Where it was written to; both streams are one log.
        stream: &'static str,
        /// Set when the line has no end yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// Everything else.
    Facts(Value),
}

/// Makes the frames of one stream about one generation of a task.
#[derive(Debug)]
pub(crate) struct Framer {
    id: TaskId,
    at: Cursor,
    sequence: u64,
    max_line_bytes: usize,
}

impl Framer {
    /// Begins at a place in the history.
    pub(crate) fn new(id: TaskId, at: Cursor, max_line_bytes: usize) -> Self {
        Self {
            id,
            at,
            sequence: 0,
            max_line_bytes,
        }
    }

    /// Longer lines are cut there.
    pub(crate) fn set_max_line_bytes(&mut self, limit: usize) {
        self.max_line_bytes = limit;
    }

    pub(crate) fn generation(&self) -> &Generation {
        &self.at.generation
    }

    /// The last journal entry that was framed.
    pub(crate) fn journal_number(&self) -> u64 {
        self.at.journal
    }

    /// How the task is now.
    pub(crate) fn snapshot(&mut self, task: &Task) -> Frame {
        let facts = json!({ "task_id": task.id, "status": task.status, "task": task });
        self.facts("task.status.snapshot", Timestamp::now(), facts)
    }

    /// A line of the log.
    pub(crate) fn line(&mut self, line: &Line, written_at: Timestamp) -> Frame {
        self.at.log_offset = line.end;
        self.at.line = line.number;
        let (text, _) = clip(&line.bytes, line.bytes.len() as u64, self.max_line_bytes);
        let data = FrameData::Line {
            line: text,
            number: line.number,
            stream: "stdout",
            partial: line.partial,
        };
        self.frame("task.log.line", written_at, data)
    }

    /// A lifecycle event.
    pub(crate) fn event(&mut self, entry: &JournalEntry) -> Frame {
        self.at.journal = entry.number;
        self.lifecycle(&entry.event, entry.timestamp)
    }

    /// A lifecycle event that is not in the journal: an end that was worked out.
    pub(crate) fn lifecycle(&mut self, event: &EventData, timestamp: Timestamp) -> Frame {
        let mut tagged = json!(event);
        let name = tagged["type"].as_str().unwrap_or_default().to_owned();
        self.facts(&name, timestamp, tagged["data"].take())
    }

    /// Any other frame.
    pub(crate) fn facts(&mut self, name: &str, timestamp: Timestamp, facts: Value) -> Frame {
        self.frame(name, timestamp, FrameData::Facts(facts))
    }

    fn frame(&mut self, name: &str, timestamp: Timestamp, data: FrameData) -> Frame {
        let sequence = self.sequence;
        self.sequence += 1;
        Frame {
            r#type: name.to_owned(),
            task_id: self.id.clone(),
            sequence,
            timestamp,
            data,
            cursor: self.at.encode(),
        }
    }
}
