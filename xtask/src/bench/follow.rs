//! How soon a follower tells of a line, and how often it wakes up for nothing.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use super::memory::switches;
use super::race::milliseconds;
use super::report::{Row, Samples};
use crate::Result;

/// How long the follower is left alone.
const IDLE: Duration = Duration::from_secs(4);

/// Lines are appended to the log here, as the command would: one clock sees both ends.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "follow")?;
    let (_, task) = home.start(&json!({"command": "sleep", "args": ["600"]}), &[])?;
    let id = text(&task, "id")?;
    let mut follower = home
        .command("events", &json!({"id": id}), &["--follow"])
        .stdout(Stdio::piped())
        .spawn()?;
    let rows = observe(setup, &home, &id, &mut follower);
    home.stop_all()?;
    follower.wait()?;
    rows
}

fn observe(setup: &Setup, home: &Home, id: &str, follower: &mut Child) -> Result<Vec<Row>> {
    let mut frames = BufReader::new(follower.stdout.take().ok_or("there is a pipe")?);
    // By the name that the command has it by: the kernel tells of changes by the folder of the name.
    let log = home.folder.join("tasks").join(id).join("log");
    let mut log = OpenOptions::new().append(true).open(log)?;
    let mut delays = Samples::default();
    for number in 0..=setup.rounds(500, 50) {
        // Long enough for everyone to be asleep again.
        std::thread::sleep(Duration::from_millis(8));
        let line = format!("line {number}\n");
        let start = Instant::now();
        log.write_all(line.as_bytes())?;
        await_frame(&mut frames, line.trim_end())?;
        if number > 0 {
            delays.push(milliseconds(start) * 1000.0);
        }
    }
    let mut rows = vec![Row::new("from the write to the frame", "us", delays)];
    if cfg!(target_os = "linux") {
        std::thread::sleep(Duration::from_secs(1));
        let before = switches(follower.id())?;
        std::thread::sleep(IDLE);
        let woken = (switches(follower.id())? - before) / IDLE.as_secs_f64();
        let woken = Samples::from_iter([woken]);
        rows.push(Row::new("wake-ups per second of an idle one", "", woken));
    }
    Ok(rows)
}

fn await_frame(frames: &mut BufReader<ChildStdout>, line: &str) -> Result {
    let wanted = format!("\"line\":\"{line}\"");
    let mut frame = String::new();
    while !frame.contains(&wanted) {
        frame.clear();
        if frames.read_line(&mut frame)? == 0 {
            return Err("the follower has ended early".into());
        }
    }
    Ok(())
}
