//! `schema`: JSON Schema 2020-12 from the very types that decode payloads and encode answers.

mod documents;
mod ranges;

use background_tasks_agents::{
    AgentStart, CommandAnswer, CommandAsked, SendPrompt, TextAnswer, TranscriptFrame,
};
use background_tasks_core::Result;
use background_tasks_core::op::{Recovered, RemoveReply, TaskReply};
use background_tasks_core::request::{
    self, BatchAnswer, EventsAnswer, ListAnswer, LogsReply, PruneAnswer, Request, SendAnswer,
    StartAnswer, TaskAnswer, WaitAnswer, invalid,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::documents::Document;
use self::ranges::TypeRanges;
use super::Skill;
use super::capabilities::Capabilities;
use super::examples::{ExamplesAnswer, ExamplesList, ExamplesShow};
use crate::agent::{AgentInstall, AgentList, AgentParse, Doctor, InstallAnswer, WithAgent};
use crate::command::Command;

/// Name a schema.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaShow {
    /// The command; or `envelope`, `error` or `frame`.
    #[schemars(extend("examples" = [Command::Start.name()]))]
    name: String,
    /// Its payload or its answer.
    #[serde(default)]
    part: Part,
}

/// Which side of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// What it takes.
    #[default]
    Input,
    /// What it answers, as `data` in the envelope.
    Output,
}

impl Request for SchemaShow {
    const COMMAND: &'static str = "schema show";
}

/// What `schema list` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SchemaList {
    /// One for each command.
    schemas: Vec<SchemaName>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SchemaName {
    /// The command.
    command: &'static str,
    /// That of its payload.
    schema_id: String,
    /// Whether its answer has a schema as well.
    output: bool,
}

/// What `schema show` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SchemaAnswer {
    /// The command.
    command: &'static str,
    /// Its name, for as long as the schema stays compatible.
    schema_id: String,
    /// Whether an array of such payloads is taken as well (and answered as a batch).
    batch: bool,
    /// JSON Schema 2020-12.
    schema: Schema,
}

pub(crate) fn schema_list() -> SchemaList {
    let name = |command: Command| SchemaName {
        command: command.name(),
        schema_id: schema_id(command.name(), Part::Input),
        output: true,
    };
    let document = |document: Document| SchemaName {
        command: document.name(),
        schema_id: schema_id(document.name(), Part::Output),
        output: true,
    };
    let commands = Command::ALL.into_iter().map(name);
    SchemaList {
        schemas: commands
            .chain(Document::ALL.into_iter().map(document))
            .collect(),
    }
}

pub(crate) fn schema_show(request: &SchemaShow) -> Result<SchemaAnswer> {
    let named = |document: &Document| document.name() == request.name;
    if let Some(document) = Document::ALL.into_iter().find(named) {
        return Ok(SchemaAnswer {
            command: document.name(),
            schema_id: schema_id(document.name(), Part::Output),
            batch: false,
            schema: document.schema(),
        });
    }
    let command = Command::ALL
        .into_iter()
        .find(|command| command.name() == request.name)
        .ok_or_else(|| {
            let commands = Command::ALL.iter().map(|command| command.name());
            let documents = Document::ALL.iter().map(|document| document.name());
            let available: Vec<&str> = commands.chain(documents).collect();
            invalid(
                "name",
                format!("there is no schema `{}`", request.name),
                "Choose one of details.available.",
            )
            .with("available", available)
        })?;
    Ok(SchemaAnswer {
        command: command.name(),
        schema_id: schema_id(command.name(), request.part),
        batch: command.takes_batch(),
        schema: match request.part {
            Part::Input => input_schema(command),
            Part::Output => output_schema(command),
        },
    })
}

fn schema_id(name: &str, part: Part) -> String {
    let part = match part {
        Part::Input => "input",
        Part::Output => "output",
    };
    format!("background-tasks.{}.{part}/v1", name.replace(' ', "."))
}

