//! A task that has ended and left a large log of short lines, for the groups about reading.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use crate::Result;

/// Each line, without its end, has 63 bytes, as log lines often do.
const LINE: &str = "2026-01-31T09:30:00.125Z worker 7 handled request 4711 in 18 ms";
/// The last line, and the only one of its kind.
pub const LAST: &str = "needle";

/// The task and its log.
pub struct LargeLog {
    pub home: Home,
    pub id: String,
    pub file: PathBuf,
    pub bytes: u64,
}

impl LargeLog {
    /// 1 GiB, or 64 MiB in a quick run.
    pub fn new(setup: &Setup, name: &str) -> Result<Self> {
        let bytes: u64 = if setup.quick { 64 << 20 } else { 1 << 30 };
        let home = Home::new(setup, name)?;
        let shell = format!("yes '{LINE}' | head -c {bytes}; echo {LAST}");
        let task = json!({"shell": shell, "limits": {"log_bytes": 4_u64 << 30}});
        let (_, task) = home.start(&task, &["--wait", "--timeout", "300"])?;
        let id = text(&task, "id")?;
        let file = home.log(&id);
        let bytes = fs::metadata(&file)?.len();
        Ok(Self {
            home,
            id,
            file,
            bytes,
        })
    }

    /// Milliseconds that `logs` with one line takes. It tells how many lines there are.
    pub fn count(&self) -> Result<f64> {
        let wish = json!({"id": self.id, "lines": 1});
        let (time, data) = self.home.ask("logs", &wish, &["--output", "inline"])?;
        match data["total_lines"].as_u64() {
            Some(lines) if lines == self.bytes / (LINE.len() as u64 + 1) + 1 => Ok(time),
            other => Err(format!("{other:?} lines are too few or too many").into()),
        }
    }

    /// Milliseconds for the whole log as megabytes per second.
    pub fn speed(&self, milliseconds: f64) -> String {
        format!("{:.0} MB/s", self.bytes as f64 / 1000.0 / milliseconds)
    }
}
