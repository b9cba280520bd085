//! Contenders that take turns, and the clock that they are held to.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::report::{Row, Samples};
use crate::{Result, command};

/// Between two turns. What one has left to be done in the background is not to slow down the next: it
/// made a shell beside us a quarter slower.
const REST: Duration = Duration::from_millis(3);

/// Something that can be measured again and again; one turn answers with a figure.
pub struct Contender<'a> {
    name: String,
    turn: Box<dyn FnMut() -> Result<f64> + 'a>,
}

impl<'a> Contender<'a> {
    /// Its name in the table, and one turn.
    pub fn new(name: impl Into<String>, turn: impl FnMut() -> Result<f64> + 'a) -> Self {
        Self {
            name: name.into(),
            turn: Box::new(turn),
        }
    }
}

/// Lets the contenders take turns in milliseconds, with a short rest between them; `between` runs
/// after each round, untimed.
///
/// The first contender is the one that the others are compared with. Who begins changes with
/// each round; the first round warms up and is not counted.
pub fn race(
    rounds: usize,
    mut contenders: Vec<Contender<'_>>,
    mut between: impl FnMut(usize) -> Result,
) -> Result<Vec<Row>> {
    let count = contenders.len();
    let mut samples = vec![Samples::default(); count];
    for round in 0..=rounds {
        for place in 0..count {
            std::thread::sleep(REST);
            let index = (place + round) % count;
            let figure = (contenders[index].turn)()?;
            if round > 0 {
                samples[index].push(figure);
            }
        }
        between(round)?;
    }
    let base = samples[0].median();
    let rows = contenders.into_iter().zip(samples);
    Ok(rows
        .map(|(contender, samples)| Row::new(contender.name, "ms", samples).against(base))
        .collect())
}

/// Milliseconds until a program has closed its standard output and ended, and what it printed.
pub fn timed(command: &mut Command) -> Result<(f64, Vec<u8>)> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| command::cannot_run(command, &problem))?;
    let mut printed = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut printed)?;
    }
    let status = child.wait()?;
    let time = milliseconds(start);
    if status.success() {
        Ok((time, printed))
    } else {
        Err(format!("{status}: {}", command::line(command)).into())
    }
}

/// Milliseconds since then.
pub fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