fn input_schema(command: Command) -> Schema {
    match command {
        Command::Start => with_field::<request::Start, AgentStart>(&["agent"]),
        Command::Status => decoded::<request::Status>(),
        Command::List => decoded::<request::List>(),
        Command::Wait => decoded::<request::Wait>(),
        Command::Stop => decoded::<request::Stop>(),
        Command::Restart => decoded::<request::Restart>(),
        Command::Send => with_field::<request::Send, SendPrompt>(&["prompt"]),
        Command::Signal => decoded::<request::Signal>(),
        Command::Recover => decoded::<request::Recover>(),
        Command::Pause => decoded::<request::Pause>(),
        Command::Resume => decoded::<request::Resume>(),
        Command::Remove => decoded::<request::Remove>(),
        Command::Prune => decoded::<request::Prune>(),
        Command::Logs => with_text_view(decoded::<request::Logs>()),
        Command::AgentCommand => decoded::<CommandAsked>(),
        Command::AgentParse => decoded::<AgentParse>(),
        Command::AgentInstall => decoded::<AgentInstall>(),
        Command::Events => decoded::<request::Events>(),
        Command::SchemaShow => decoded::<SchemaShow>(),
        Command::ExamplesShow => decoded::<ExamplesShow>(),
        _ => decoded::<Nothing>(),
    }
}

fn output_schema(command: Command) -> Schema {
    match command {
        Command::Start => encoded::<OneOrBatch<StartAnswer>>(),
        Command::Status => encoded::<WithAgent<TaskAnswer>>(),
        Command::Signal => encoded::<TaskAnswer>(),
        Command::List => encoded::<ListAnswer>(),
        Command::Wait => encoded::<WithAgent<WaitAnswer>>(),
        Command::Stop | Command::Pause | Command::Resume => encoded::<TaskReply>(),
        Command::Recover => encoded::<BatchAnswer<Recovered>>(),
        Command::Restart => encoded::<OneOrBatch<TaskAnswer>>(),
        Command::Send => encoded::<Either<SendAnswer, WithAgent<TaskAnswer>>>(),
        Command::Remove => encoded::<RemoveReply>(),
        Command::Prune => encoded::<PruneAnswer>(),
        Command::Logs => encoded::<Either<LogsReply, TextAnswer>>(),
        Command::AgentList => encoded::<AgentList>(),
        Command::AgentCommand => encoded::<CommandAnswer>(),
        Command::AgentParse => encoded::<TranscriptFrame>(),
        Command::AgentInstall => encoded::<InstallAnswer>(),
        Command::Events => encoded::<EventsAnswer>(),
        Command::Capabilities => encoded::<Capabilities>(),
        Command::SchemaList => encoded::<SchemaList>(),
        Command::SchemaShow => encoded::<SchemaAnswer>(),
        Command::ExamplesList => encoded::<ExamplesList>(),
        Command::ExamplesShow => encoded::<ExamplesAnswer>(),
        Command::Doctor => encoded::<Doctor>(),
        Command::Skill => encoded::<Skill>(),
    }
}

/// A command that takes nothing.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Nothing {}

/// Describes an answer that is about one task or a batch of them.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(title = "answer", rename = "Answer")]
#[allow(dead_code, reason = "a shape for the schema")]
enum OneOrBatch<T> {
    /// One.
    One(T),
    /// For an array.
    Batch(BatchAnswer<T>),
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

/// The schema of a payload that may hold fields of another one instead of some of its own.
fn with_field<T: JsonSchema, Other: JsonSchema>(fields: &[&str]) -> Schema {
    let mut schema = decoded::<T>();
    let mut other = decoded::<Other>();
    for name in ["properties", "$defs"] {
        let Some(Value::Object(theirs)) = other.remove(name) else {
            continue;
        };
        let ours = schema.ensure_object().entry(name);
        let Value::Object(ours) = ours.or_insert_with(|| Map::new().into()) else {
            continue;
        };
        let is_wanted = |key: &String| name != "properties" || fields.contains(&key.as_str());
        ours.extend(theirs.into_iter().filter(|(key, _)| is_wanted(key)));
    }
    schema
}

/// The schema of `logs`, whose view may also be that of a conversation.
fn with_text_view(mut schema: Schema) -> Schema {
    let text = serde_json::json!({
        "const": "text",
        "description": "Of a coding agent: the conversation as a person would read it; only `id` and `lines` go with it."
    });
    if let Some(Value::Array(views)) = schema.pointer_mut("/$defs/View/oneOf") {
        views.push(text);
    }
    schema
}

fn decoded<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(TypeRanges)
        .into_generator()
        .into_root_schema_for::<T>()
}

fn encoded<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}
