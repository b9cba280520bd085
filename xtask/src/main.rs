//! The chores of this repository, run as `cargo xtask CHORE`.
//!
//! - `build`: the static binary that people install, for this machine;
//! - `schemas`: the JSON Schemas as files; with `--check`, whether they are up to date;
//! - `assets`: shell completions and man pages; with `--check`, whether they are up to date;
//! - `ci`: everything that a change must pass;
//! - `npm`: the packages of the npm registry, built, packed and tried out;
//! - `instructions`: how many instructions the everyday commands take; with `--check`, whether that
//!   is what is written down;
//! - `chaos`: kill callers, supervisors and commands everywhere, and check that it is still right;
//! - `fuzz`: hostile input for everything that is read, briefly or for as long as it is told;
//! - `bench`: what starting, asking, waiting and stopping cost, beside what a shell costs;
//! - `soak`: an ordinary day in minutes, in which nothing may grow.

// Talking to the person at the terminal is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use workspace::Workspace;

mod assets;
mod bench;
#[cfg(target_os = "linux")]
mod chaos;
mod ci;
mod command;
mod forbid;
mod fuzz;
mod instructions;
mod npm;
mod random;
mod schemas;
mod soak;
mod static_build;
mod toolchain;
mod workspace;

/// A chore fails with a sentence for the person who ran it.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: cargo xtask build
       cargo xtask schemas [--check]
       cargo xtask assets [--check]
       cargo xtask instructions [--check]
       cargo xtask ci
       cargo xtask npm [--check | --binaries FOLDER]
       cargo xtask chaos [--quick] [--seed N] [--minutes M] [--round N] [--lane TITLE]
       cargo xtask fuzz [--target NAME] [--seconds N]
       cargo xtask bench [--quick] [--only NAME]
       cargo xtask soak [--minutes M] [--short N] [--long N] [--seed N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match chore(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn chore(arguments: &[String]) -> Result {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["build"] => static_build::build(&Workspace::find()?).map(drop),
        ["schemas"] => schemas::write(&Workspace::find()?),
        ["schemas", "--check"] => {
            println!("{} files", schemas::check(&Workspace::find()?)?);
            Ok(())
        }
        ["assets"] => assets::write(&Workspace::find()?),
        ["assets", "--check"] => {
            println!("{} files", assets::check(&Workspace::find()?)?);
            Ok(())
        }
        ["instructions"] => instructions::write(&Workspace::find()?),
        ["instructions", "--check"] => {
            println!("{}", instructions::check(&Workspace::find()?)?);
            Ok(())
        }
        ["ci"] => ci::run(&Workspace::find()?),
        ["npm", options @ ..] => npm::run(&Workspace::find()?, options),
        #[cfg(target_os = "linux")]
        ["chaos", options @ ..] => chaos::run(&Workspace::find()?, options),
        ["fuzz", options @ ..] => fuzz::run(&Workspace::find()?, options),
        ["bench", options @ ..] => bench::run(&Workspace::find()?, options),
        ["soak", options @ ..] => soak::run(&Workspace::find()?, options),
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}
