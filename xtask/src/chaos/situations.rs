//! What there is before a sweep begins.

use serde_json::json;

use super::call::Call;
use super::round::Round;
use super::scripts::{Kind, restarting};
use crate::random::Random;

pub fn nothing(_: &mut Round<'_>) -> Result<(), String> {
    Ok(())
}

fn begin(round: &mut Round<'_>, kind: Kind) -> Result<(), String> {
    let payload = round.scripts.start(Some("a"), kind);
    round.ask(Call::new("start", payload)).map(drop)?;
    await_begun(round, "a")
}

fn await_begun(round: &mut Round<'_>, id: &str) -> Result<(), String> {
    round.eventually("the command has begun", |round| {
        round.scripts.truth.read().latest(id).is_some()
    })
}

pub fn running(round: &mut Round<'_>) -> Result<(), String> {
    begin(round, Kind::Hangs)
}

pub fn polite(round: &mut Round<'_>) -> Result<(), String> {
    begin(round, Kind::Polite)
}

pub fn stubborn(round: &mut Round<'_>) -> Result<(), String> {
    begin(round, Kind::Stubborn)
}

pub fn reading(round: &mut Round<'_>) -> Result<(), String> {
    begin(round, Kind::Reads)
}

pub fn ended(round: &mut Round<'_>) -> Result<(), String> {
    let payload = round.scripts.start(Some("a"), Kind::Exits(0));
    let payload = round.scripts.hooked(payload);
    round
        .ask(Call::new("start", payload).with("--wait"))
        .map(drop)?;
    round.eventually("its supervisor has ended", |round| {
        round.supervisors("a").is_empty()
    })
}

fn lose(round: &mut Round<'_>) -> Result<(), String> {
    round.kill_supervisors("a");
    round.eventually("the supervisor is gone", |round| {
        round.supervisors("a").is_empty()
    })
}

pub fn lost(round: &mut Round<'_>) -> Result<(), String> {
    running(round)?;
    lose(round)
}

pub fn interrupted(round: &mut Round<'_>) -> Result<(), String> {
    let mut payload = round.scripts.start(Some("a"), Kind::Hangs);
    payload["restart"] = restarting(&mut Random::of_round(0, 0));
    round.ask(Call::new("start", payload))?;
    dead(round)
}

pub fn unhooked(round: &mut Round<'_>) -> Result<(), String> {
    let payload = round.scripts.start(Some("a"), Kind::Leaves);
    let mut payload = round.scripts.hooked(payload);
    payload["shell"] = json!(
        payload["shell"]
            .as_str()
            .unwrap_or_default()
            .replace("0.002", "600")
    );
    round.ask(Call::new("start", payload))?;
    dead(round)
}

/// Neither supervisor nor command is left.
fn dead(round: &mut Round<'_>) -> Result<(), String> {
    await_begun(round, "a")?;
    lose(round)?;
    round.kill_command("a");
    Ok(())
}

pub fn busy_line(round: &mut Round<'_>) -> Result<(), String> {
    let mut payload = round.scripts.start(Some("first"), Kind::Exits(150));
    payload["queue"] = json!({ "group": "q", "limit": 1 });
    round.ask(Call::new("start", payload)).map(drop)
}
