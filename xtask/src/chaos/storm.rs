//! A round in which everybody does something to a few tasks at once, and anybody may be killed at
//! any time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::Call;
use super::proc;
use super::round::{Round, Victim};
use crate::random::Random;

const IDS: [&str; 3] = ["a", "b", "c"];

/// Something that happens at its time.
enum Event {
    Call(Call),
    KillCaller(usize),
    KillSupervisor(&'static str),
    KillCommand(&'static str),
}

/// Makes its plan from the round's choices and carries it out.
pub fn attack(round: &mut Round<'_>, random: &mut Random) -> Result<(), String> {
    let ids = &IDS[..1 + usize::try_from(random.below(3)).unwrap_or(0)];
    for id in ids {
        if random.percent(50) {
            let payload = round.scripts.any_start(random, Some(id), ids);
            let number = round.spawn(Call::new("start", payload))?;
            round.finish(number)?;
        }
    }
    let mut plan = plan(round, random, ids);
    plan.sort_by_key(|(at, _)| *at);
    let first = round.callers.len();
    let begun = Instant::now();
    for (at, event) in plan {
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
        round.children.hear();
        carry_out(round, event, first)?;
    }
    Ok(())
}

fn plan(
    round: &mut Round<'_>,
    random: &mut Random,
    ids: &'static [&'static str],
) -> Vec<(Duration, Event)> {
    let calls = 2 + random.below(6);
    let span = 5 + random.below(60);
    let mut plan = Vec::new();
    for _ in 0..calls {
        let id = *random.pick(ids);
        plan.push((
            random.moment(span),
            Event::Call(any_call(round, random, id, ids)),
        ));
    }
    for _ in 0..1 + random.below(4) {
        let id = *random.pick(ids);
        let event = match random.below(10) {
            0..3 => Event::KillCaller(usize::try_from(random.below(calls)).unwrap_or(0)),
            3..7 => Event::KillSupervisor(id),
            _ => Event::KillCommand(id),
        };
        plan.push((random.moment(span + 30), event));
    }
    plan
}

fn carry_out(round: &mut Round<'_>, event: Event, first: usize) -> Result<(), String> {
    match event {
        Event::Call(call) => {
            round.spawn(call)?;
        }
        Event::KillCaller(number) => {
            let caller = round.callers.get(first + number).map(|caller| caller.pid);
            // One that has ended may have given its pid to somebody else.
            if let Some(pid) = caller
                && round.children.end_of(pid).is_none()
                && proc::is_alive(pid)
            {
                round.kill(Victim::Caller, pid, "");
            }
        }
        Event::KillSupervisor(id) => {
            round.kill_supervisors(id);
        }
        Event::KillCommand(id) => {
            round.kill_command(id);
        }
    }
    Ok(())
}

/// Anything that can be asked of a task.
pub fn any_call(round: &mut Round<'_>, random: &mut Random, id: &str, ids: &[&str]) -> Call {
    let one = json!({ "id": id });
    match random.below(100) {
        0..30 => {
            let named = random.percent(85).then_some(id);
            let payload = round.scripts.any_start(random, named, ids);
            let call = Call::new("start", payload);
            if random.percent(30) {
                call.within("1").with("--wait")
            } else {
                call
            }
        }
        30..42 => Call::new("stop", json!({ "id": id, "grace_ms": random.below(100) })),
        42..54 => Call::new("restart", one),
        54..60 => Call::new("remove", one),
        60..63 => Call::new("prune", json!({ "keep": 0 })),
        63..72 => Call::new("recover", json!({})),
        72..77 => Call::new("pause", one),
        77..81 => Call::new("resume", one),
        81..84 => Call::new(
            "signal",
            json!({ "id": id, "signal": *random.pick(&["SIGTERM", "SIGUSR1"]) }),
        ),
        84..88 => Call::new(
            "send",
            json!({ "id": id, "text": "go\n", "eof": random.percent(50) }),
        ),
        88..92 => Call::new("wait", one).within("1"),
        92..94 => Call::new("events", one).within("1").with("--follow"),
        94..97 => Call::new("logs", one),
        _ => Call::new("list", Value::Object(serde_json::Map::new())),
    }
}
