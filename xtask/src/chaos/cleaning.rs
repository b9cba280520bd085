//! The end of a round: every task can be stopped, started anew and removed, and then nothing is
//! left, neither processes nor files.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::call::{Answer, Call};
use super::invariants::{has_ended, list};
use super::proc;
use super::round::Round;
use super::scripts::Kind;
use super::verdict;
use crate::random::Random;

/// What a task's folder may hold when nobody is busy with it.
const AT_REST: [&str; 17] = [
    "task.json",
    "want.json",
    "end",
    "environ",
    "events.ndjson",
    "live",
    "log",
    "log.stderr",
    "timeline",
    "lines",
    "lines.stderr",
    // A reader that was killed while it counted; the next one that counts goes on with it.
    "lines.new",
    "lines.stderr.new",
    "supervisor.lock",
    "stdin",
    "stdin.lock",
    "stdin.end",
];

/// Cleans up with the program's own verbs, and checks that this is all it takes.
pub fn clean(round: &mut Round<'_>, random: &mut Random) -> Result<(), String> {
    if random.percent(40) {
        round.ask(Call::new("recover", json!({})))?;
    }
    let stopped = round.ask(Call::new("stop", json!({ "all": true, "grace_ms": 50 })))?;
    if stopped["outcome"] != "succeeded" {
        round.problem(format!("stop of all tasks: {stopped}"));
    }
    let tasks = list(round)?;
    for (id, task) in &tasks {
        if !has_ended(task) {
            round.problem(format!("{id} is {} after it was stopped", task["status"]));
        }
    }
    verdict::judge(round, &tasks);
    start_anew(round)?;
    round.ask(Call::new("remove", json!({ "all": true })))?;
    round.ask(Call::new("prune", json!({ "keep": 0 })))?;
    let gone = round.eventually("no process is left", |round| {
        proc::of_home(&round.home).is_empty()
    });
    if gone.is_err() {
        for left in proc::of_home(&round.home) {
            round.problem(format!("left alive: {}", proc::describe(&left)));
        }
    }
    let left = leftovers(&round.home);
    round.problems.extend(
        left.into_iter()
            .map(|name| format!("left for ever: {name}")),
    );
    Ok(())
}

/// Each id that was ever used is free for a new task, which has nothing of what was before it.
fn start_anew(round: &mut Round<'_>) -> Result<(), String> {
    for id in ["a", "b", "c", "first"] {
        // Locks stay: one tells that somebody has tried to change the task.
        if !round.home.join(format!("locks/{id}.lock")).exists() {
            continue;
        }
        let mut payload = round.scripts.start(Some(id), Kind::Exits(0));
        // Whoever joins a line takes away what is void in it.
        payload["queue"] = json!({ "group": "q", "limit": 1 });
        let expected = payload["name"]
            .as_str()
            .and_then(|mark| mark[1..].parse::<i64>().ok());
        let call = Call::new("start", payload).with("--wait");
        let number = round.spawn(call)?;
        match round.finish(number)? {
            Answer::Ok(data) if data["task"]["exit_code"].as_i64() == expected.map(|n| n + 10) => {}
            other => round.problem(format!("{id} cannot be started anew: {other:?}")),
        }
        round.eventually("its supervisor is gone", |round| {
            round.supervisors(id).is_empty()
        })?;
        for name in names(&round.home.join("tasks").join(id)) {
            if !AT_REST.contains(&name.as_str()) {
                round.problem(format!("left in the folder of {id}: {name}"));
            }
        }
    }
    Ok(())
}

/// What a home holds that is not to stay when all tasks are removed.
fn leftovers(home: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for folder in ["tasks", "logs", "trash"] {
        for name in names(&home.join(folder)) {
            if !is_awaiting_its_minute(home, folder, &name) {
                left.push(format!("{folder}/{name}"));
            }
        }
    }
    for group in names(&home.join("queues")) {
        let tickets = names(&home.join("queues").join(&group)).into_iter();
        left.extend(
            tickets
                .filter(|name| name != "lock")
                .map(|name| format!("queues/{group}/{name}")),
        );
    }
    let known = [
        "tasks",
        "logs",
        "trash",
        "locks",
        "queues",
        "list.cache",
        "list.dirty",
        "list.folder",
        "list.lock",
    ];
    left.extend(
        names(home)
            .into_iter()
            .filter(|name| !known.contains(&name.as_str())),
    );
    left
}

/// The folder of a start with a generated id whose caller was killed before it had put anything on
/// record: nobody starts that id again, and `prune` takes it when it is a minute old.
fn is_awaiting_its_minute(home: &Path, folder: &str, name: &str) -> bool {
    let has = |file: &str| home.join("tasks").join(name).join(file).exists();
    name.starts_with("bg_")
        && (folder == "tasks" && !has("task.json")
            || folder == "logs" && name.ends_with(".log.new"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
