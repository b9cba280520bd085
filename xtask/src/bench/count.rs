//! How many lines a large log has: the first time all of it is read, later it is remembered.

use std::fs::{self, File};
use std::io::Read;
use std::time::Instant;

use serde_json::json;

use super::Setup;
use super::home::text;
use super::large_log::LargeLog;
use super::race::{Contender, milliseconds, race};
use super::report::Row;
use crate::Result;

/// Against a plain read of the file.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let log = LargeLog::new(setup, "count")?;
    let (_, tiny) = log
        .home
        .start(&json!({"command": "echo", "args": ["one"]}), &["--wait"])?;
    let tiny = json!({"id": text(&tiny, "id")?, "lines": 1});
    let remembered = log.home.folder.join("tasks").join(&log.id).join("lines");
    let mut block = vec![0; 256 << 10];
    let contenders = vec![
        Contender::new("reading the file", || {
            let start = Instant::now();
            let mut file = File::open(&log.file)?;
            while file.read(&mut block)? > 0 {}
            Ok(milliseconds(start))
        }),
        Contender::new("first count of its lines", || {
            fs::remove_file(&remembered)?;
            log.count()
        }),
        Contender::new("second count", || log.count()),
        Contender::new("count of a log of one line", || {
            Ok(log.home.ask("logs", &tiny, &["--output", "inline"])?.0)
        }),
    ];
    log.count()?;
    race(setup.rounds(15, 5), contenders, |_| Ok(()))
}
