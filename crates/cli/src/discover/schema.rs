//! `schema`: JSON Schema 2020-12 from the very types that decode payloads and encode answers.

use background_tasks_core::Result;
use background_tasks_core::op::{DoctorAnswer, Recovered, RemoveReply, TaskReply};
use background_tasks_core::request::{
    self, BatchAnswer, EventsAnswer, ListAnswer, LogsReply, PruneAnswer, Request, SendAnswer,
    StartAnswer, TaskAnswer, WaitAnswer, invalid,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::capabilities::Capabilities;
use super::examples::{ExamplesAnswer, ExamplesList, ExamplesShow};
use crate::command::Command;

/// Name a schema.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaShow {
    /// The command.
    name: String,
    /// Its payload or its answer; `input` when left out.
    #[serde(default)]
    part: Part,
}

/// Which side of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// The commands whose payload and answer are described by types.
const DESCRIBED: [Command; 21] = [
    Command::Start,
    Command::Status,
    Command::List,
    Command::Wait,
    Command::Stop,
    Command::Restart,
    Command::Send,
    Command::Signal,
    Command::Pause,
    Command::Resume,
    Command::Recover,
    Command::Remove,
    Command::Prune,
    Command::Logs,
    Command::Events,
    Command::Doctor,
    Command::Capabilities,
    Command::SchemaList,
    Command::SchemaShow,
    Command::ExamplesList,
    Command::ExamplesShow,
];

pub(crate) fn schema_list() -> SchemaList {
    let name = |command: Command| SchemaName {
        command: command.name(),
        schema_id: schema_id(command, Part::Input),
        output: true,
    };
    SchemaList {
        schemas: DESCRIBED.into_iter().map(name).collect(),
    }
}

pub(crate) fn schema_show(request: &SchemaShow) -> Result<SchemaAnswer> {
    let command = DESCRIBED
        .into_iter()
        .find(|command| command.name() == request.name)
        .ok_or_else(|| {
            let available: Vec<&str> = DESCRIBED.iter().map(|command| command.name()).collect();
            invalid(
                "name",
                format!("there is no schema `{}`", request.name),
                "Choose one of details.available.",
            )
            .with("available", available)
        })?;
    Ok(SchemaAnswer {
        command: command.name(),
        schema_id: schema_id(command, request.part),
        batch: command.takes_batch(),
        schema: match request.part {
            Part::Input => input_schema(command),
            Part::Output => output_schema(command),
        },
    })
}

fn schema_id(command: Command, part: Part) -> String {
    let part = match part {
        Part::Input => "input",
        Part::Output => "output",
    };
    format!(
        "background-tasks.{}.{part}/v1",
        command.name().replace(' ', ".")
    )
}

fn input_schema(command: Command) -> Schema {
    match command {
        Command::Start => decoded::<request::Start>(),
        Command::Status => decoded::<request::Status>(),
        Command::List => decoded::<request::List>(),
        Command::Wait => decoded::<request::Wait>(),
        Command::Stop => decoded::<request::Stop>(),
        Command::Restart => decoded::<request::Restart>(),
        Command::Send => decoded::<request::Send>(),
        Command::Signal => decoded::<request::Signal>(),
        Command::Recover => decoded::<request::Recover>(),
        Command::Pause => decoded::<request::Pause>(),
        Command::Resume => decoded::<request::Resume>(),
        Command::Remove => decoded::<request::Remove>(),
        Command::Prune => decoded::<request::Prune>(),
        Command::Logs => decoded::<request::Logs>(),
        Command::Events => decoded::<request::Events>(),
        Command::SchemaShow => decoded::<SchemaShow>(),
        Command::ExamplesShow => decoded::<ExamplesShow>(),
        _ => decoded::<Nothing>(),
    }
}

fn output_schema(command: Command) -> Schema {
    match command {
        Command::Start => encoded::<OneOrBatch<StartAnswer>>(),
        Command::Status | Command::Signal => encoded::<TaskAnswer>(),
        Command::List => encoded::<ListAnswer>(),
        Command::Wait => encoded::<WaitAnswer>(),
        Command::Stop | Command::Pause | Command::Resume => encoded::<TaskReply>(),
        Command::Recover => encoded::<BatchAnswer<Recovered>>(),
        Command::Restart => encoded::<OneOrBatch<TaskAnswer>>(),
        Command::Send => encoded::<SendAnswer>(),
        Command::Remove => encoded::<RemoveReply>(),
        Command::Prune => encoded::<PruneAnswer>(),
        Command::Logs => encoded::<LogsReply>(),
        Command::Events => encoded::<EventsAnswer>(),
        Command::Capabilities => encoded::<Capabilities>(),
        Command::SchemaList => encoded::<SchemaList>(),
        Command::SchemaShow => encoded::<SchemaAnswer>(),
        Command::ExamplesList => encoded::<ExamplesList>(),
        Command::ExamplesShow => encoded::<ExamplesAnswer>(),
        _ => encoded::<DoctorAnswer>(),
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
        .into_generator()
        .into_root_schema_for::<T>()
}

fn encoded<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}
