//! What a run tells: its seed, what it found, and how much it has attacked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::lanes::Lane;
use super::proc;
use super::round::{Round, Victim};
use super::sweep::Coverage;

/// Counts over all rounds.
#[derive(Default)]
pub struct Tally {
    pub rounds: u64,
    pub sweeps: u64,
    pub storms: u64,
    pub commands: usize,
    pub violations: u64,
    kills: BTreeMap<Victim, usize>,
}

impl Tally {
    pub fn add(&mut self, round: &Round<'_>) {
        self.rounds += 1;
        self.commands += round.callers.len();
        for kill in &round.kills {
            *self.kills.entry(kill.victim).or_default() += 1;
        }
    }
}

/// Everything about a round that went wrong.
pub fn print_violation(round: &Round<'_>, seed: u64, number: u64, title: &str) {
    println!("VIOLATION in round {number} of seed {seed}: {title}");
    println!("  again: cargo xtask chaos --seed {seed} --round {number}");
    for problem in &round.problems {
        println!("  ! {problem}");
    }
    println!("  what was done:");
    round.history.iter().for_each(|line| println!("    {line}"));
}

/// The processes and files of a home as they are now.
pub fn print_state(round: &Round<'_>) {
    println!("state of round {} with problems:", round.folder.display());
    for found in proc::of_home(&round.home) {
        println!("    {}", proc::describe(&found));
    }
    print_files(&round.folder, &round.folder);
}

fn print_files(folder: &Path, root: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap_or(&path).display();
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        if found.is_dir() {
            println!("    {name}/");
            print_files(&path, root);
        } else if found.is_file() && found.len() == 0 && folder == root {
            // A caller that has printed nothing.
        } else if found.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_matches(['\0', '\n']);
            println!("    {name} ({} bytes)", found.len());
            text.lines()
                .take(40)
                .for_each(|line| println!("      | {}", line.escape_debug()));
        } else {
            println!("    {name} {:?}", found.file_type());
        }
    }
}

/// The counts at the end.
pub fn print(tally: &Tally, coverage: &Coverage, lanes: &[Lane], time: Duration) {
    if !coverage.lengths.is_empty() {
        println!("system calls at which somebody was killed, of those that the life has:");
    }
    let mut covered = 0;
    let mut total = 0;
    for (index, lane) in lanes.iter().enumerate() {
        let length = coverage.lengths.get(&index).copied().unwrap_or(0);
        let reached = coverage.reached.get(&index).map_or(0, |set| {
            set.iter().filter(|k| length == 0 || **k <= length).count()
        });
        if length > 0 {
            println!("  {:<40} {reached:>4} of {length:>4}", lane.title());
        }
        covered += reached;
        total += length;
    }
    let counted = if total > 0 {
        format!(" of {total}")
    } else {
        String::new()
    };
    let kills = |victim| tally.kills.get(&victim).copied().unwrap_or(0);
    println!(
        "{} rounds ({} sweeps, {} storms) in {:.0} s, {} commands answered or were killed",
        tally.rounds,
        tally.sweeps,
        tally.storms,
        time.as_secs_f64(),
        tally.commands,
    );
    println!(
        "kills: {} callers, {} supervisors, {} commands; boundaries: {covered}{counted}; violations: {}",
        kills(Victim::Caller),
        kills(Victim::Supervisor),
        kills(Victim::Command),
        tally.violations,
    );
}
