//! `cargo xtask instructions`: how many instructions the everyday commands take in their caller's
//! process, and how many page faults; compared with what is written down in `instructions.json`.
//!
//! Unlike times, these do not depend on what else the machine does. They do depend on the compiler,
//! and a little on the processor, whose best way to copy is chosen at run time: hence the room.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::workspace::Workspace;
use crate::{Result, command, static_build};

const FILE: &str = "xtask/instructions.json";
/// Percent by which a count may differ from what is written down.
const ROOM: u64 = 8;
/// How many page faults a `start` may take in its caller's process.
const MOST_FAULTS_OF_START: i64 = 60;
/// How many tasks are listed.
const LISTED: usize = 100;

/// A task that lives as long as the trial.
const RUNNING: &str =
    r#"{"id": "runs", "command": "sleep", "args": ["600"], "if_running": "reuse"}"#;

/// What is counted: a name, and the arguments. A start that launches a supervisor cannot be: it
/// executes `/proc/self/exe`, which is valgrind itself there. Its page faults are counted instead.
const CASES: [(&str, [&str; 2]); 3] = [
    ("start of what runs", ["start", RUNNING]),
    ("status", ["status", r#"{"id": "demo"}"#]),
    ("list", ["list", "{}"]),
];

type Counts = BTreeMap<String, u64>;

/// Writes the counts of this machine's target down.
pub fn write(workspace: &Workspace) -> Result {
    let triple = target()?;
    let (counts, remark) = count(workspace)?;
    let mut written = read(workspace)?;
    let rustc = command::output(workspace.command("rustc").arg("--version"))?;
    written[&triple] = json!({
        "toolchain": String::from_utf8(rustc)?.trim_end(),
        "instructions": counts,
    });
    let text = serde_json::to_string_pretty(&written)? + "\n";
    fs::write(workspace.root.join(FILE), text)?;
    println!("{FILE}: {counts:?}, {remark}");
    Ok(())
}

/// Fails when a command takes more than is written down, or so much less that it should be.
pub fn check(workspace: &Workspace) -> Result<String> {
    if !command::exists("valgrind") {
        if std::env::var_os("CI").is_some() {
            return Err("valgrind is missing: install it".into());
        }
        return Ok("left out: no valgrind".to_owned());
    }
    let triple = target()?;
    let written = read(workspace)?;
    let Some(expected) = written[&triple]["instructions"].as_object() else {
        return Ok(format!("left out: nothing is written down for {triple}"));
    };
    let (counts, remark) = count(workspace)?;
    for (name, &counted) in &counts {
        let expected = expected.get(name).and_then(Value::as_u64).unwrap_or(0);
        if counted.abs_diff(expected) * 100 > expected * ROOM {
            return Err(format!(
                "{name} takes {counted} instructions, and {expected} are written down: if that is \
                 meant, run cargo xtask instructions"
            )
            .into());
        }
    }
    Ok(remark)
}

fn target() -> Result<String> {
    static_build::triple()?.ok_or_else(|| "callgrind counts for Linux only".into())
}

fn read(workspace: &Workspace) -> Result<Value> {
    match fs::read(workspace.root.join(FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(_) => Ok(json!({})),
    }
}

/// Counts each case in a home of its own, and the faults of a start.
fn count(workspace: &Workspace) -> Result<(Counts, String)> {
    let binary = static_build::build(workspace)?;
    let trial = Trial::begin(binary)?;
    let mut counts = Counts::new();
    for (name, arguments) in CASES {
        counts.insert(name.to_owned(), trial.instructions(arguments)?);
    }
    let faults = trial.faults_of_start()?;
    if faults > MOST_FAULTS_OF_START {
        return Err(
            format!("start takes {faults} page faults, over {MOST_FAULTS_OF_START}").into(),
        );
    }
    Ok((counts, format!("{faults} page faults for start")))
}

/// A binary and a home in which it is tried out.
struct Trial {
    binary: PathBuf,
    /// Its name has the same length everywhere.
    home: PathBuf,
}

impl Trial {
    fn begin(binary: PathBuf) -> Result<Self> {
        let pid = std::process::id();
        let home = PathBuf::from(format!("/tmp/background-tasks-count-{pid:010}"));
        fs::DirBuilder::new().mode(0o700).create(&home)?;
        let trial = Self { binary, home };
        let demo = r#"{"id": "demo", "command": "true", "tags": ["a", "b"]}"#;
        let mut start = trial.command(&trial.binary);
        command::output(start.args(["start", demo, "--wait"]))?;
        // It waits for the supervisor, whose last act is to write that nothing is left of the task.
        let mut stop = trial.command(&trial.binary);
        command::output(stop.args(["stop", "demo"]))?;
        trial.copy_demo()?;
        command::output(trial.command(&trial.binary).args(["start", RUNNING]))?;
        Ok(trial)
    }

    /// Other tasks are copies of its record.
    fn copy_demo(&self) -> Result {
        let tasks = self.home.join("tasks");
        let record = fs::read_to_string(tasks.join("demo/task.json"))?;
        for number in 1..LISTED {
            let folder = tasks.join(format!("bg_{number:08x}"));
            fs::create_dir(&folder)?;
            let id = format!("\"id\":\"bg_{number:08x}\"");
            let record = record.replacen("\"id\":\"demo\"", &id, 1);
            fs::write(folder.join("task.json"), record)?;
        }
        Ok(())
    }

    /// A call with as little around it as anywhere.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("BACKGROUND_TASKS_HOME", &self.home)
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    fn instructions(&self, arguments: [&str; 2]) -> Result<u64> {
        let mut valgrind = self.command(Path::new("valgrind"));
        valgrind
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.binary)
            .args(arguments)
            .stdout(Stdio::null());
        let output = valgrind
            .output()
            .map_err(|problem| command::cannot_run(&valgrind, &problem))?;
        let told = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}: {told}", command::line(&valgrind)).into());
        }
        let count = told
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .and_then(|(_, count)| count.trim().parse().ok());
        count.ok_or_else(|| format!("{}: {told}", command::line(&valgrind)).into())
    }

    /// The fewest of some attempts: what the kernel has at hand differs.
    fn faults_of_start(&self) -> Result<i64> {
        let mut fewest = i64::MAX;
        for _ in 0..10 {
            let before = getrusage(UsageWho::RUSAGE_CHILDREN)?.minor_page_faults();
            let mut start = self.command(&self.binary);
            command::output(start.args(["start", r#"{"command": "true"}"#]))?;
            let after = getrusage(UsageWho::RUSAGE_CHILDREN)?.minor_page_faults();
            fewest = fewest.min(after - before);
        }
        Ok(fewest)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut stop = self.command(&self.binary);
        let stopped = command::output(stop.args(["stop", r#"{"all": true}"#]));
        if let Err(problem) = stopped {
            eprintln!("tasks may be left in {}: {problem}", self.home.display());
            return;
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}
