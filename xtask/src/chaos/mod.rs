//! `cargo xtask chaos`: kill everything, everywhere, and see whether it is still right.
//!
//! Each round has a home of its own. Most rounds sweep: they kill at one system call of one life (see
//! `lanes.rs`), each in turn. Every fourth is a storm: many callers at once, and anybody is killed at
//! any time. After each round the invariants are checked, with nothing but the program's
//! own answers, the kernel's processes and the notes that the commands themselves have left. Then
//! everything is cleaned up by the program's own verbs, and nothing may be left.
//!
//! The choices of a round depend on the seed and its number only. What the kernel does with them
//! does not; a violation may need a few tries to show again.

mod call;
mod calls;
mod children;
mod cleaning;
mod invariants;
mod lanes;
mod options;
mod proc;

mod report;
mod round;
mod scripts;
mod situations;
mod storm;
mod sweep;
mod trace;
mod tracee;
mod truth;
mod verdict;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::random::Random;
use crate::workspace::Workspace;
use crate::{Result, command};
use children::Children;
use lanes::Lane;
use options::Options;
use report::Tally;
use round::{INTERRUPTED, Round};
use sweep::Coverage;

/// An attack under way.
struct Attack {
    options: Options,
    binary: PathBuf,
    scratch: PathBuf,
    lanes: Vec<Lane>,
    /// In which they take turns. A short run gets to a few only: which ones is the seed's choice.
    order: Vec<usize>,
    children: Children,
    coverage: Coverage,
    tally: Tally,
}

/// Attacks as the options say.
pub fn run(workspace: &Workspace, words: &[&str]) -> Result {
    let options = Options::parse(words)?;
    if options.binary.is_none() {
        command::run(&mut workspace.cargo(&["build", "--package", "background-tasks"]))?;
    }
    attack(workspace, options).map(drop)
}

/// The short attack of the gate, on the binary that it has built.
pub fn check(workspace: &Workspace) -> Result<String> {
    let tally = attack(workspace, Options::quick())?;
    Ok(format!("{} rounds", tally.rounds))
}

fn attack(workspace: &Workspace, options: Options) -> Result<Tally> {
    let begun = Instant::now();
    let binary = options.binary.clone();
    let scratch = workspace
        .target
        .join(format!("chaos/{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    // What is orphaned by a kill becomes our child, so that no exit status stays for ever.
    nix::sys::prctl::set_child_subreaper(true)?;
    // A second attack in the same process keeps the first handler.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    println!("chaos: seed {}", options.seed);
    let mut lanes = lanes::all();
    lanes.retain(|lane| lane.title().contains(&options.lane));
    if lanes.is_empty() {
        return Err(format!("no lane is called {}", options.lane).into());
    }
    let mut attack = Attack {
        binary: binary.unwrap_or_else(|| workspace.target.join("debug/background-tasks")),
        order: sweep::shuffled(options.seed, lanes.len()),
        options,
        scratch,
        lanes,
        children: Children::default(),
        coverage: Coverage::default(),
        tally: Tally::default(),
    };
    attack.all_rounds(begun)?;
    report::print(
        &attack.tally,
        &attack.coverage,
        &attack.lanes,
        begun.elapsed(),
    );
    if attack.tally.violations > 0 {
        return Err(format!(
            "{} rounds ended in disorder; see {}",
            attack.tally.violations,
            attack.scratch.display()
        )
        .into());
    }
    fs::remove_dir_all(&attack.scratch)?;
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err("interrupted".into());
    }
    Ok(attack.tally)
}

impl Attack {
    fn all_rounds(&mut self, begun: Instant) -> Result {
        if let Some(number) = self.options.round {
            for _ in 0..self.options.rounds.unwrap_or(1) {
                self.round(number)?;
            }
            return Ok(());
        }
        let mut number = 0;
        while begun.elapsed() < self.options.time
            && self.options.rounds.is_none_or(|most| number < most)
        {
            if INTERRUPTED.load(Ordering::Relaxed) {
                break;
            }
            self.round(number)?;
            number += 1;
            if number % 1000 == 0 {
                println!(
                    "chaos: {number} rounds, {:.0} s",
                    begun.elapsed().as_secs_f64()
                );
            }
        }
        Ok(())
    }

    /// Every fourth round is a storm; the others sweep.
    fn round(&mut self, number: u64) -> Result {
        if number % 4 == 3 {
            self.tally.storms += 1;
            return self.one(number, "storm", |_, round, random| {
                storm::attack(round, random)
            });
        }
        let turn = number - number / 4;
        let count = self.lanes.len() as u64;
        let lane = self.order[usize::try_from(turn % count)?];
        let title = self.lanes[lane].title();
        let is_counted = self.coverage.lengths.contains_key(&lane);
        if !is_counted && self.options.assumed.is_none() {
            // Undisturbed, and checked like every other.
            self.one(number, &format!("{title}, counted"), |this, round, _| {
                let calm = &mut Random::of_round(0, 0);
                let (length, _) = sweep::attack(round, &this.lanes[lane], None, calm)?;
                this.coverage.lengths.insert(lane, length);
                Ok(())
            })?;
        }
        let length = self.coverage.lengths.get(&lane).copied();
        let length = length.or(self.options.assumed).unwrap_or(0);
        let at = sweep::boundary(self.options.seed, lane, turn / count, length);
        self.tally.sweeps += 1;
        self.one(
            number,
            &format!("{title}, system call {at}"),
            |this, round, random| {
                let (_, hit) = sweep::attack(round, &this.lanes[lane], Some(at), random)?;
                if hit {
                    this.coverage.reached.entry(lane).or_default().insert(at);
                }
                Ok(())
            },
        )
    }

    fn one(
        &mut self,
        number: u64,
        title: &str,
        act: impl FnOnce(&mut Self, &mut Round<'_>, &mut Random) -> std::result::Result<(), String>,
    ) -> Result {
        let mut random = Random::of_round(self.options.seed, number);
        let mut children = std::mem::take(&mut self.children);
        let mut round = Round::new(
            self.binary.clone(),
            &self.scratch.join(format!("{}-{number}", self.tally.rounds)),
            &mut children,
        )?;
        let outcome = act(self, &mut round, &mut random)
            .and_then(|()| invariants::check(&mut round))
            .inspect(|()| {
                if !round.problems.is_empty() {
                    report::print_state(&round);
                }
            })
            .and_then(|()| cleaning::clean(&mut round, &mut random));
        if let Err(problem) = outcome {
            round.problem(problem);
        }
        self.tally.add(&round);
        let is_bad = !round.problems.is_empty() && !INTERRUPTED.load(Ordering::Relaxed);
        if is_bad {
            self.tally.violations += 1;
            report::print_state(&round);
            report::print_violation(&round, self.options.seed, number, title);
        }
        let folder = round.folder.clone();
        drop(round);
        self.children = children;
        if !is_bad {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}
