//! `examples`: payloads that work, served from `examples/*.json`.

use background_tasks_core::Result;
use background_tasks_core::request::{Request, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Command;

/// Name a command, or an example.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExamplesShow {
    /// The command, or the example.
    #[schemars(extend("examples" = [Command::Start.name()]))]
    name: String,
}

impl Request for ExamplesShow {
    const COMMAND: &'static str = "examples show";
}

/// The files, by name. A test compares the list with the folder.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../examples/", $name, ".json")))),*]
    };
}

const FILES: [(&str, &str); 57] = files![
    "start-shell",
    "start-command",
    "start-dev-server",
    "start-several",
    "start-separate-stderr",
    "start-restart",
    "start-open-stdin",
    "start-pty",
    "start-with-health",
    "start-watch",
    "start-limits",
    "start-queued",
    "start-stack",
    "start-with-hook",
    "start-agent",
    "start-claude",
    "status-one",
    "list-running",
    "wait-one",
    "wait-any",
    "wait-until-line",
    "wait-until-ready",
    "stop-one",
    "stop-by-tag",
    "restart-one",
    "send-line",
    "send-last-bytes",
    "send-prompt",
    "signal-reload",
    "pause-one",
    "resume-session",
    "recover-all",
    "remove-one",
    "remove-session",
    "prune-old",
    "prune-look-first",
    "logs-tail",
    "logs-head-and-tail",
    "logs-grep",
    "logs-since",
    "logs-stderr",
    "logs-as-text",
    "events-tail",
    "events-of-a-tag",
    "events-of-an-agent",
    "agent-list-all",
    "agent-command-codex",
    "agent-parse-claude",
    "agent-install-look-first",
    "doctor-this-host",
    "capabilities-of-this-build",
    "schema-list-all",
    "schema-show-payload",
    "schema-show-answer",
    "examples-list-all",
    "examples-show-start",
    "skill-for-an-agent",
];

/// One file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Example {
    /// What it is an example of.
    command: String,
    /// What it does, in a few words.
    title: String,
    /// When that is of use.
    description: String,
    /// Flags that go with it.
    flags: Vec<String>,
    /// What to give the command.
    payload: Value,
}

/// What `examples list` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExamplesList {
    examples: Vec<ExampleName>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ExampleName {
    name: &'static str,
    command: String,
    title: String,
}

/// What `examples show` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExamplesAnswer {
    command: String,
    examples: Vec<NamedExample>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NamedExample {
    name: &'static str,
    #[serde(flatten)]
    example: Example,
}

fn all() -> impl Iterator<Item = (&'static str, Example)> {
    FILES
        .into_iter()
        .filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?)))
}

/// A command line of one example of a command, if there is any.
pub(crate) fn example_line(command: &str) -> Option<String> {
    let (_, example) = all().find(|(_, example)| example.command == command)?;
    let payload = example.payload.to_string().replace('\'', "'\\''");
    let flags = example
        .flags
        .iter()
        .fold(String::new(), |all, flag| all + " " + flag);
    Some(format!("background-tasks {command} '{payload}'{flags}"))
}

pub(crate) fn examples_list() -> ExamplesList {
    let name = |(name, example): (&'static str, Example)| ExampleName {
        name,
        command: example.command,
        title: example.title,
    };
    ExamplesList {
        examples: all().map(name).collect(),
    }
}

pub(crate) fn examples_show(request: &ExamplesShow) -> Result<ExamplesAnswer> {
    let examples: Vec<_> = all()
        .filter(|(name, example)| example.command == request.name || *name == request.name)
        .map(|(name, example)| NamedExample { name, example })
        .collect();
    let Some(first) = examples.first() else {
        let mut available: Vec<String> = all().map(|(_, example)| example.command).collect();
        available.dedup();
        available.extend(all().map(|(name, _)| name.to_owned()));
        let problem = format!("there are no examples for `{}`", request.name);
        return Err(invalid("name", problem, "Choose one of details.available.")
            .with("available", available));
    };
    Ok(ExamplesAnswer {
        command: first.example.command.clone(),
        examples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_list_is_the_folder_and_every_file_is_an_example() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let mut listed: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        there.sort();
        listed.sort();
        assert_eq!(listed, there);
        assert_eq!(all().count(), FILES.len());
        for (name, example) in all() {
            assert!(
                name.starts_with(&example.command.replace(' ', "-")),
                "{name}"
            );
        }
    }
}
