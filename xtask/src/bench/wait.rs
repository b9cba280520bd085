//! How long after the end of a command its waiter knows.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use super::race::{Contender, milliseconds, race, timed};
use super::report::Row;
use crate::{Result, command};

/// What the command itself takes.
const SLEEP: f64 = 400.0;
/// Long enough for a waiter to be asleep.
const A_MOMENT: Duration = Duration::from_millis(50);

/// From the moment at which the command is let go to the end of whoever waits for it; and all of a
/// start that waits, without what the command itself takes.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "wait")?;
    let fifo = home.folder.with_file_name("fifo");
    command::run(Command::new("mkfifo").arg(&fifo))?;
    let contenders = vec![
        Contender::new("a parent in waitpid(2)", || parent(&fifo)),
        Contender::new("wait", || waiter(&home, &fifo, false)),
        Contender::new("wait, the supervisor having been killed", || {
            waiter(&home, &fifo, true)
        }),
    ];
    let mut rows = race(setup.rounds(100, 15), contenders, |_| Ok(()))?;
    let task = json!({"command": "sleep", "args": ["0.4"]});
    let contenders = vec![
        Contender::new("sh -c 'sleep 0.4' - 400 ms", || {
            Ok(timed(Command::new("sh").args(["-c", "sleep 0.4"]))?.0 - SLEEP)
        }),
        Contender::new("start --wait sleep 0.4 - 400 ms", || {
            Ok(home.start(&task, &["--wait"])?.0 - SLEEP)
        }),
    ];
    rows.extend(race(setup.rounds(30, 7), contenders, |_| Ok(()))?);
    Ok(rows)
}

/// The end of `cat`, which comes when nobody writes into the FIFO any more.
fn parent(fifo: &Path) -> Result<f64> {
    let mut child = Command::new("cat").arg(fifo).spawn()?;
    let writer = writer(fifo)?;
    std::thread::sleep(A_MOMENT);
    until_over(writer, &mut child)
}

/// The same as a task, by a `wait` that has begun before.
fn waiter(home: &Home, fifo: &PathBuf, is_lost: bool) -> Result<f64> {
    let (_, task) = home.start(&json!({"command": "cat", "args": [fifo]}), &[])?;
    let id = text(&task, "id")?;
    let writer = writer(fifo)?;
    let mut wait = home.command("wait", &json!({"id": id}), &[]);
    let mut wait = wait.stdout(Stdio::null()).spawn()?;
    std::thread::sleep(A_MOMENT);
    if is_lost {
        let pid = task["pid"].as_i64().ok_or("the task has no pid")?;
        kill(parent_of(pid)?, Signal::SIGKILL)?;
        std::thread::sleep(A_MOMENT);
    }
    until_over(writer, &mut wait)
}

/// Opened once `cat` has opened the other end.
fn writer(fifo: &Path) -> Result<File> {
    Ok(File::options().write(true).open(fifo)?)
}

fn until_over(writer: File, child: &mut Child) -> Result<f64> {
    let start = Instant::now();
    drop(writer);
    child.wait()?;
    Ok(milliseconds(start))
}

fn parent_of(pid: i64) -> Result<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let parent = behind_name.split_whitespace().nth(1).ok_or("no parent")?;
    match parent.parse()? {
        1 => Err("the supervisor is gone".into()),
        parent => Ok(Pid::from_raw(parent)),
    }
}
