//! Frames: what streams and `events` are made of.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{EventData, JournalEntry, LineBlock};
use crate::clock::Timestamp;
use crate::log::{Cursor, CursorText, CursorWriter, Found, LogStream, PlainLines, Shown};
use crate::task::{Generation, Task, TaskId};

/// One thing that happened. Lends its text from the reader, so that a line costs no allocation.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Frame<'a> {
    /// What kind of thing; says what `data` holds.
    pub r#type: Cow<'a, str>,
    /// The task.
    pub task_id: Cow<'a, TaskId>,
    /// Counts up by one from 0 within the stream.
    pub sequence: u64,
    /// When it happened; for log lines, when they were complete, to within 100 ms.
    pub timestamp: Timestamp,
    /// The facts.
    pub data: FrameData<'a>,
    /// Where a reader of this frame stands in the task's history.
    #[schemars(with = "String")]
    pub cursor: CursorText,
}

/// The facts of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FrameData<'a> {
    /// `task.log.line`
    Line(LineData<'a>),
    /// Everything else.
    Facts(Value),
}

/// The facts of a `task.log.line`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LineData<'a> {
    /// Its text, without its end.
    pub line: Cow<'a, str>,
    /// Counts from 1, within its stream.
    pub number: u64,
    /// Where it was written to.
    pub stream: StreamName,
    /// Set when the line has no end yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Set when this is the rest of a line whose beginning was given before, under the same number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// Where a line was written to. Both streams are one log, called `stdout`, unless they are kept apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamName(pub(crate) LogStream);

impl StreamName {
    /// Standard output, or both streams in one.
    pub const STDOUT: Self = Self(LogStream::Main);
    /// Standard error, kept apart.
    pub const STDERR: Self = Self(LogStream::Stderr);

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            LogStream::Main => "stdout",
            LogStream::Stderr => "stderr",
        }
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for StreamName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        [Self::STDOUT, Self::STDERR]
            .into_iter()
            .find(|stream| stream.as_str() == name)
            .ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no stream")))
    }
}

impl JsonSchema for StreamName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "StreamName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "enum": ["stdout", "stderr"] })
    }
}

impl Frame<'_> {
    /// The type of the frame of a line.
    pub(super) const LINE: &'static str = "task.log.line";

    /// Whether it is the end of its task.
    pub fn is_terminal(&self) -> bool {
        ["task.exited", "task.killed", "task.failed"].contains(&self.r#type.as_ref())
    }

    /// A copy that holds what it lends.
    pub fn into_owned(self) -> Frame<'static> {
        Frame {
            r#type: Cow::Owned(self.r#type.into_owned()),
            task_id: Cow::Owned(self.task_id.into_owned()),
            data: match self.data {
                FrameData::Facts(facts) => FrameData::Facts(facts),
                FrameData::Line(line) => FrameData::Line(LineData {
                    line: Cow::Owned(line.line.into_owned()),
                    ..line
                }),
            },
            ..self
        }
    }
}

/// Makes the frames about one generation of a task.
#[derive(Debug)]
pub(crate) struct Framer {
    id: TaskId,
    at: Cursor,
    cursors: CursorWriter,
}

impl Framer {
    /// Begins at a place in the history.
    pub(crate) fn new(id: TaskId, at: Cursor) -> Self {
        let cursors = CursorWriter::new(&id, &at.generation);
        Self { id, at, cursors }
    }

    /// Where a reader of all frames so far stands.
    pub(crate) fn cursor(&self) -> &Cursor {
        &self.at
    }

    pub(crate) fn cursor_mut(&mut self) -> &mut Cursor {
        &mut self.at
    }

    pub(crate) fn generation(&self) -> &Generation {
        &self.at.generation
    }

    /// How the task is now.
    pub(crate) fn snapshot(&self, task: &Task) -> Frame<'_> {
        let facts = json!({ "task_id": task.id, "status": task.status, "task": task });
        self.facts("task.status.snapshot", Timestamp::now(), facts)
    }

    /// A line of a log, once the cursor stands behind it.
    pub(crate) fn line<'a>(
        &'a self,
        stream: LogStream,
        found: &Found,
        shown: Shown<'a>,
        written_at: Timestamp,
    ) -> Frame<'a> {
        let data = FrameData::Line(LineData {
            line: Cow::Borrowed(shown.text),
            number: found.number,
            stream: StreamName(stream),
            partial: !found.ended,
            continues: found.continues,
        });
        self.frame(Cow::Borrowed(Frame::LINE), written_at, data)
    }

    /// Many lines of a log; the cursor stands behind them then.
    pub(crate) fn lines<'a>(
        &'a mut self,
        stream: LogStream,
        lines: PlainLines<'a>,
        written_at: Timestamp,
    ) -> LineBlock<'a> {
        *self.at.position_mut(stream) = lines.behind();
        let cursors = (&self.at, &self.cursors);
        LineBlock::read(&self.id, written_at, StreamName(stream), lines, cursors)
    }

    /// A lifecycle event.
    pub(crate) fn event(&mut self, entry: &JournalEntry) -> Frame<'_> {
        self.at.journal = entry.number;
        self.lifecycle(&entry.event, entry.timestamp)
    }

    /// A lifecycle event that is not in the journal: an end that was worked out.
    pub(crate) fn lifecycle(&self, event: &EventData, timestamp: Timestamp) -> Frame<'_> {
        let mut tagged = json!(event);
        let name = tagged["type"].as_str().unwrap_or_default().to_owned();
        let facts = FrameData::Facts(tagged["data"].take());
        self.frame(Cow::Owned(name), timestamp, facts)
    }

    /// Any other frame.
    pub(crate) fn facts(
        &self,
        name: &'static str,
        timestamp: Timestamp,
        facts: Value,
    ) -> Frame<'_> {
        self.frame(Cow::Borrowed(name), timestamp, FrameData::Facts(facts))
    }

    fn frame<'a>(
        &'a self,
        name: Cow<'a, str>,
        timestamp: Timestamp,
        data: FrameData<'a>,
    ) -> Frame<'a> {
        Frame {
            r#type: name,
            task_id: Cow::Borrowed(&self.id),
            // Counted by the stream, which may be about several tasks.
            sequence: 0,
            timestamp,
            data,
            cursor: self.cursors.write(&self.at),
        }
    }
}
