//! A round that kills at one system call of one life.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use super::call::{Answer, Call};
use super::lanes::Lane;
use super::proc::{self, Kind};
use super::round::{Round, Victim};
use super::storm;
use super::trace::Tracer;
use super::tracee::{Reached, Role};
use serde_json::json;

use crate::random::Random;

/// What has been swept so far.
#[derive(Default)]
pub struct Coverage {
    /// How many system calls each lane has, as counted when nobody was killed.
    pub lengths: BTreeMap<usize, u32>,
    /// The boundaries at which somebody was killed.
    pub reached: BTreeMap<usize, BTreeSet<u32>>,
}

/// How long a life is followed.
const LONGEST: Duration = Duration::from_secs(8);

/// The boundary of a lane that is next. Steps through all of them from a place that the seed names.
pub fn boundary(seed: u64, lane: usize, turn: u64, length: u32) -> u32 {
    // A few more than were counted: no two runs are quite the same.
    let length = u64::from(length) + 2;
    let first = Random::of_round(seed, lane as u64).below(length);
    u32::try_from((first + turn) % length).unwrap_or(0) + 1
}

/// So many lanes in an order of the seed.
pub fn shuffled(seed: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|lane| Random::of_round(seed, *lane as u64).below(u64::MAX));
    order
}

/// Attacks; without a number the system calls are only counted.
pub fn attack(
    round: &mut Round<'_>,
    lane: &Lane,
    number: Option<u32>,
    random: &mut Random,
) -> Result<(u32, bool), String> {
    lane.prepare(round)?;
    let call = lane.attacked(round);
    // A supervisor that is held for a while lets others act in between.
    let hold = if random.percent(30) {
        random.moment(30)
    } else {
        Duration::ZERO
    };
    let too = random.percent(15);
    let (mut tracer, attacked) = if lane.role == Role::Present {
        let present = round.supervisors("a");
        let present = *present.first().ok_or("there is no supervisor")?;
        let tracer = Tracer::of_present(present).map_err(|e| format!("seize: {e}"))?;
        (tracer, round.spawn(call)?)
    } else {
        let (caller, mut pipe) = round.prepare(call)?;
        let pid = round.callers[caller].pid;
        let tracer = Tracer::of_caller(pid, lane.role).map_err(|e| format!("seize: {e}"))?;
        pipe.write_all(b"go\n")
            .map_err(|e| format!("cannot let it go: {e}"))?;
        (tracer, caller)
    };
    let reached = tracer.until(round.children, number, LONGEST);
    let hit = matches!(reached, Reached::At { .. });
    if let Reached::At { pid, call } = reached {
        if random.percent(25) {
            // Somebody else comes while it stands there with whatever it holds.
            let call = storm::any_call(round, random, "a", &["a", "b"]);
            round.spawn(call)?;
        }
        tracer.serve(round.children, hold);
        let victim = match lane.role {
            Role::Caller => Victim::Caller,
            Role::Launched | Role::Present => Victim::Supervisor,
            Role::Command => Victim::Command,
        };
        let why = format!("before system call {call}, its {}th", tracer.count);
        round.kill(victim, pid, &why);
        if too {
            kill_another(round, victim);
        }
    }
    let counted = tracer.release(round.children)?;
    check_promise(round, attacked)?;
    note_start(round, attacked)?;
    if round.last_start.is_some() && random.percent(40) {
        // It is the same start that runs again.
        round.ask(Call::new("restart", json!({ "id": "a" })))?;
    }
    Ok((counted, hit))
}

/// Who is told that a task was stopped or removed can rely on it that nothing of it is left, unless
/// somebody else has started it since.
fn check_promise(round: &mut Round<'_>, attacked: usize) -> Result<(), String> {
    let is_alone = attacked + 1 == round.callers.len();
    let verb = round.callers[attacked].call.verb;
    if !is_alone || !["stop", "remove"].contains(&verb) {
        return Ok(());
    }
    if let Answer::Ok(_) = round.finish(attacked)? {
        for found in proc::of_home(&round.home) {
            if matches!(found.kind, Kind::OfTask { run: Some(_), .. }) {
                round.problem(format!(
                    "{verb} is done, and alive is {}",
                    proc::describe(&found)
                ));
            }
        }
    }
    Ok(())
}

/// A start that is answered with ok is what the task is from then on.
fn note_start(round: &mut Round<'_>, attacked: usize) -> Result<(), String> {
    let call = &round.callers[attacked].call;
    let mark = call.payload["name"].as_str().map(str::to_owned);
    let is_alone = attacked + 1 == round.callers.len();
    if call.verb == "start"
        && is_alone
        && let Answer::Ok(_) = round.finish(attacked)?
    {
        round.last_start = mark;
    }
    Ok(())
}

/// Two at once: whoever else the task has.
fn kill_another(round: &mut Round<'_>, victim: Victim) {
    if victim == Victim::Supervisor {
        round.kill_command("a");
    } else {
        round.kill_supervisors("a");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_boundaries_have_their_turn() {
        let turns: BTreeSet<u32> = (0..12).map(|turn| boundary(7, 3, turn, 10)).collect();
        assert_eq!(turns, (1..=12).collect());
        let first: BTreeSet<u32> = (0..50).map(|seed| boundary(seed, 3, 0, 10)).collect();
        assert!(first.len() > 6, "seeds begin elsewhere: {first:?}");
    }
}
