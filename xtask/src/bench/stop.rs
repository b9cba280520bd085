//! How long until nothing is left of a tree of 100 processes.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use super::race::{Contender, milliseconds, race};
use super::report::Row;
use crate::Result;

/// A shell and 99 children, whose pids it prints before it says that all are there.
const TREE: &str = "i=0
while [ $i -lt 99 ]; do sleep 600 & echo $!; i=$((i+1)); done
echo up
wait";

/// The same tree as a process group and as a task.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "stop")?;
    let contenders = vec![
        Contender::new("killpg of 100 processes", kill_group),
        Contender::new("stop of a tree of 100", || stop(&home)),
    ];
    race(setup.rounds(30, 7), contenders, |_| Ok(()))
}

/// The tree as a process group; it is gone when nobody holds its standard output any more.
fn kill_group() -> Result<f64> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", TREE])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = shell.spawn()?;
    let mut printed = BufReader::new(child.stdout.take().ok_or("the shell has no output")?);
    let mut line = String::new();
    while line != "up\n" {
        line.clear();
        if printed.read_line(&mut line)? == 0 {
            return Err("the shell ended early".into());
        }
    }
    let start = Instant::now();
    killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    printed.read_to_end(&mut Vec::new())?;
    child.wait()?;
    Ok(milliseconds(start))
}

/// The same tree as a task.
fn stop(home: &Home) -> Result<f64> {
    let (_, task) = home.start(&json!({"shell": TREE}), &[])?;
    let id = text(&task, "id")?;
    let log = home.log(&id);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut printed = String::new();
    while !printed.ends_with("up\n") {
        if Instant::now() > deadline {
            return Err(format!("the tree of {id} did not come up").into());
        }
        std::thread::sleep(Duration::from_millis(5));
        printed = fs::read_to_string(&log)?;
    }
    let (time, _) = home.ask("stop", &json!({"id": id}), &[])?;
    let pids = printed.lines().filter_map(|line| line.parse().ok());
    match pids.filter(|pid| alive(*pid)).count() {
        0 => Ok(time),
        left => Err(format!("{left} processes of {id} outlived stop").into()),
    }
}

/// Whether a process runs; one that has ended and waits to be collected does not.
pub fn alive(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z")),
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => kill(Pid::from_raw(pid), None).is_ok(),
    }
}
