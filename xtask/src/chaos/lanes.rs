//! The lives that are swept: a verb, in a situation, and whose system calls are counted.

use serde_json::json;

use super::call::Call;
use super::round::Round;
use super::scripts::Kind;
use super::situations::{
    busy_line, ended, interrupted, lost, nothing, polite, reading, running, stubborn, unhooked,
};
use super::tracee::Role::{self, Caller, Command, Launched, Present};

/// What one sweep is about. The task is `a`.
pub struct Lane {
    pub name: &'static str,
    pub role: Role,
    prepare: fn(&mut Round<'_>) -> Result<(), String>,
    attacked: fn(&mut Round<'_>) -> Call,
}

impl Lane {
    pub fn prepare(&self, round: &mut Round<'_>) -> Result<(), String> {
        (self.prepare)(round)
    }

    pub fn attacked(&self, round: &mut Round<'_>) -> Call {
        (self.attacked)(round)
    }

    /// Its name in a table.
    pub fn title(&self) -> String {
        format!("{} / {:?}", self.name, self.role)
    }
}

/// A name, the situation, the call, and the roles that are swept.
type Life = (
    &'static str,
    fn(&mut Round<'_>) -> Result<(), String>,
    fn(&mut Round<'_>) -> Call,
    &'static [Role],
);

const LIVES: [Life; 28] = [
    (
        "start",
        nothing,
        start_hanging,
        &[Caller, Launched, Command],
    ),
    (
        "start, to its end",
        nothing,
        start_ending,
        &[Launched, Command],
    ),
    ("start and wait", nothing, start_waiting, &[Caller]),
    (
        "start, and what it leaves",
        nothing,
        start_leaving,
        &[Launched],
    ),
    ("start, in a terminal", nothing, start_terminal, &[Launched]),
    ("start, timed out", nothing, start_timed_out, &[Launched]),
    (
        "start, run after run",
        nothing,
        start_restarting,
        &[Launched],
    ),
    ("start anew", ended, start_hanging, &[Caller, Launched]),
    (
        "start anew, to its end",
        ended,
        start_lasting,
        &[Caller, Launched],
    ),
    (
        "start instead",
        running,
        replace,
        &[Caller, Launched, Present],
    ),
    ("start over a lost one", lost, replace, &[Caller, Launched]),
    (
        "start of what is not there",
        ended,
        start_missing,
        &[Caller, Launched],
    ),
    ("restart", running, restart, &[Caller, Launched, Present]),
    (
        "restart of an ended one",
        ended,
        restart,
        &[Caller, Launched],
    ),
    ("restart of a lost one", lost, restart, &[Caller, Launched]),
    ("stop", polite, stop, &[Caller, Present]),
    ("stop with force", stubborn, stop, &[Caller, Present]),
    ("stop of a lost one", lost, stop, &[Caller, Launched]),
    ("recover: attend", lost, recover, &[Caller, Launched]),
    (
        "recover: run again",
        interrupted,
        recover,
        &[Caller, Launched],
    ),
    ("recover: the hook", unhooked, recover, &[Caller, Launched]),
    ("remove", ended, remove, &[Caller]),
    (
        "remove of a lost one",
        unhooked,
        remove,
        &[Caller, Launched],
    ),
    ("prune", ended, prune, &[Caller]),
    ("in a line", busy_line, start_queued, &[Caller, Launched]),
    ("array", nothing, start_array, &[Caller, Launched]),
    ("pause", running, pause, &[Caller, Present]),
    ("send", reading, send, &[Caller, Present]),
];

/// All lanes, in the order in which they take turns.
pub fn all() -> Vec<Lane> {
    let lanes = LIVES.iter().flat_map(|(name, prepare, attacked, roles)| {
        roles.iter().map(|role| Lane {
            name,
            role: *role,
            prepare: *prepare,
            attacked: *attacked,
        })
    });
    lanes.collect()
}

fn start(round: &mut Round<'_>, kind: Kind) -> Call {
    let payload = round.scripts.start(Some("a"), kind);
    Call::new("start", round.scripts.hooked(payload))
}

fn start_hanging(round: &mut Round<'_>) -> Call {
    start(round, Kind::Hangs)
}

fn start_ending(round: &mut Round<'_>) -> Call {
    start(round, Kind::Exits(3))
}

fn start_waiting(round: &mut Round<'_>) -> Call {
    start(round, Kind::Exits(3)).with("--wait")
}

/// Its command outlives a supervisor that is killed, for long enough to be found.
fn start_lasting(round: &mut Round<'_>) -> Call {
    start(round, Kind::Exits(150)).with("--wait")
}

fn start_leaving(round: &mut Round<'_>) -> Call {
    start(round, Kind::Leaves)
}

fn start_terminal(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Exits(3));
    call.payload["pty"] = json!(true);
    call
}

fn start_timed_out(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Polite);
    call.payload["timeout_ms"] = json!(20);
    call
}

fn start_restarting(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Exits(0));
    call.payload["restart"] =
        json!({ "policy": "on_failure", "max_retries": 2, "delay_ms": 5, "backoff": "constant" });
    call
}

fn start_missing(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Hangs);
    call.payload["workdir"] = json!("/no/such/folder");
    call
}

fn replace(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Hangs);
    call.payload["if_running"] = json!("restart");
    call
}

fn start_queued(round: &mut Round<'_>) -> Call {
    let mut call = start(round, Kind::Exits(3));
    call.payload["queue"] = json!({ "group": "q", "limit": 1 });
    call
}

fn start_array(round: &mut Round<'_>) -> Call {
    let mut first = start(round, Kind::Exits(3)).payload;
    first["queue"] = json!({ "group": "q", "limit": 1 });
    let mut second = round.scripts.start(Some("b"), Kind::Exits(3));
    second["after"] = json!({ "ids": ["a"] });
    let third = round.scripts.start(None, Kind::Exits(3));
    Call::new("start", json!([first, second, third]))
}

fn restart(_: &mut Round<'_>) -> Call {
    Call::new("restart", json!({ "id": "a" }))
}

fn stop(_: &mut Round<'_>) -> Call {
    Call::new("stop", json!({ "id": "a", "grace_ms": 100 }))
}

fn recover(_: &mut Round<'_>) -> Call {
    Call::new("recover", json!({}))
}

fn remove(_: &mut Round<'_>) -> Call {
    Call::new("remove", json!({ "id": "a" }))
}

fn prune(_: &mut Round<'_>) -> Call {
    Call::new("prune", json!({ "keep": 0 }))
}

fn pause(_: &mut Round<'_>) -> Call {
    Call::new("pause", json!({ "id": "a" }))
}

fn send(_: &mut Round<'_>) -> Call {
    Call::new("send", json!({ "id": "a", "text": "go\n", "eof": true }))
}
