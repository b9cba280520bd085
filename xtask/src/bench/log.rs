//! How fast a task may print, against a shell's redirects into a file of the same folder.
//!
//! A log is opened to append, as `>>` does. `start --wait` also tells how many lines there are, so
//! after the end it reads the log once; the task's own duration is without that.

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
    let redirect = |operator: &str| -> Result<f64> {
        let line = format!("{script} {operator} '{}'", file.display());
        let (time, _) = timed(Command::new("sh").args(["-c", &line]))?;
        fs::remove_file(&file)?;
        Ok(time)
    };
    let task = || -> Result<(f64, f64)> {
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
        let own = task["duration_ms"].as_f64();
        Ok((time, own.ok_or("an ended task has a duration")?))
    };
    let contenders = vec![
        Contender::new(format!("sh -c '{script} > file'"), || redirect(">")),
        Contender::new(format!("sh -c '{script} >> file'"), || redirect(">>")),
        Contender::new("the same as a task, its own duration", || Ok(task()?.1)),
        Contender::new(
            "the same with start --wait, lines counted",
            || Ok(task()?.0),
        ),
    ];
    let rows = race(setup.rounds(7, 3), contenders, |_| Ok(()))?;
    let speed = |median: f64| format!("{:.0} MB/s", bytes as f64 / 1000.0 / median);
    Ok(rows.into_iter().map(|row| row.remark(speed)).collect())
}
