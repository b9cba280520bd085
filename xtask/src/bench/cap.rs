//! How much of the disk a capped log takes while its command prints as fast as it can.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Setup;
use super::home::{Home, text};
use super::report::{Row, Samples};
use crate::Result;

const CAP: u64 = 64 << 20;
/// Time between two looks.
const STEP: Duration = Duration::from_millis(50);

/// `yes` for some seconds.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "cap")?;
    let task = json!({"command": "yes", "limits": {"log_bytes": CAP}});
    let (_, task) = home.start(&task, &[])?;
    let log = home.log(&text(&task, "id")?);
    let mut taken = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(if setup.quick { 1 } else { 5 }) {
        std::thread::sleep(STEP);
        taken.push((fs::metadata(&log)?.blocks() * 512) as f64 / f64::from(1 << 20));
    }
    let seconds = start.elapsed().as_secs_f64();
    let printed = fs::metadata(&log)?.len() as f64 / 1e6 / seconds;
    home.stop_all()?;
    let most = taken.iter().copied().fold(0.0, f64::max);
    let cap = (CAP >> 20) as f64;
    Ok(vec![
        Row::new(
            "yes under a cap of 64 MiB",
            "MiB",
            taken.into_iter().collect(),
        )
        .against(cap)
        .remark(|_| format!("{printed:.0} MB/s")),
        Row::new("the most of it", "MiB", Samples::from_iter([most])).against(cap),
    ])
}
