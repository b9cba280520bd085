//! What is asked for on the command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::Result;

#[derive(Debug)]
pub struct Options {
    pub seed: u64,
    pub time: Duration,
    /// At most so many; with `round`, how often that one.
    pub rounds: Option<u64>,
    /// Only this one.
    pub round: Option<u64>,
    pub binary: Option<PathBuf>,
    /// Only lanes with this in their title.
    pub lane: String,
    /// How many boundaries a life is taken to have, where there is no time to count them.
    pub assumed: Option<u32>,
}

const USAGE: &str = "usage: cargo xtask chaos [--seed N] [--minutes M] [--rounds N] [--round N] [--lane TITLE] [--binary PATH] [--quick]";

impl Options {
    /// What the gate runs: always the same choices, in a time that it can spare.
    pub fn quick() -> Self {
        Self {
            seed: 1,
            time: Duration::from_secs(25),
            rounds: Some(200),
            round: None,
            binary: None,
            lane: String::new(),
            assumed: Some(36),
        }
    }

    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            seed: SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos().into(),
            time: Duration::from_secs(60),
            rounds: None,
            round: None,
            binary: None,
            lane: String::new(),
            assumed: None,
        };
        let mut rest = words;
        loop {
            rest = match rest {
                [] => return Ok(options),
                ["--quick", rest @ ..] => {
                    options = Self::quick();
                    rest
                }
                ["--seed", seed, rest @ ..] => {
                    options.seed = seed.parse()?;
                    rest
                }
                ["--minutes", minutes, rest @ ..] => {
                    options.time = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
                    rest
                }
                ["--rounds", rounds, rest @ ..] => {
                    options.rounds = Some(rounds.parse()?);
                    rest
                }
                ["--round", round, rest @ ..] => {
                    options.round = Some(round.parse()?);
                    rest
                }
                ["--lane", lane, rest @ ..] => {
                    options.lane = (*lane).to_owned();
                    rest
                }
                ["--binary", binary, rest @ ..] => {
                    options.binary = Some(std::path::absolute(binary)?);
                    rest
                }
                _ => return Err(USAGE.into()),
            }
        }
    }
}
