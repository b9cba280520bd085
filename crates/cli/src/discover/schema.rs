//! `schema`: JSON Schema 2020-12 from the very types that decode payloads and encode answers.

mod documents;
mod joined;
mod ranges;

use background_tasks_agents::{CommandAnswer, TranscriptFrame};
use background_tasks_core::Result;
use background_tasks_core::op::{Recovered, RemoveReply, TaskReply};
use background_tasks_core::request::{
    self, BatchAnswer, EventsAnswer, ListAnswer, PruneAnswer, Request, StartAnswer, TaskAnswer,
    invalid,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use self::documents::Document;
use self::ranges::TypeRanges;
use super::Skill;
use super::capabilities::Capabilities;
use super::examples::{ExamplesAnswer, ExamplesList, ExamplesShow};
use crate::agent::{AgentInstall, AgentList, AgentParse, Doctor, InstallAnswer};
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
        Command::Start => joined::start(),
        Command::Status => decoded::<request::Status>(),
        Command::List => decoded::<request::List>(),
        Command::Wait => decoded::<request::Wait>(),
        Command::Stop => decoded::<request::Stop>(),
        Command::Restart => decoded::<request::Restart>(),
        Command::Send => joined::send(),
        Command::Signal => decoded::<request::Signal>(),
        Command::Recover => decoded::<request::Recover>(),
        Command::Pause => decoded::<request::Pause>(),
        Command::Resume => decoded::<request::Resume>(),
        Command::Remove => decoded::<request::Remove>(),
        Command::Prune => decoded::<request::Prune>(),
        Command::Logs => joined::logs(),
        Command::AgentPreview => joined::agent_command(),
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
        Command::Status => joined::status_answer(),
        Command::Signal => encoded::<TaskAnswer>(),
        Command::List => encoded::<ListAnswer>(),
        Command::Wait => joined::wait_answer(),
        Command::Stop | Command::Pause | Command::Resume => encoded::<TaskReply>(),
        Command::Recover => encoded::<BatchAnswer<Recovered>>(),
        Command::Restart => encoded::<OneOrBatch<TaskAnswer>>(),
        Command::Send => joined::send_answer(),
        Command::Remove => encoded::<RemoveReply>(),
        Command::Prune => encoded::<PruneAnswer>(),
        Command::Logs => joined::logs_answer(),
        Command::AgentList => encoded::<AgentList>(),
        Command::AgentPreview => encoded::<CommandAnswer>(),
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
