//! How fast a task may print, against a shell's redirect into a file of the same folder.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use super::race::{Contender, race, timed};
use super::report::Row;
use crate::Result;

/// The same bytes both ways; the files go after each round.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let bytes = if setup.quick { 64 << 20 } else { 512 << 20 };
    let script = format!("yes | head -c {bytes}");
    let home = Home::new(setup, "log")?;
    let (_, first) = home.start(&json!({"command": "true"}), &["--wait"])?;
    let file = home.log(&text(&first, "id")?).with_extension("plain");
    let redirect = format!("{script} > '{}'", file.display());
    let contenders = vec![
        Contender::new(format!("sh -c '{script} > file'"), || {
            let (time, _) = timed(Command::new("sh").args(["-c", &redirect]))?;
            fs::remove_file(&file)?;
            Ok(time)
        }),
        Contender::new(format!("start --wait '{script}'"), || {
            let (time, task) =
                home.start(&json!({"shell": script}), &["--wait", "--timeout", "300"])?;
            let log = home.log(&text(&task, "id")?);
            if fs::metadata(&log)?.len() != bytes {
                return Err(format!("{} does not hold {bytes} bytes", log.display()).into());
            }
            // A hard link may be left, and the space has to be free again.
            fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(&log)?;
            Ok(time)
        }),
    ];
    let rows = race(setup.rounds(7, 3), contenders, |_| Ok(()))?;
    let speed = |median: f64| format!("{:.0} MB/s", bytes as f64 / 1000.0 / median);
    Ok(rows.into_iter().map(|row| row.remark(speed)).collect())
}
