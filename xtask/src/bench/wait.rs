//! How long after the end of a command its waiter knows.

use std::process::Command;

use serde_json::json;

use super::Setup;
use super::home::Home;
use super::race::{Contender, race, timed};
use super::report::Row;
use crate::Result;

/// What the command itself takes.
const SLEEP: f64 = 400.0;

/// Both times without what the command itself takes.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "wait")?;
    let task = json!({"command": "sleep", "args": ["0.4"]});
    let contenders = vec![
        Contender::new("sh -c 'sleep 0.4' - 400 ms", || {
            Ok(timed(Command::new("sh").args(["-c", "sleep 0.4"]))?.0 - SLEEP)
        }),
        Contender::new("start --wait sleep 0.4 - 400 ms", || {
            Ok(home.start(&task, &["--wait"])?.0 - SLEEP)
        }),
    ];
    race(setup.rounds(30, 7), contenders, |_| Ok(()))
}
