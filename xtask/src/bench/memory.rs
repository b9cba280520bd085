//! What an idle supervisor keeps of the machine: memory, and wake-ups, of which there are none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::Setup;
use super::home::{Home, pid};
use super::report::{Row, Samples};
use crate::Result;

/// So many supervisors share what can be shared.
const SUPERVISORS: usize = 100;
/// How long they are left alone.
const IDLE: Duration = Duration::from_secs(3);

/// A hundred idle supervisors at once; only where there is `/proc`.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    if !cfg!(target_os = "linux") {
        println!("memory: left out, it needs /proc");
        return Ok(Vec::new());
    }
    let home = Home::new(setup, "memory")?;
    let mut supervisors = Vec::new();
    for _ in 0..SUPERVISORS {
        let (_, task) = home.start(&json!({"command": "sleep", "args": ["600"]}), &[])?;
        supervisors.push(parent(pid(&task)?)?);
    }
    // Whatever a start leaves to be done is done by then.
    std::thread::sleep(Duration::from_secs(1));
    let of_each = |read: &dyn Fn(u32) -> Result<f64>| -> Result<Samples> {
        supervisors
            .iter()
            .map(|supervisor| read(*supervisor))
            .collect()
    };
    let before = supervisors
        .iter()
        .map(|pid| switches(*pid))
        .collect::<Result<Vec<f64>>>()?;
    std::thread::sleep(IDLE);
    let after = supervisors
        .iter()
        .map(|pid| switches(*pid))
        .collect::<Result<Vec<f64>>>()?;
    let woken: f64 = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before)
        .sum();
    let rollup = |pid: u32, name: &str| field(format!("/proc/{pid}/smaps_rollup"), name);
    Ok(vec![
        Row::new(
            "supervisor, PSS with 100",
            "KiB",
            of_each(&|pid| rollup(pid, "Pss"))?,
        ),
        Row::new(
            "supervisor, private dirty",
            "KiB",
            of_each(&|pid| rollup(pid, "Private_Dirty"))?,
        ),
        Row::new(
            "wake-ups of 100 idle for 3 s",
            "",
            Samples::from_iter([woken]),
        ),
    ])
}

/// KiB of memory that a process needs, what it shares divided among those who do.
pub fn pss(pid: i32) -> Result<f64> {
    field(format!("/proc/{pid}/smaps_rollup"), "Pss")
}

/// KiB of memory that a process has to itself and has written to.
pub fn private_dirty(pid: i32) -> Result<f64> {
    field(format!("/proc/{pid}/smaps_rollup"), "Private_Dirty")
}

/// The parent of a process.
pub fn parent(pid: i32) -> Result<u32> {
    Ok(field(format!("/proc/{pid}/status"), "PPid")? as u32)
}

/// How often the threads of a process have been taken off a processor.
pub fn switches(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = thread?.path().join("status");
        sum += field(&status, "voluntary_ctxt_switches")?;
        sum += field(&status, "nonvoluntary_ctxt_switches")?;
    }
    Ok(sum)
}

/// The number in the line `NAME: NUMBER …`.
fn field(path: impl AsRef<Path>, name: &str) -> Result<f64> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{} has no number {name}", path.display()).into())
}
