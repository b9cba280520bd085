//! Schemas of payloads and answers that coding agents share with other tasks.

use background_tasks_agents::{AgentStart, AgentStatus, SendPrompt, TextAnswer};
use background_tasks_core::request::{self, LogsReply, SendAnswer, TaskAnswer, WaitAnswer};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::{decoded, encoded};

/// A command or an agent.
pub(super) fn start() -> Schema {
    with_field::<request::Start, AgentStart>("agent")
}

/// Bytes or a prompt.
pub(super) fn send() -> Schema {
    with_field::<request::Send, SendPrompt>("prompt")
}

/// Lines, or a conversation as text.
pub(super) fn logs() -> Schema {
    let mut schema = decoded::<request::Logs>();
    let text = json!({
        "const": "text",
        "description": "Of a coding agent: the conversation as a person would read it; only `id` and `lines` go with it."
    });
    if let Some(Value::Array(views)) = schema.pointer_mut("/$defs/View/oneOf") {
        views.push(text);
    }
    schema
}

/// What `start` takes, or what its `agent` holds.
pub(super) fn agent_command() -> Schema {
    let mut start = start();
    let mut schema = Schema::default();
    let fields = schema.ensure_object();
    for name in ["$schema", "$defs"] {
        fields.extend(start.remove(name).map(|value| (name.to_owned(), value)));
    }
    schema.insert("title".to_owned(), "AgentCommandRequest".into());
    schema.insert(
        "description".to_owned(),
        "Show what start would execute for a coding agent.".into(),
    );
    schema.insert("type".to_owned(), "object".into());
    let forms = json!([start, { "$ref": "#/$defs/AgentRequest" }]);
    schema.insert("anyOf".to_owned(), forms);
    schema
}

/// An answer about one task, that of an agent's with how its conversation stands.
pub(super) fn status_answer() -> Schema {
    with_agent(encoded::<TaskAnswer>())
}

/// The same for a wait.
pub(super) fn wait_answer() -> Schema {
    with_agent(encoded::<WaitAnswer>())
}

/// The same, where a prompt was sent.
pub(super) fn send_answer() -> Schema {
    with_agent(encoded::<Either<SendAnswer, TaskAnswer>>())
}

/// Lines, or a conversation as text.
pub(super) fn logs_answer() -> Schema {
    encoded::<Either<LogsReply, TextAnswer>>()
}

/// Describes an answer whose form depends on what was asked.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(title = "answer", rename = "EitherAnswer")]
#[allow(dead_code, reason = "a shape for the schema")]
enum Either<A, B> {
    One(A),
    Other(B),
}

/// The schema of a payload that may hold a field of another one instead of some of its own.
fn with_field<T: JsonSchema, Other: JsonSchema>(name: &str) -> Schema {
    let mut schema = decoded::<T>();
    let mut other = decoded::<Other>();
    let field = other.pointer_mut(&format!("/properties/{name}"));
    if let (Some(field), Some(Value::Object(ours))) = (field, schema.get_mut("properties")) {
        ours.insert(name.to_owned(), field.take());
    }
    define(&mut schema, other.remove("$defs"));
    schema
}

/// Adds an agent's own field to every form of an answer that is about one task.
fn with_agent(mut schema: Schema) -> Schema {
    let field = json!({
        "$ref": "#/$defs/AgentStatus",
        "description": "How the conversation stands; only of an agent's task.",
    });
    for form in ["", "/anyOf/0", "/$defs/TaskAnswer"] {
        let fields = schema.pointer_mut(&format!("{form}/properties"));
        if let Some(Value::Object(fields)) = fields.filter(|it| it.get("task").is_some()) {
            fields.insert("agent".to_owned(), field.clone());
        }
    }
    let mut status = encoded::<AgentStatus>();
    define(&mut schema, status.remove("$defs"));
    status.remove("$schema");
    define(&mut schema, Some(json!({ "AgentStatus": status })));
    schema
}

/// Adds what a schema refers to.
fn define(schema: &mut Schema, definitions: Option<Value>) {
    let ours = schema.ensure_object().entry("$defs");
    if let (Value::Object(ours), Some(Value::Object(more))) =
        (ours.or_insert_with(|| json!({})), definitions)
    {
        ours.extend(more);
    }
}
