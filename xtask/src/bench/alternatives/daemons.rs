//! Programs whose daemon keeps the jobs.

use std::cell::Cell;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::Setup;
use super::tool::{End, Place, Tool, quietly};
use crate::{Result, command};

/// Nobody has to wait for a place.
const SLOTS: &str = "100000";

/// `pueue`, by its daemon `pueued`.
pub struct Pueue {
    place: Place,
    name: String,
}

impl Pueue {
    /// Where it is installed; its daemon is started.
    pub fn find(setup: &Setup) -> Result<Option<Self>> {
        let Some(place) = Place::of_program(setup, "pueue")? else {
            return Ok(None);
        };
        let state = place.folder.join("state");
        fs::create_dir_all(&state)?;
        let state = state.display();
        let settings = format!(
            "shared:\n  pueue_directory: {state}\n  runtime_directory: {state}\n  use_unix_socket: true\n\
             daemon: {{}}\nclient: {{}}\n"
        );
        fs::write(place.folder.join("pueue.yml"), settings)?;
        let name = place.version("--version");
        let tool = Self { place, name };
        let mut daemon = tool.place.other("pueued");
        daemon.current_dir(&tool.place.folder);
        quietly(daemon.args(["-c", "pueue.yml", "-d"]))?;
        // Its daemon is not there yet when the call returns that starts it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(problem) = quietly(&mut tool.call(&["parallel", SLOTS])) {
            if Instant::now() > deadline {
                return Err(problem);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(tool))
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = self.place.command();
        command.current_dir(&self.place.folder);
        command.args(["-c", "pueue.yml"]).args(words);
        command
    }
}

impl Tool for Pueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, argv: &[&str]) -> Command {
        let mut command = self.call(&["add", "--print-task-id", "--escape", "--"]);
        command.args(argv);
        command
    }

    fn id(&self, printed: &str) -> Result<String> {
        number(printed)
    }

    fn wait(&self, id: &str) -> Option<Command> {
        Some(self.call(&["wait", "--quiet", id]))
    }

    fn status(&self, _id: &str) -> Command {
        self.call(&["status", "--json"])
    }

    fn tells(&self, status: &str, end: End) -> bool {
        // It has no answer about one task; the last one is meant.
        let answer: Value = serde_json::from_str(status).unwrap_or_default();
        let tasks = answer["tasks"].as_object().into_iter().flatten();
        let last = tasks.max_by_key(|(id, _)| id.parse::<u64>().unwrap_or(0));
        let result = last.map_or(Value::Null, |(_, task)| {
            task["status"]["Done"]["result"].clone()
        });
        match end {
            End::Exit7 => result["Failed"] == 7,
            End::Killed => result["Failed"] == 137 || result["Failed"] == 9,
        }
    }

    fn list(&self) -> Command {
        self.call(&["status", "--json"])
    }

    fn stop(&self, id: &str) -> Command {
        self.call(&["kill", id])
    }

    fn shut_down(&self) -> Option<Command> {
        Some(self.call(&["shutdown"]))
    }
}

/// `tsp`, the task spooler.
pub struct Spooler {
    place: Place,
    name: String,
}

impl Spooler {
    /// Where it is installed; its server begins with the first call.
    pub fn find(setup: &Setup) -> Result<Option<Self>> {
        let Some(place) = Place::of_program(setup, "tsp")? else {
            return Ok(None);
        };
        let version = place.version("-V");
        let version = version.split(" - ").next().unwrap_or_default();
        let name = version.replace("Task Spooler", "task-spooler");
        let tool = Self { place, name };
        quietly(&mut tool.call(&["-S", SLOTS]))?;
        Ok(Some(tool))
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = self.place.command();
        command.env("TMPDIR", &self.place.folder);
        command
            .env("TS_MAXFINISHED", SLOTS)
            .env("TS_MAXCONN", "1000");
        command.args(words);
        command
    }
}

impl Tool for Spooler {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, argv: &[&str]) -> Command {
        self.call(argv)
    }

    fn id(&self, printed: &str) -> Result<String> {
        number(printed)
    }

    fn wait(&self, id: &str) -> Option<Command> {
        Some(self.call(&["-w", id]))
    }

    fn status(&self, id: &str) -> Command {
        self.call(&["-i", id])
    }

    fn tells(&self, status: &str, end: End) -> bool {
        match end {
            End::Exit7 => status.contains("exit code 7"),
            End::Killed => status.contains("killed by signal 9"),
        }
    }

    fn list(&self) -> Command {
        self.call(&["-l"])
    }

    fn stop(&self, id: &str) -> Command {
        self.call(&["-k", id])
    }

    fn shut_down(&self) -> Option<Command> {
        Some(self.call(&["-K"]))
    }
}

/// `pm2`, the process manager for node.
pub struct Pm2 {
    place: Place,
    name: String,
    started: Cell<usize>,
}

impl Pm2 {
    /// Where it is installed; its daemon is started.
    pub fn find(setup: &Setup) -> Result<Option<Self>> {
        let Some(place) = Place::of_program(setup, "pm2")? else {
            return Ok(None);
        };
        let tool = Self {
            place,
            name: String::new(),
            started: Cell::new(0),
        };
        quietly(&mut tool.call(&["ping"]))?;
        let version = command::output(&mut tool.call(&["--version"]))?;
        let name = format!("pm2 {}", String::from_utf8_lossy(&version).trim());
        Ok(Some(Self { name, ..tool }))
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = self.place.command();
        command.env("PM2_HOME", self.place.folder.join("pm2"));
        command.current_dir(&self.place.folder).args(words);
        command
    }
}

impl Tool for Pm2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, argv: &[&str]) -> Command {
        self.started.set(self.started.get() + 1);
        let name = format!("job-{}", self.started.get());
        let program = command::find(argv[0]).unwrap_or_else(|| argv[0].into());
        let mut command = self.call(&["start"]);
        command.arg(program);
        command.args(["--interpreter", "none", "--no-autorestart"]);
        command.args(["--name", &name]);
        // It takes a `--` with nothing behind it for the name of a file.
        if argv.len() > 1 {
            command.arg("--").args(&argv[1..]);
        }
        command
    }

    fn id(&self, _printed: &str) -> Result<String> {
        Ok(format!("job-{}", self.started.get()))
    }

    fn wait(&self, _id: &str) -> Option<Command> {
        None
    }

    fn status(&self, _id: &str) -> Command {
        self.call(&["jlist"])
    }

    fn tells(&self, status: &str, end: End) -> bool {
        // The last one is meant.
        let answer: Value = serde_json::from_str(status).unwrap_or_default();
        let last = answer.as_array().and_then(|all| all.last()).cloned();
        let environment = last.map_or(Value::Null, |mut job| job["pm2_env"].take());
        match end {
            End::Exit7 => environment["exit_code"] == 7,
            End::Killed => environment["exit_code"] == 137 || environment["signal"] == "SIGKILL",
        }
    }

    fn list(&self) -> Command {
        self.call(&["jlist"])
    }

    fn stop(&self, id: &str) -> Command {
        self.call(&["stop", id])
    }

    fn shut_down(&self) -> Option<Command> {
        Some(self.call(&["kill"]))
    }

    fn is_quick(&self) -> bool {
        false
    }
}

fn number(printed: &str) -> Result<String> {
    let number: u64 = printed
        .trim()
        .parse()
        .map_err(|_| format!("not an id: {printed}"))?;
    Ok(number.to_string())
}
