//! What the program offers for coding agents, beside the commands that they share with other tasks.

use std::io::{self, BufWriter, Read, Write};

use background_tasks_agents::{
    self as agents, Installed, Installer, Provider, ProviderFacts, Surroundings, Transcript,
    TranscriptFrame,
};
use background_tasks_core::op::{self, DoctorAnswer};
use background_tasks_core::request::{Request, WaitAnswer};
use background_tasks_core::task::Task;
use background_tasks_core::{Client, Deadline, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `agent list` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AgentList {
    /// Every provider.
    providers: Vec<ProviderFacts>,
}

pub(crate) fn list() -> AgentList {
    AgentList {
        providers: agents::list(&Surroundings::of_this_process()),
    }
}

/// What `doctor` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Doctor {
    #[serde(flatten)]
    host: DoctorAnswer,
    /// Which coding agents could be run.
    agents: Vec<ProviderFacts>,
}

pub(crate) fn doctor(client: &Client) -> Doctor {
    Doctor {
        host: op::doctor(client),
        agents: list().providers,
    }
}

/// Read what a coding agent's CLI has printed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentParse {
    /// Whose lines stand on standard input.
    provider: Provider,
    /// What else is told.
    #[serde(default)]
    #[schemars(extend("default" = []), extend("examples" = [["thinking"]]))]
    include: Vec<ParseInclude>,
}

/// What else is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ParseInclude {
    /// What the agent thinks.
    Thinking,
    /// The line that an event was made of, as `raw` in its data.
    Raw,
}

impl Request for AgentParse {
    const COMMAND: &'static str = "agent parse";
}

/// Prints what the lines on standard input say, a frame each.
pub(crate) fn parse(request: &AgentParse) -> io::Result<()> {
    let includes = |what| request.include.contains(&what);
    let include = agents::Include {
        thinking: includes(ParseInclude::Thinking),
        raw: includes(ParseInclude::Raw),
    };
    let mut transcript = Transcript::new(request.provider, include);
    let mut output = BufWriter::with_capacity(32 << 10, io::stdout().lock());
    let mut problem = None;
    let mut print = |frame: TranscriptFrame| {
        let printed = serde_json::to_writer(&mut output, &frame)
            .map_err(io::Error::from)
            .and_then(|()| output.write_all(b"\n"));
        if let Err(error) = printed {
            problem.get_or_insert(error);
        }
    };
    let mut input = io::stdin().lock();
    let mut block = vec![0; 64 << 10];
    loop {
        match input.read(&mut block) {
            Ok(0) => break,
            Ok(length) => transcript.feed(&block[..length], &mut print),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    transcript.finish(&mut print);
    problem.map_or(Ok(()), Err)?;
    output.flush()
}

/// Install the CLI of a coding agent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentInstall {
    /// Whose.
    provider: Provider,
    /// Only show what would be run.
    #[serde(default, alias = "dryRun")]
    dry_run: bool,
}

impl Request for AgentInstall {
    const COMMAND: &'static str = "agent install";
}

/// What `agent install` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstallAnswer {
    /// Whose.
    provider: Provider,
    /// What its makers say installs it, as it would be typed.
    command: String,
    /// What became of it; `null` when it was only shown.
    installed: Option<Installed>,
}

pub(crate) fn install(request: &AgentInstall, deadline: Deadline) -> Result<InstallAnswer> {
    let surroundings = Surroundings::of_this_process();
    let provider = request.provider;
    let installer: Installer = provider.installer(&surroundings)?;
    let command = installer.command_line();
    let installed = match request.dry_run {
        true => None,
        false => Some(installer.run(provider, &surroundings, deadline)?),
    };
    Ok(InstallAnswer {
        provider,
        command,
        installed,
    })
}

/// An answer about one task, with how its conversation stands.
#[derive(Debug, Serialize)]
pub(crate) struct WithAgent<T> {
    #[serde(flatten)]
    answer: T,
    /// Of an agent's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Value>,
}

impl<T> WithAgent<T> {
    /// Adds how the conversation of the task stands; what cannot be read of it is left out.
    pub(crate) fn new(client: &Client, mut answer: T, task: fn(&mut T) -> &mut Task) -> Self {
        let task = task(&mut answer);
        let _ = agents::describe(client, task);
        let agent = task.agent.clone();
        Self { answer, agent }
    }
}

impl WithAgent<WaitAnswer> {
    /// The same for a wait, which may be about several tasks.
    pub(crate) fn of(client: &Client, mut answer: WaitAnswer) -> Self {
        let agent = task_of(&mut answer).and_then(|task| {
            let _ = agents::describe(client, task);
            task.agent.clone()
        });
        Self { answer, agent }
    }
}

/// The one task of an answer, if it is about one.
pub(crate) fn task_of(answer: &mut WaitAnswer) -> Option<&mut Task> {
    match answer {
        WaitAnswer::One { answer, .. } => Some(&mut answer.task),
        WaitAnswer::Many(_) => None,
    }
}
