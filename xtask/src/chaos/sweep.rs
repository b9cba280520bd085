//! A round that kills at one system call of one life.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use super::lanes::Lane;
use super::random::Random;
use super::round::{Round, Victim};
use super::trace::{Reached, Role, Tracer};

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
    let mut tracer = if lane.role == Role::Present {
        let present = round.supervisors("a");
        let present = *present.first().ok_or("there is no supervisor")?;
        let tracer = Tracer::of_present(present).map_err(|e| format!("seize: {e}"))?;
        round.spawn(call)?;
        tracer
    } else {
        let (caller, mut pipe) = round.prepare(call)?;
        let pid = round.callers[caller].pid;
        let tracer = Tracer::of_caller(pid, lane.role).map_err(|e| format!("seize: {e}"))?;
        pipe.write_all(b"go\n")
            .map_err(|e| format!("cannot let it go: {e}"))?;
        tracer
    };
    let reached = tracer.until(round.children, number, LONGEST);
    let hit = matches!(reached, Reached::At { .. });
    if let Reached::At { pid, call } = reached {
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
    Ok((counted, hit))
}

/// Two at once: whoever else the task has.
fn kill_another(round: &mut Round<'_>, victim: Victim) {
    if victim == Victim::Supervisor {
        round.kill_command("a");
    } else {
        round.kill_supervisors("a");
    }
}
