//! `cargo xtask bench`: what the everyday commands cost, beside what a shell or the kernel needs.
//!
//! Contenders take turns in one run, since absolute times move with the machine; the ratio to
//! the first of a group is what can be compared. All output is read through a pipe to its end,
//! as agents do. Each group has fresh folders under `target/bench`, on the disk of the checkout.

mod alternatives;
mod cap;
mod count;
mod follow;
mod frames;
mod grep;
pub mod home;
mod large_log;
mod list;
mod log;
pub mod memory;
mod race;
pub mod report;
mod start;
mod status;
mod stop;
mod storm;
mod tail;
mod wait;

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;
use crate::{Result, static_build};
use report::Row;

/// A group of measurements.
type Group = (&'static str, fn(&Setup) -> Result<Vec<Row>>);

const GROUPS: [Group; 15] = [
    ("start", start::measure),
    ("storm", storm::measure),
    ("status", status::measure),
    ("list", list::measure),
    ("wait", wait::measure),
    ("memory", memory::measure),
    ("log", log::measure),
    ("cap", cap::measure),
    ("tail", tail::measure),
    ("count", count::measure),
    ("grep", grep::measure),
    ("frames", frames::measure),
    ("follow", follow::measure),
    ("stop", stop::measure),
    ("alternatives", alternatives::measure),
];

/// What every group is given.
pub struct Setup {
    /// The binary under test.
    binary: PathBuf,
    /// Where homes and scratch files go.
    folder: PathBuf,
    /// Fewer rounds, and less of what takes long.
    quick: bool,
}

impl Setup {
    /// The number of rounds: all, or those of a quick run.
    fn rounds(&self, all: usize, quick: usize) -> usize {
        if self.quick { quick } else { all }
    }
}

/// Measures the groups that the options ask for, prints a table and writes `results.json`.
pub fn run(workspace: &Workspace, options: &[&str]) -> Result {
    let (quick, only) = parse(options)?;
    let binary = static_build::build(workspace)?;
    let folder = workspace.target.join("bench");
    let scratch = folder.join("scratch");
    remove(&scratch)?;
    fs::create_dir_all(&scratch)?;
    let setup = Setup {
        binary,
        folder: scratch.clone(),
        quick,
    };
    let mut rows = Vec::new();
    let outcome = measure(&setup, only, &mut rows);
    // What was measured before a failure is worth having.
    report::print(&rows);
    report::write(&folder.join("results.json"), &setup, &rows)?;
    remove(&scratch)?;
    outcome
}

fn measure(setup: &Setup, only: Option<&str>, rows: &mut Vec<Row>) -> Result {
    for (name, group) in GROUPS
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        println!("measuring {name}");
        // What the group before has written is not to be in the way of this one.
        nix::unistd::sync();
        let measured = group(setup).map_err(|problem| format!("{name}: {problem}"))?;
        rows.extend(measured.into_iter().map(|row| row.of(name)));
    }
    Ok(())
}

fn parse<'a>(options: &[&'a str]) -> Result<(bool, Option<&'a str>)> {
    match options {
        [] => Ok((false, None)),
        ["--quick", rest @ ..] => parse(rest).map(|(_, only)| (true, only)),
        ["--only", name, rest @ ..] if GROUPS.iter().any(|(known, _)| known == name) => {
            parse(rest).map(|(quick, _)| (quick, Some(*name)))
        }
        _ => {
            let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "usage: cargo xtask bench [--quick] [--only {}]",
                names.join("|")
            )
            .into())
        }
    }
}

/// Removes a folder, if it is there.
pub fn remove(folder: &Path) -> Result {
    match fs::remove_dir_all(folder) {
        Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {problem}", folder.display()).into())
        }
        _ => Ok(()),
    }
}
