//! What must be true when the dust has settled, whoever was killed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::proc::{self, Found, Kind};
use super::round::{INTERRUPTED, Round, Victim};
use super::truth::Notes;
use super::verdict;

/// Whoever is on the way to some state has this long to get there.
const SETTLING: Duration = Duration::from_secs(40);

/// Checks everything; what is wrong becomes a problem of the round.
pub fn check(round: &mut Round<'_>) -> Result<(), String> {
    for number in 0..round.callers.len() {
        round.finish(number)?;
    }
    let begun = Instant::now();
    loop {
        let tasks = list(round)?;
        let problems = disorder(round, &tasks);
        if problems.is_empty() {
            verdict::judge(round, &tasks);
            return agree(round, &tasks);
        }
        if begun.elapsed() > SETTLING || INTERRUPTED.load(Ordering::Relaxed) {
            verdict::judge(round, &tasks);
            round.problems.extend(problems);
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The tasks as `list` tells of them, by id.
pub fn list(round: &mut Round<'_>) -> Result<BTreeMap<String, Value>, String> {
    let data = round.ask(Call::new("list", json!({})))?;
    let tasks = data["tasks"].as_array().cloned().unwrap_or_default();
    let by_id = tasks.into_iter().map(|task| {
        let id = task["id"].as_str().unwrap_or_default().to_owned();
        (id, task)
    });
    Ok(by_id.collect())
}

/// Every command tells the same of a task that has ended.
fn agree(round: &mut Round<'_>, tasks: &BTreeMap<String, Value>) -> Result<(), String> {
    for (id, listed) in tasks.iter().filter(|(_, task)| has_ended(task)) {
        let one = json!({ "id": id });
        let logs = round.ask(Call::new("logs", one.clone()))?;
        check_lines(round, id, listed, &logs);
        let events = round.ask(Call::new("events", one.clone()))?;
        let shown = events["frames"][0]["data"]["task"].clone();
        for verb in ["status", "wait"] {
            let task = round.ask(Call::new(verb, one.clone()))?["task"].clone();
            for other in [task, shown.clone()] {
                let differs = |field: &&str| other[*field] != listed[*field];
                let fields = ["status", "reason", "exit_code", "signal", "run"];
                if let Some(field) = fields.into_iter().find(differs) {
                    let (one, two) = (&listed[field], &other[field]);
                    round.problem(format!(
                        "{id}: {field} is {one} for list, {two} for {verb} or events"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// A log has the lines of its own start, and no other's.
fn check_lines(round: &mut Round<'_>, id: &str, task: &Value, logs: &Value) {
    let mut lines = logs["lines"].as_array().into_iter().flatten();
    if round.last_start.is_some()
        && id == "a"
        && let Some(line) = lines.find(|line| **line != task["name"])
    {
        round.problem(format!("the log of {} holds {line}", task["name"]));
    }
}

pub fn has_ended(task: &Value) -> bool {
    let status = task["status"].as_str().unwrap_or_default();
    ["exited", "killed", "failed"].contains(&status)
}

/// What is not in order now. It may be on its way.
fn disorder(round: &Round<'_>, tasks: &BTreeMap<String, Value>) -> Vec<String> {
    let found = proc::of_home(&round.home);
    let mut problems = Vec::new();
    if !round.was_asked(&["remove", "prune"]) {
        let lost = round.started.iter().filter(|id| !tasks.contains_key(*id));
        problems.extend(lost.map(|id| format!("task lost: {id} was started and is not there")));
    }
    let notes = round.scripts.truth.read();
    for (id, task) in tasks {
        problems.extend(task_in_disorder(round, id, task, &found));
        problems.extend(hook_missing(round, task, &notes));
    }
    for process in &found {
        problems.extend(without_task(round, tasks, process));
    }
    problems
}

fn task_in_disorder(round: &Round<'_>, id: &str, task: &Value, found: &[Found]) -> Option<String> {
    let is_supervised = found
        .iter()
        .any(|one| matches!(&one.kind, Kind::Supervisor { id: of } if of == id));
    let runs = runs_of(round, id);
    let pids = found.iter().filter_map(|one| match &one.kind {
        Kind::OfTask {
            id: of,
            run: of_run,
        } if of == id && of_run.as_ref().is_some_and(|run| runs.contains(run)) => Some(one.pid),
        _ => None,
    });
    let alive: Vec<i32> = pids.collect();
    let status = task["status"].as_str().unwrap_or_default();
    let main = task["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let waits_for_leftovers = task["leftovers"] == "wait" && !alive.is_empty();
    match status {
        "running" if main.is_some_and(|pid| alive.contains(&pid)) || waits_for_leftovers => None,
        "running" => Some(format!(
            "{id} is running without a living process: pid {main:?}, alive {alive:?}"
        )),
        "starting" | "queued" if is_supervised => None,
        "starting" | "queued" => Some(format!("{id} is {status}, and nobody looks after it")),
        _ if task["reason"] == "record_corrupt" => Some(format!("{id}: {}", task["problem"])),
        _ if is_supervised => Some(format!("{id} is {status}, and its supervisor stays")),
        // What a lost supervisor leaves is ended by the next verb that changes the task.
        _ if alive.is_empty() || round.has_lost(Victim::Supervisor) => None,
        _ => Some(format!("{id} is {status}, and {alive:?} are alive")),
    }
}

/// Where nobody was killed who would have run it, a hook has run.
fn hook_missing(round: &Round<'_>, task: &Value, notes: &Notes) -> Option<String> {
    let is_owed = has_ended(task) && !task["on_exit"].is_null();
    let is_certain = !round.has_lost(Victim::Supervisor) && !round.has_lost(Victim::Caller);
    let mark = task["name"].as_str().unwrap_or_default();
    let has_run = notes.hooks.iter().any(|hook| hook == mark);
    (is_owed && is_certain && !has_run).then(|| format!("the hook of {mark} has not run"))
}

fn without_task(
    round: &Round<'_>,
    tasks: &BTreeMap<String, Value>,
    process: &Found,
) -> Option<String> {
    let orphan = || {
        Some(format!(
            "a process without a task: {}",
            proc::describe(process)
        ))
    };
    match &process.kind {
        Kind::Supervisor { id } | Kind::OfTask { id, run: None } if tasks.contains_key(id) => None,
        Kind::OfTask { id, run: Some(run) } if runs_of(round, id).contains(run) => None,
        Kind::Supervisor { .. } | Kind::OfTask { .. } => orphan(),
        Kind::Other if round.callers.iter().any(|caller| caller.pid == process.pid) => None,
        Kind::Other => orphan(),
    }
}

/// What marks the present run of a task, by its record; and that of the record before it, which still
/// holds when a start has come to nothing.
pub fn runs_of(round: &Round<'_>, id: &str) -> Vec<String> {
    let folder = round.home.join("tasks").join(id);
    let tokens = ["task.json", "task.prev.json"].map(|name| {
        let record: Value = serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok()?;
        record["facts"]["run_token"].as_str().map(str::to_owned)
    });
    tokens.into_iter().flatten().collect()
}

/// What the callers were told about ends, beside what `list` tells now.
pub fn told(round: &Round<'_>) -> Vec<Value> {
    let tasks = round.answers.values().filter_map(|answer| match answer {
        Answer::Ok(data) if data["task"].is_object() => Some(data["task"].clone()),
        _ => None,
    });
    tasks.collect()
}
