//! What the tasks of an attack do: short shell scripts that note the truth.

use serde_json::{Value, json};

use super::truth::Truth;
use crate::random::Random;

/// A command, by how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ends by itself after so many milliseconds.
    Exits(u64),
    /// Ends itself by a signal.
    Crashes,
    /// Never ends by itself; a signal ends it.
    Hangs,
    /// Ends with its code when it is asked to.
    Polite,
    /// Does not end when it is asked to.
    Stubborn,
    /// Ends by itself, and leaves a process behind.
    Leaves,
    /// Ends when it has read a line.
    Reads,
}

pub const KINDS: [Kind; 10] = [
    Kind::Exits(0),
    Kind::Exits(3),
    Kind::Exits(20),
    Kind::Crashes,
    Kind::Hangs,
    Kind::Hangs,
    Kind::Polite,
    Kind::Stubborn,
    Kind::Leaves,
    Kind::Reads,
];

/// Gives each start of a round its own mark and its own exit code, so that what is told about one
/// can never be true of another by chance.
pub struct Scripts {
    pub truth: Truth,
    given: u32,
}

impl Scripts {
    pub fn new(truth: Truth) -> Self {
        Self { truth, given: 0 }
    }

    /// The payload of a start.
    pub fn start(&mut self, id: Option<&str>, kind: Kind) -> Value {
        self.given += 1;
        let mark = format!("m{}", self.given);
        let exit = self.truth.exit(i64::from(10 + self.given));
        let begin = format!("{}echo {mark}; ", self.truth.begin(&mark));
        let act = match kind {
            Kind::Exits(0) => exit,
            Kind::Exits(ms) => format!("sleep 0.{ms:03}; {exit}"),
            Kind::Crashes => self.truth.crash("USR1"),
            Kind::Hangs => "sleep 600; exit 99".to_owned(),
            Kind::Polite => format!(
                "trap '{}' TERM; sleep 600 & wait; exit 99",
                exit.replace('\'', "")
            ),
            Kind::Stubborn => "trap '' TERM; sleep 600; exit 99".to_owned(),
            Kind::Leaves => format!("(sleep 600 &); sleep 0.002; {exit}"),
            Kind::Reads => format!("read -r line; {exit}"),
        };
        let mut payload = json!({
            "name": mark,
            "shell": format!("{begin}{act}"),
            "stop": { "grace_ms": 200 },
        });
        if kind == Kind::Reads {
            payload["stdin"] = json!("open");
        }
        if let Some(id) = id {
            payload["id"] = json!(id);
        }
        payload
    }

    /// Adds a hook to a start.
    pub fn hooked(&self, mut payload: Value) -> Value {
        let mark = payload["name"].as_str().unwrap_or_default();
        let hook = self.truth.hook(mark);
        payload["on_exit"] = json!({ "command": "/bin/sh", "args": ["-c", hook] });
        payload
    }

    /// A start with whatever a start can have.
    pub fn any_start(&mut self, random: &mut Random, id: Option<&str>, others: &[&str]) -> Value {
        let kind = *random.pick(&KINDS);
        let mut payload = self.start(id, kind);
        if random.percent(30) {
            payload = self.hooked(payload);
        }
        if random.percent(25) {
            payload["restart"] = restarting(random);
        }
        if random.percent(15) {
            payload["queue"] = json!({ "group": "q", "limit": 1 });
        }
        if random.percent(10) {
            let on = *random.pick(&["success", "end"]);
            payload["after"] = json!({ "ids": [*random.pick(others)], "on": on });
        }
        if random.percent(10) {
            payload["timeout_ms"] = json!(10 + random.below(80));
        }
        if random.percent(8) {
            payload["leftovers"] = json!("wait");
        }
        if random.percent(8) {
            payload["stderr"] = json!("separate");
        }
        if random.percent(6) {
            payload["pty"] = json!(true);
        }
        payload["stop"]["grace_ms"] = json!(random.below(150));
        let if_running = *random.pick(&["error", "reuse", "restart"]);
        if id.is_some() {
            payload["if_running"] = json!(if_running);
        }
        payload
    }
}

/// A restart policy that is in a hurry.
pub fn restarting(random: &mut Random) -> Value {
    let policy = *random.pick(&["on_failure", "always"]);
    json!({
        "policy": policy,
        "max_retries": random.below(3),
        "delay_ms": random.below(20),
        "backoff": "constant",
    })
}
