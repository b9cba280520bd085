//! Whether what is told about ends is what has happened.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{Answer, Call, Caller};
use super::invariants::{runs_of, told};
use super::round::{Round, Victim};
use super::truth::Notes;

/// Verbs after which a command may be asked to end.
const ENDING: [&str; 4] = ["stop", "restart", "signal", "recover"];

/// Compares every end that was told with the notes of the commands.
pub fn judge(round: &mut Round<'_>, tasks: &BTreeMap<String, Value>) {
    let notes = round.scripts.truth.read();
    let mut problems = Vec::new();
    for (id, task) in tasks {
        let mut runs = runs_of(round, id);
        // It may have ended before it was ever executed.
        runs.push(String::new());
        let each: Vec<_> = runs
            .iter()
            .map(|run| compare(round, &notes, task, run))
            .collect();
        if let (Some(Err(problem)), true) = (each.first(), each.iter().all(Result::is_err)) {
            problems.push(format!("{id}: {problem}; the task: {}", end_in_words(task)));
        }
    }
    // Earlier ends were told of runs that may have been followed by others: one must fit.
    for task in told(round) {
        let id = task["id"].as_str().unwrap_or_default();
        let mut runs = notes.begun.iter().filter(|begun| begun.id == id);
        let is_code = task["status"] == "exited";
        let fits = |run: &str| compare(round, &notes, &task, run).is_ok();
        if is_code && !runs.any(|begun| fits(&begun.run)) {
            problems.push(format!(
                "{id}: was told an end that no run had: {}",
                end_in_words(&task)
            ));
        }
    }
    problems.extend(hooks(round, &notes));
    problems.extend(of_others(round, tasks));
    for problem in problems {
        round.problem(problem);
    }
}

/// What is told of another start than the one that was answered.
fn of_others(round: &Round<'_>, tasks: &BTreeMap<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, answer) in &round.answers {
        let call = &round.callers[*number].call;
        let meant = &call.payload["name"];
        let may_be_another = call.payload["if_running"] == "reuse" || !meant.is_string();
        if let Answer::Ok(data) = answer
            && call.verb == "start"
            && !may_be_another
            && data["task"]["name"] != *meant
        {
            let told = &data["task"]["name"];
            problems.push(format!("the start of {meant} was answered with {told}"));
        }
    }
    if let Some(mark) = &round.last_start
        && let Some(task) = tasks.get("a")
        && task["name"] != *mark
    {
        problems.push(format!("a is {}, and {mark} was started", task["name"]));
    }
    problems
}

fn end_in_words(task: &Value) -> String {
    format!(
        "{} reason {} exit_code {} signal {}: {}",
        task["status"], task["reason"], task["exit_code"], task["signal"], task["problem"]
    )
}

/// Whether an end can be that of this run.
fn compare(round: &Round<'_>, notes: &Notes, task: &Value, run: &str) -> Result<(), String> {
    let text = |field: &str| task[field].as_str().unwrap_or_default();
    let noted = notes.end_of(run);
    let code = task["exit_code"].as_i64().map(|code| code.to_string());
    let was_asked = is_asked_to_end(round, task);
    match (text("status"), text("reason")) {
        ("running" | "starting" | "queued", _) => Ok(()),
        ("exited", _) if code.as_deref() == noted => Ok(()),
        ("exited", _) => Err(format!("exit code {code:?} is told, {noted:?} was noted")),
        ("killed", reason) => killed(round, notes, task, run, was_asked || reason == "timed_out"),
        ("failed", "restart_limit") => match code {
            Some(code) if noted == Some(&code) => Ok(()),
            Some(code) => Err(format!("exit code {code} is told, {noted:?} was noted")),
            None => killed(round, notes, task, run, was_asked),
        },
        // Its last run ended before its supervisor was lost, or nobody can know.
        ("failed", "supervisor_lost") if round.has_lost(Victim::Supervisor) => Ok(()),
        // A caller that is killed before it launches anybody leaves a task without a run.
        ("failed", "supervisor_lost") if round.has_lost(Victim::Caller) => {
            let begun = notes.of_run(run);
            begun.map_or(Ok(()), |_| {
                Err("it ran, and no supervisor was killed".to_owned())
            })
        }
        // What it was to run after has been lost or removed.
        ("failed", "dependency_failed") if !task["after"].is_null() => Ok(()),
        ("failed", "spawn_failed")
            if task["problem"].is_string() && notes.of_run(run).is_none() =>
        {
            Ok(())
        }
        _ => Err("nothing was done that could end it so".to_owned()),
    }
}

fn is_asked_to_end(round: &Round<'_>, task: &Value) -> bool {
    let replaces = |call: &Call| call.payload["if_running"] == "restart";
    round.was_asked(&ENDING)
        || !task["timeout_ms"].is_null()
        || round.callers.iter().any(|caller| replaces(&caller.call))
}

fn killed(
    round: &Round<'_>,
    notes: &Notes,
    task: &Value,
    run: &str,
    was_asked: bool,
) -> Result<(), String> {
    let noted = notes.end_of(run);
    if let Some(code) = task["exit_code"].as_i64() {
        let is_true = noted == Some(code.to_string().as_str());
        return if is_true && was_asked {
            Ok(())
        } else {
            Err(format!(
                "exit code {code} after a request is told, {noted:?} was noted"
            ))
        };
    }
    let pid = notes.of_run(run).map(|begun| begun.pid);
    let was_hit = round
        .kills
        .iter()
        .any(|kill| kill.victim == Victim::Command && (Some(kill.pid) == pid || pid.is_none()));
    // The terminal of a lost supervisor hangs up.
    let hung_up = !task["pty"].is_null() && round.has_lost(Victim::Supervisor);
    match task["signal"].as_str() {
        Some(signal) if noted == Some(signal) => Ok(()),
        Some("SIGKILL") if was_hit => Ok(()),
        Some("SIGHUP") if hung_up => Ok(()),
        Some(_) if was_asked => Ok(()),
        // Nobody was there to see how it ended, or it had no process.
        None if was_asked => Ok(()),
        signal => Err(format!(
            "signal {signal:?} is told, which nobody has sent; noted: {noted:?}"
        )),
    }
}

/// At most once for each end for good, which only `restart` and `recover` let happen again.
fn hooks(round: &Round<'_>, notes: &Notes) -> Vec<String> {
    let is_again = |caller: &&Caller| ["restart", "recover"].contains(&caller.call.verb);
    let most = 1 + round.callers.iter().filter(is_again).count();
    let mut problems = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for mark in &notes.hooks {
        *counts.entry(mark).or_default() += 1;
    }
    for (mark, count) in counts {
        if count > most {
            problems.push(format!(
                "the hook of {mark} has run {count} times, {most} allowed"
            ));
        }
    }
    problems
}
