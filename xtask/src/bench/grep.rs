//! Searching a large log for what only its last line holds.

use std::process::Command;

use serde_json::json;

use super::Setup;
use super::large_log::{LAST, LargeLog};
use super::race::{Contender, race, timed};
use super::report::Row;
use crate::Result;

/// Against grep.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let log = LargeLog::new(setup, "grep")?;
    let wish = json!({"id": log.id, "grep": LAST});
    let grep = |options: &[&str]| -> Result<f64> {
        let mut grep = Command::new("grep");
        Ok(timed(grep.args(options).arg(LAST).arg(&log.file))?.0)
    };
    let contenders = vec![
        Contender::new("grep needle FILE", || grep(&[])),
        Contender::new("logs, grep needle", || {
            let (time, data) = log.home.ask("logs", &wish, &["--output", "inline"])?;
            match data["matches"].as_array().map(Vec::len) {
                Some(1) => Ok(time),
                other => Err(format!("{other:?} matches, not one").into()),
            }
        }),
    ];
    log.count()?;
    let rows = race(setup.rounds(10, 5), contenders, |_| Ok(()))?;
    let speed = |median| log.speed(median);
    Ok(rows.into_iter().map(|row| row.remark(speed)).collect())
}
