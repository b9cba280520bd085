//! A fresh home for tasks, and the binary under test as its callers see it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::Setup;
use super::race::timed;
use crate::Result;

/// A home whose tasks are stopped when it is dropped.
///
/// Its folder stays until the whole run is over: filesystems are slow after a mass delete.
pub struct Home {
    binary: PathBuf,
    /// `BACKGROUND_TASKS_HOME`.
    pub folder: PathBuf,
    started: RefCell<Vec<String>>,
}

impl Home {
    /// An empty home; the name tells it apart from the others of the run.
    pub fn new(setup: &Setup, name: &str) -> Result<Self> {
        let around = scratch(setup, name)?;
        Ok(Self::at(setup.binary.clone(), around.join("home")))
    }

    /// A home in a folder that need not be there.
    pub fn at(binary: PathBuf, folder: PathBuf) -> Self {
        let started = RefCell::default();
        Self {
            binary,
            folder,
            started,
        }
    }

    /// A command line of the binary under test.
    pub fn command(&self, verb: &str, payload: &Value, flags: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(verb).args(flags).arg(payload.to_string());
        command.env("BACKGROUND_TASKS_HOME", &self.folder);
        command
    }

    /// Runs a command and returns the milliseconds that it took and its `data`.
    pub fn ask(&self, verb: &str, payload: &Value, flags: &[&str]) -> Result<(f64, Value)> {
        let (time, printed) = timed(&mut self.command(verb, payload, flags))?;
        let mut answer: Value = serde_json::from_slice(&printed)?;
        Ok((time, answer["data"].take()))
    }

    /// Starts a task, which will be stopped in the end; the milliseconds and its record.
    pub fn start(&self, payload: &Value, flags: &[&str]) -> Result<(f64, Value)> {
        let (time, mut data) = self.ask("start", payload, flags)?;
        let task = data["task"].take();
        self.started.borrow_mut().push(text(&task, "id")?);
        Ok((time, task))
    }

    /// Stops every task that was started so far.
    pub fn stop_all(&self) -> Result {
        let ids = self.started.take();
        if ids.is_empty() {
            return Ok(());
        }
        let wish: Value = ids
            .iter()
            .map(|id| json!({"id": id, "grace_ms": 1000}))
            .collect();
        self.ask("stop", &wish, &[]).map(drop)
    }

    /// The log of a task.
    pub fn log(&self, id: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{id}.log"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(problem) = self.stop_all() {
            eprintln!(
                "tasks may be left behind in {}: {problem}",
                self.folder.display()
            );
        }
    }
}

/// An empty folder beside the homes.
pub fn scratch(setup: &Setup, name: &str) -> Result<PathBuf> {
    let folder = setup.folder.join(name);
    fs::create_dir_all(&folder).map_err(|problem| format!("{}: {problem}", folder.display()))?;
    Ok(folder)
}

/// A text field of an answer.
pub fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("the answer has no text `{field}`: {value}").into())
}

/// The main process of a task.
pub fn pid(task: &Value) -> Result<i32> {
    let pid = task["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.ok_or_else(|| format!("the task has no pid: {task}").into())
}

/// Runs `sh -c 'nohup COMMAND …&'` in a folder; the milliseconds that it took and the job's pid.
pub fn nohup(folder: &Path, command: &str) -> Result<(f64, i32)> {
    let script = format!("nohup {command} >log 2>&1 </dev/null & echo $!");
    let (time, printed) = timed(Command::new("sh").args(["-c", &script]).current_dir(folder))?;
    Ok((time, String::from_utf8(printed)?.trim().parse()?))
}

/// Jobs of a shell that live until they are killed, at the latest when this is dropped.
#[derive(Default)]
pub struct Jobs(RefCell<Vec<i32>>);

impl Jobs {
    /// Takes charge of a job. It must be one that does not end by itself: its pid could be
    /// another's by the time of the kill.
    pub fn add(&self, pid: i32) {
        self.0.borrow_mut().push(pid);
    }

    /// Kills all.
    pub fn kill_all(&self) {
        for pid in self.0.take().into_iter().filter(|pid| *pid > 1) {
            // Somebody else may have been faster.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.kill_all();
    }
}
