//! A reader that is killed again and again, and goes on from the last frame that it has taken in.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Cli, PROGRAM, script};

/// How often the reader is killed, and how many lines it must have in the end. Under
/// `RESUME_KILLS` and `RESUME_LINES` both can be more.
fn size(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().expect(variable))
}

/// What a reader has taken in.
#[derive(Default)]
struct Taken {
    line: u64,
    ended: bool,
    cursor: Option<String>,
}

impl Taken {
    /// Checks that the frame is the very next one.
    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "task.status.snapshot" => {}
            "task.log.line" => {
                let data = &frame["data"];
                self.line += 1;
                assert_eq!(data["number"], self.line);
                assert_eq!(data["line"].as_str().unwrap(), self.line.to_string());
                assert_eq!((data.get("partial"), data.get("continues")), (None, None));
            }
            "task.started" => assert_eq!(self.line, 0),
            "task.exited" => self.ended = true,
            other => panic!("{other}"),
        }
        self.cursor = Some(frame["cursor"].as_str().unwrap().to_owned());
    }
}

/// Reads at least so many lines, then kills the reader in the middle of whatever it does; what it
/// had printed of a last line is thrown away.
fn read_and_kill(cli: &Cli, taken: &mut Taken, at_least: u64) {
    let mut request = json!({ "id": "a", "lines": 10_000_000 });
    if let Some(cursor) = &taken.cursor {
        request["cursor"] = json!(cursor);
    }
    let mut reader = Command::new(PROGRAM)
        .args(["events", &request.to_string(), "--follow"])
        .env("BACKGROUND_TASKS_HOME", cli.home())
        .current_dir(cli.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(reader.stdout.take().unwrap());
    let (target, mut is_killed) = (taken.line.saturating_add(at_least), false);
    let mut line = Vec::new();
    loop {
        line.clear();
        stdout.read_until(b'\n', &mut line).unwrap();
        if !line.ends_with(b"\n") {
            break;
        }
        taken.take(&serde_json::from_slice(&line).unwrap());
        if taken.line >= target && !is_killed {
            reader.kill().unwrap();
            is_killed = true;
        }
    }
    let status = reader.wait().unwrap();
    assert!(is_killed || status.success(), "{status}");
}

#[test]
fn a_reader_that_is_killed_again_and_again_has_every_line_once() {
    let (kills, count) = (size("RESUME_KILLS", 40), size("RESUME_LINES", 100_000));
    let cli = Cli::new();
    // In bursts, so that readers are killed while they wait, too.
    let bursts = 50;
    let burst = count / bursts;
    let shell = format!(
        "i=0; while [ $i -lt {bursts} ]; do seq $((i * {burst} + 1)) $(((i + 1) * {burst})); i=$((i + 1)); sleep 0.02; done"
    );
    cli.start(script("a", &shell));
    let mut taken = Taken::default();
    let share = count / (kills + 1);
    for kill in 0..kills {
        // Some are killed as soon as they have anything.
        let at_least = if kill % 4 == 0 { 1 } else { share };
        read_and_kill(&cli, &mut taken, at_least);
    }
    while !taken.ended {
        read_and_kill(&cli, &mut taken, u64::MAX);
    }
    assert_eq!(taken.line, bursts * burst);
    read_and_kill(&cli, &mut taken, u64::MAX);
    assert_eq!(taken.line, bursts * burst, "nothing comes after the end");
}
