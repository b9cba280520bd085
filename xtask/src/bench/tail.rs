//! The last 50 lines of a large log, whose lines have been counted before.

use std::process::Command;

use serde_json::json;

use super::Setup;
use super::large_log::LargeLog;
use super::race::{Contender, race, timed};
use super::report::Row;
use crate::Result;

/// Against coreutils.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let log = LargeLog::new(setup, "tail")?;
    let wish = json!({"id": log.id, "lines": 50});
    let contenders = vec![
        Contender::new("tail -n 50 FILE", || {
            Ok(timed(Command::new("tail").args(["-n", "50"]).arg(&log.file))?.0)
        }),
        Contender::new("logs, 50 lines", || {
            let (time, data) = log.home.ask("logs", &wish, &["--output", "inline"])?;
            match data["lines"].as_array().map(Vec::len) {
                Some(50) => Ok(time),
                other => Err(format!("{other:?} lines, not 50").into()),
            }
        }),
    ];
    race(setup.rounds(100, 20), contenders, |_| Ok(()))
}
