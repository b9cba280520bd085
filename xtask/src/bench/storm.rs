//! Many starts at once, none of which may be lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Setup;
use super::home::{Home, scratch};
use super::race::{Contender, milliseconds, race};
use super::report::Row;
use crate::Result;

/// So many callers.
const STARTS: usize = 256;

/// As tasks and as jobs of as many shells.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "storm")?;
    let folder = scratch(setup, "storm-nohup")?;
    let mut round = 0;
    let mut told = 0;
    let contenders = vec![
        Contender::new(format!("nohup true, {STARTS} at once"), || {
            let logs = fresh(&folder, &mut round)?;
            let storm = at_once(STARTS, |number| {
                let script = format!("nohup true >{number} 2>&1 </dev/null & echo $!");
                let mut shell = Command::new("sh");
                shell.args(["-c", &script]).current_dir(&logs);
                shell
            })?;
            Ok(storm)
        }),
        Contender::new(format!("start true, {STARTS} at once"), || {
            let time = at_once(STARTS, |_| {
                home.command("start", &json!({"command": "true"}), &[])
            })?;
            told += STARTS;
            all_ended_well(&home, told)?;
            Ok(time)
        }),
    ];
    race(setup.rounds(20, 5), contenders, |_| Ok(()))
}

/// An empty folder of this round.
fn fresh(folder: &Path, round: &mut usize) -> Result<PathBuf> {
    *round += 1;
    let logs = folder.join(round.to_string());
    fs::create_dir(&logs)?;
    Ok(logs)
}

/// Milliseconds until that many programs, started one right after the other, have all ended well.
pub fn at_once(count: usize, command: impl Fn(usize) -> Command) -> Result<f64> {
    let start = Instant::now();
    let children = (0..count)
        .map(|number| {
            let mut command = command(number);
            // Each answer fits into a pipe, so that nobody has to read while others begin.
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
        })
        .collect::<std::io::Result<Vec<Child>>>()?;
    for child in children {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("one of {count} at once: {}", output.status).into());
        }
    }
    Ok(milliseconds(start))
}

/// Waits until as many tasks as were started have ended as they should.
fn all_ended_well(home: &Home, expected: usize) -> Result {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let wish = json!({"status": ["exited"], "limit": 1});
        let (_, data) = home.ask("list", &wish, &[])?;
        match data["total"].as_u64() {
            Some(total) if total == expected as u64 => return Ok(()),
            total if Instant::now() > deadline => {
                return Err(format!("{total:?} of {expected} starts are on record").into());
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
