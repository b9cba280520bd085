//! What the fuzz targets of this crate do with an input; compiled with `--cfg fuzzing` only.
//!
//! They live here because most of what is read from a disk is private. `fuzz/` holds the program
//! that runs them, and what has been found worth keeping of their inputs.

mod history;
mod requests;
mod shown;
mod stored;
mod told;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::Client;
use crate::event::FrameSink;
use crate::store::{FORMAT_VERSION, Home, TaskDir};
use crate::supervisor::Program;
use crate::task::{Generation, TaskId};

/// Takes a private folder that it may use as a home, and an input. Panics where something that must
/// hold does not.
pub type Target = fn(&Path, &[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 12] = [
    ("answer", told::answer),
    ("cursor", requests::cursor),
    ("env_file", told::env_file),
    ("history", history::history),
    ("journal", stored::journal),
    ("lines", history::lines),
    ("pattern", shown::pattern),
    ("payload", requests::payload),
    ("proc", told::proc),
    ("record", stored::record),
    ("stored", stored::stored),
    ("view", shown::view),
];

/// The generation of the task that stored files are about.
const GENERATION: &str = "0123456789abcdef";
/// Its id.
const ID: &str = "t";

fn generation() -> Generation {
    Generation::parse(GENERATION).expect("it has 16 hex digits")
}

fn id() -> TaskId {
    TaskId::parse(ID).expect("it is a good id")
}

/// The home with one folder of a task, made at the first call and used again: what an earlier
/// input has left there is taken away.
fn home_in(folder: &Path) -> (Home, TaskDir) {
    let task = folder.join("tasks").join(ID);
    for kept in [task.as_path(), &folder.join("logs"), &folder.join("locks")] {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(kept);
        made.expect("a folder can be made");
    }
    for left in [&task, &folder.join("logs")] {
        for entry in fs::read_dir(left).expect("it is there").flatten() {
            fs::remove_file(entry.path()).expect("what is in there are files");
        }
    }
    let home = Home::open_existing(folder).expect("it is ours");
    let home = home.expect("it is there");
    let dir = home.task_dir(&id()).expect("it can be opened");
    (home, dir.expect("it was just made"))
}

fn client_of(home: &Home) -> Client {
    // No target starts a task.
    Client::new(home.path().to_owned(), Program::File("/nonexistent".into()))
}

fn write(dir: &Home, name: &str, bytes: &[u8]) {
    fs::write(dir.path().join(name), bytes).expect("a small file can be written");
}

/// The record of a task that has ended; `stderr`: whether that has a log of its own.
fn ended_record(stderr: &str) -> String {
    format!(
        r#"{{"version":{FORMAT_VERSION},"id":"{ID}","facts":{{"revision":3,"generation":"{GENERATION}","run":1,"run_token":"00","restart_count":0,"boot_id":"b","created_at":"2026-01-31T09:30:00.000Z","updated_at":"2026-01-31T09:30:09.000Z","wish_done":0,"cleared":true,"state":{{"exited":{{"exit_code":0,"span":{{"started_at":"2026-01-31T09:30:00.100Z","exited_at":"2026-01-31T09:30:08.000Z","duration_ms":7900}}}}}}}},"spec":{{"name":null,"program":{{"shell":"true"}},"workdir":"/","env":{{}},"inherit_env":true,"env_file":null,"tags":[],"parent_session_id":null,"notify_on_exit":false,"stop":{{"signal":"SIGTERM","grace_ms":5000}},"leftovers":"stop","stderr":"{stderr}","limits":{{"log_bytes":268435456}},"restart":{{"policy":"never","max_retries":5,"delay_ms":1000,"backoff":"exponential","max_delay_ms":60000,"reset_after_ms":60000}},"timeout_ms":null,"idle_timeout_ms":null,"ttl_ms":null,"stdin":"null"}}}}"#
    )
}

/// Takes frames, and sees that each is what it says.
#[derive(Default)]
struct Frames {
    sequence: u64,
    lines: Vec<String>,
}

impl FrameSink for Frames {
    fn frame(&mut self, frame: &crate::event::Frame<'_>) -> std::ops::ControlFlow<()> {
        assert_eq!(frame.sequence, self.sequence);
        self.sequence += 1;
        serde_json::to_string(frame).expect("a frame has a JSON form");
        if let crate::event::FrameData::Line(line) = &frame.data {
            self.lines.push(line.line.clone().into_owned());
        }
        std::ops::ControlFlow::Continue(())
    }
}
