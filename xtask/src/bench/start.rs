//! `start` against `nohup` in a shell.

use serde_json::json;

use super::Setup;
use super::home::{Home, Jobs, nohup, scratch};
use super::race::{Contender, race};
use super::report::Row;
use crate::Result;

/// After so many rounds the tasks and jobs are ended, so that few live at a time.
const ALIVE: usize = 20;

/// A task that lives and one that ends at once, each against the same under `nohup`.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows = long_lived(setup)?;
    rows.extend(short_lived(setup)?);
    Ok(rows)
}

fn long_lived(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "start-sleep")?;
    let folder = scratch(setup, "nohup-sleep")?;
    let task = json!({"command": "sleep", "args": ["60"]});
    let jobs = Jobs::default();
    let contenders = vec![
        Contender::new("nohup sleep 60", || {
            let (time, pid) = nohup(&folder, "sleep 60")?;
            jobs.add(pid);
            Ok(time)
        }),
        Contender::new("start sleep 60", || Ok(home.start(&task, &[])?.0)),
    ];
    race(setup.rounds(100, 20), contenders, |round| {
        if round % ALIVE == 0 {
            jobs.kill_all();
            home.stop_all()?;
        }
        Ok(())
    })
}

fn short_lived(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "start-true")?;
    let folder = scratch(setup, "nohup-true")?;
    let task = json!({"command": "true"});
    let contenders = vec![
        Contender::new("nohup true", || Ok(nohup(&folder, "true")?.0)),
        Contender::new("start true", || Ok(home.start(&task, &[])?.0)),
    ];
    race(setup.rounds(100, 20), contenders, |_| Ok(()))
}
