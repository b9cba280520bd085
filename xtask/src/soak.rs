//! `cargo xtask soak`: an ordinary day in minutes, and nothing may grow.
//!
//! Thousands of short tasks come and go beside a few hundred that live the whole time, while
//! every verb is used on them at random. Memory, descriptors and disk are read all along; in the
//! end they must be what they were after the first quarter, and every exit code must be true.

mod day;
mod gauge;

use std::time::{Duration, Instant};

use crate::bench::home::Home;
use crate::random::Random;
use crate::workspace::Workspace;
use crate::{Result, static_build};
use day::Day;
use gauge::{Gauge, Readings};

/// How much of the day one figure may differ from the same figure after the first quarter.
const TOLERANCE: f64 = 1.10;
/// Between two readings.
const READING: Duration = Duration::from_secs(5);

/// What is asked for.
struct Options {
    minutes: f64,
    short: u32,
    long: u32,
    seed: u64,
}

/// Runs the day that the options describe.
pub fn run(workspace: &Workspace, options: &[&str]) -> Result {
    let options = parse(options)?;
    let binary = static_build::build(workspace)?;
    let folder = workspace.target.join("soak");
    crate::bench::remove(&folder)?;
    std::fs::create_dir_all(&folder)?;
    let Options {
        minutes,
        short,
        long,
        seed,
    } = options;
    println!("soak: seed {seed}, {minutes} minutes, {short} short tasks beside {long} long ones");
    let outcome = live(&Home::at(binary, folder.join("home")), &options);
    crate::bench::remove(&folder)?;
    outcome
}

fn live(home: &Home, options: &Options) -> Result {
    // Few enough that there are as many after the first quarter as in the end.
    let kept = options.short / 20;
    let mut day = Day::begin(home, Random::of_round(options.seed, 0), options.long, kept)?;
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let pace = length / options.short.max(1);
    let begun = Instant::now();
    let mut gauge = Gauge::new(home);
    let mut next_reading = READING;
    for number in 0..options.short {
        day.short_task(number)?;
        day.some_verb()?;
        if begun.elapsed() >= next_reading {
            next_reading += READING;
            day.tidy_up()?;
            gauge.read(&day.supervisors()?, begun.elapsed())?;
        }
        std::thread::sleep((pace * (number + 1)).saturating_sub(begun.elapsed()));
    }
    day.tidy_up()?;
    day.end()?;
    gauge.print();
    flat(&gauge)
}

/// Compares the last quarter of the day with the second.
fn flat(gauge: &Gauge<'_>) -> Result {
    let all = gauge.readings();
    if all.len() < 8 {
        return Err(format!("{} readings are too few to compare", all.len()).into());
    }
    let quarter = all.len() / 4;
    let before = Readings::median_of(&all[quarter..2 * quarter]);
    let after = Readings::median_of(&all[all.len() - quarter..]);
    let mut grown = Vec::new();
    for (name, before, after) in before.beside(&after) {
        println!("soak: {name}: {before:.0}, then {after:.0}");
        if after > before * TOLERANCE + 1.0 {
            grown.push(format!("{name} grew from {before:.0} to {after:.0}"));
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(grown.join("; ").into())
}

fn parse(words: &[&str]) -> Result<Options> {
    const USAGE: &str = "usage: cargo xtask soak [--minutes M] [--short N] [--long N] [--seed N]";
    let mut options = Options {
        minutes: 10.0,
        short: 10_000,
        long: 200,
        seed: 1,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match *word {
            "--minutes" => options.minutes = value.parse()?,
            "--short" => options.short = value.parse()?,
            "--long" => options.long = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    if !(0.1..=24.0 * 60.0).contains(&options.minutes) {
        return Err("--minutes: from 0.1 to 1440".into());
    }
    Ok(options)
}
