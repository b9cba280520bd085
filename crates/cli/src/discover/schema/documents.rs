//! What is no command's payload or answer, but is printed all the same.

use background_tasks_agents::AgentEvent;
use background_tasks_core::event::{EventData, LineData, StreamName};
use background_tasks_core::task::{Task, TaskId, TaskStatus};
use background_tasks_core::{ErrorKind, Timestamp};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::encoded;

/// A document that is not a command's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Envelope,
    Error,
    Frame,
}

impl Document {
    pub(super) const ALL: [Document; 3] = [Self::Envelope, Self::Error, Self::Frame];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Error => "error",
            Self::Frame => "frame",
        }
    }

    pub(super) fn schema(self) -> Schema {
        match self {
            Self::Envelope => encoded::<Envelope>(),
            Self::Error => encoded::<Failure>(),
            Self::Frame => frame(),
        }
    }
}

/// What an agent's frames hold beside what its provider told is added by whoever makes them.
fn frame() -> Schema {
    let mut schema = encoded::<Frame>();
    let events = schema.pointer_mut("/$defs/AgentEvent/oneOf");
    for event in events.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(Value::Object(fields)) = event.pointer_mut("/properties/data/properties") else {
            continue;
        };
        let run = json!({
            "description": "Which run of the conversation, from 1.",
            "type": "integer",
            "minimum": 1,
        });
        let raw = json!({
            "description": "The line that it was told of, with `raw` in `include`.",
            "type": "string",
        });
        fields.extend([("run".to_owned(), run), ("raw".to_owned(), raw)]);
        if let Some(Value::Array(required)) = event.pointer_mut("/properties/data/required") {
            required.push("run".into());
        }
    }
    schema
}

/// What a command prints: one of these, on one line where it is piped.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(title = "envelope", rename = "Envelope")]
#[allow(dead_code, reason = "a shape for the schema")]
enum Envelope {
    /// On standard output.
    Success {
        /// `true`.
        #[schemars(extend("const" = true))]
        ok: bool,
        /// The command.
        command: String,
        /// Its answer; see its own schema.
        data: Value,
    },
    /// On standard error, with exit status 1.
    Failure {
        /// `false`.
        #[schemars(extend("const" = false))]
        ok: bool,
        /// The command.
        command: String,
        /// What went wrong.
        error: Failure,
    },
}

/// What went wrong, to what, and what to do next.
#[derive(JsonSchema, Serialize)]
#[schemars(title = "error", rename = "Error")]
struct Failure {
    /// What kind of thing.
    r#type: ErrorKind,
    /// The same for people.
    message: String,
    /// The facts.
    details: Details,
}

/// The facts of an error. Which there are depends on its type.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ErrorDetails")]
struct Details {
    /// What to do next.
    hint: String,
    /// Whether the same call may succeed later without anything being mended.
    retryable: bool,
    /// More, such as `id`, `field`, `task`, `logs`, `cursor`.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// One thing that happened: a line of `--stream` and `--follow`, an item of `frames`.
#[derive(JsonSchema, Serialize)]
#[schemars(title = "frame", rename = "Frame")]
struct Frame {
    /// The task.
    task_id: TaskId,
    /// Counts up by one from 0 within the stream.
    sequence: u64,
    /// When it happened.
    timestamp: Timestamp,
    /// Where a reader of this frame stands in the task's history.
    cursor: String,
    /// What happened.
    #[serde(flatten)]
    what: What,
}

#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the schema")]
enum What {
    Lifecycle(EventData),
    Reading(Reading),
    Agent(AgentEvent),
}

/// What a reader is told besides lifecycle events.
#[derive(JsonSchema, Serialize)]
#[serde(tag = "type", content = "data")]
#[allow(dead_code, reason = "a shape for the schema")]
enum Reading {
    /// The task as it is now.
    #[serde(rename = "task.status.snapshot")]
    Snapshot {
        /// The task's id.
        task_id: TaskId,
        /// Where it stands.
        status: TaskStatus,
        /// All of it.
        task: Box<Task>,
    },
    /// A line of a log.
    #[serde(rename = "task.log.line")]
    Line(LineData<'static>),
    /// What would come next has been freed.
    #[serde(rename = "task.log.truncated")]
    Truncated {
        /// How many bytes of it.
        truncated_bytes: u64,
        /// Of which log.
        stream: StreamName,
    },
    /// The lines of a task's log follow.
    #[serde(rename = "task.logs.started")]
    LogsStarted {
        /// The task.
        task_id: TaskId,
        /// How many lines there are.
        total_lines: u64,
    },
    /// That were the lines of a task's log.
    #[serde(rename = "task.logs.completed")]
    LogsCompleted {
        /// The task.
        task_id: TaskId,
        /// How many lines were given.
        shown_lines: u64,
    },
}
