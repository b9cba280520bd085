//! Programs without a daemon: this one, and agent-exec.

use std::process::Command;

use serde_json::{Value, json};

use super::super::Setup;
use super::tool::{End, Place, Tool};
use crate::Result;

/// This program.
pub struct Ours {
    place: Place,
    name: String,
}

impl Ours {
    /// The binary under test.
    pub fn new(setup: &Setup) -> Result<Self> {
        let place = Place::new(setup, setup.binary.clone())?;
        let answer: Value = serde_json::from_str(&place.version("--version"))?;
        let name = format!("background-tasks {}", text(&answer, "/data/version")?);
        Ok(Self { place, name })
    }

    fn ask(&self, verb: &str, payload: &Value) -> Command {
        let mut command = self.place.command();
        command.env("BACKGROUND_TASKS_HOME", self.place.folder.join("home"));
        command.arg(verb).arg(payload.to_string());
        command
    }
}

impl Tool for Ours {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, argv: &[&str]) -> Command {
        self.ask("start", &json!({"command": argv[0], "args": argv[1..]}))
    }

    fn id(&self, printed: &str) -> Result<String> {
        text(&serde_json::from_str(printed)?, "/data/task/id")
    }

    fn wait(&self, id: &str) -> Option<Command> {
        Some(self.ask("wait", &json!({ "id": id })))
    }

    fn status(&self, id: &str) -> Command {
        self.ask("status", &json!({ "id": id }))
    }

    fn tells(&self, status: &str, end: End) -> bool {
        let answer: Value = serde_json::from_str(status).unwrap_or_default();
        let task = &answer["data"]["task"];
        match end {
            End::Exit7 => task["exit_code"] == 7,
            End::Killed => task["signal"] == "SIGKILL",
        }
    }

    fn list(&self) -> Command {
        self.ask("list", &json!({"limit": 100_000}))
    }

    fn stop(&self, id: &str) -> Command {
        self.ask("stop", &json!({ "id": id }))
    }
}

/// `agent-exec`: a supervisor for each job, as here.
pub struct AgentExec {
    place: Place,
    name: String,
}

impl AgentExec {
    /// Where it is installed.
    pub fn find(setup: &Setup) -> Result<Option<Self>> {
        Ok(Place::of_program(setup, "agent-exec")?.map(|place| {
            let name = place.version("--version");
            Self { place, name }
        }))
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = self.place.command();
        command.env("AGENT_EXEC_ROOT", self.place.folder.join("jobs"));
        command.current_dir(&self.place.folder).args(words);
        command
    }
}

impl Tool for AgentExec {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, argv: &[&str]) -> Command {
        let mut command = self.call(&["run", "--no-wait", "--"]);
        command.args(argv);
        command
    }

    fn id(&self, printed: &str) -> Result<String> {
        text(&serde_json::from_str(printed)?, "/job_id")
    }

    fn wait(&self, id: &str) -> Option<Command> {
        Some(self.call(&["wait", "--forever", id]))
    }

    fn status(&self, id: &str) -> Command {
        self.call(&["status", id])
    }

    fn tells(&self, status: &str, end: End) -> bool {
        let answer: Value = serde_json::from_str(status).unwrap_or_default();
        match end {
            End::Exit7 => answer["exit_code"] == 7,
            End::Killed => !answer["signal"].is_null() || answer["exit_code"] == 137,
        }
    }

    fn list(&self) -> Command {
        self.call(&["list", "--limit", "0"])
    }

    fn stop(&self, id: &str) -> Command {
        self.call(&["kill", id])
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    let text = text.ok_or_else(|| format!("no {pointer} in {answer}"))?;
    Ok(text.to_owned())
}
