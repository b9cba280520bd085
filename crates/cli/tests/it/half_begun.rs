//! Generations whose supervisor was killed between executing the command and saying so.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, script, text};

/// What was there before must never be taken for a run that could not be told.
#[test]
fn a_start_is_answered_with_itself_or_with_an_error() {
    let cli = Cli::new();
    for round in 0..30 {
        cli.start_and_wait(script("a", "echo old"));
        // Right at its beginning: before its supervisor has put it on record, or after.
        let shell = format!("kill -9 $PPID; echo new; sleep 0.0{round:02}; exit 7");
        let start = cli.run("start").payload(script("a", &shell));
        let outcome = start.flags(["--wait"]).output();
        if outcome.status.success() {
            let answer = outcome.ok();
            assert_eq!(answer["task"]["shell"], shell, "{answer}");
            assert_eq!(answer["logs"]["lines"], json!(["new"]), "{answer}");
        } else {
            assert_eq!(outcome.err("SpawnFailed")["details"]["step"], "supervisor");
        }
        cli.await_no_processes();
    }
}

/// The second generation of a task is on record, its log and its journal are still aside.
fn half_begin(cli: &Cli, id: &str) {
    let path = |name: &str| cli.task_file(id, name);
    cli.start_and_wait(script(id, "echo old"));
    cli.await_no_supervisor(id);
    let old = ["log", "events.ndjson", "task.json"].map(|name| fs::read(path(name)).unwrap());
    cli.start(script(id, "echo new; exec sleep 1000"));
    cli.await_line(id, "new");
    cli.lose_supervisor(id);
    fs::rename(path("log"), path("log.next")).unwrap();
    fs::rename(path("events.ndjson"), path("events.next.ndjson")).unwrap();
    let names = ["log", "events.ndjson", "task.prev.json"];
    for (name, bytes) in names.into_iter().zip(old) {
        fs::write(path(name), bytes).unwrap();
    }
    let public = text(&cli.task(id)["log_path"]);
    fs::remove_file(&public).unwrap();
    fs::hard_link(path("log"), &public).unwrap();
}

/// The same, but killed before that: nothing says that the command runs.
fn half_execute(cli: &Cli, id: &str) {
    half_begin(cli, id);
    cli.edit_record(id, |record| record["facts"]["state"] = json!("starting"));
    fs::remove_file(cli.task_file(id, "events.next.ndjson")).unwrap();
}

fn journal(cli: &Cli, id: &str) -> Vec<Value> {
    let journal = fs::read_to_string(cli.task_file(id, "events.ndjson")).unwrap();
    let entries = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    entries.collect()
}

#[test]
fn the_next_supervisor_finishes_what_was_begun() {
    let cli = Cli::new();
    for (number, begin) in [half_begin, half_execute].into_iter().enumerate() {
        for verb in ["restart", "recover", "pause", "stop"] {
            let id = format!("{verb}{number}");
            begin(&cli, &id);
            assert_eq!(cli.task(&id)["status"], "running");
            match verb {
                "recover" => cli.run(verb).ok(),
                _ => cli.run(verb).text(&id).ok(),
            };
            let runs = if verb == "restart" { 2 } else { 1 };
            let logs = || cli.run("logs").text(&id).ok()["lines"].take();
            eventually(|| logs() == json!(vec!["new"; runs]), "it is its own");
            assert_eq!(cli.log(&id), "new\n".repeat(runs), "{id}");
            let record = cli.record(&id);
            let journal = journal(&cli, &id);
            let started = |entry: &&Value| entry["type"] == "task.started";
            assert_eq!(journal.iter().filter(started).count(), runs, "{journal:?}");
            for (number, entry) in (1..).zip(&journal) {
                assert_eq!(entry["generation"], record["facts"]["generation"]);
                assert_eq!(entry["number"], number);
            }
            for left in ["log.next", "events.next.ndjson", "task.prev.json"] {
                assert!(!cli.task_file(&id, left).exists(), "{id}: {left}");
            }
            if verb != "stop" {
                cli.stop(&id);
            }
        }
    }
    cli.await_no_processes();
}

#[test]
fn a_record_without_a_word_is_replaced_with_all_that_belongs_to_it() {
    let cli = Cli::new();
    let mut earlier = script("a", "echo out; echo err >&2");
    earlier["stderr"] = json!("separate");
    cli.start_and_wait(earlier);
    cli.await_no_supervisor("a");
    let empty = || fs::write(cli.task_file("a", "task.json"), "").unwrap();
    empty();
    let start = |shell: &str| cli.run("start").payload(script("a", shell));
    let missing = json!({ "id": "a", "command": "/no/such/command" });
    cli.run("start").payload(missing).err("SpawnFailed");
    assert_eq!(cli.log("a"), "out\n");
    assert_eq!(cli.task("a")["reason"], "record_corrupt");
    start("echo new").flags(["--wait"]).ok();
    assert_eq!(cli.run("logs").text("a").ok()["lines"], json!(["new"]));
    assert!(!cli.task_file("a", "log.stderr").exists());
    cli.await_no_supervisor("a");
    let numbers: Vec<_> = journal(&cli, "a")
        .iter()
        .map(|it| it["number"].clone())
        .collect();
    assert_eq!(numbers, [1, 2]);
    assert!(!cli.task_file("a", "task.prev.json").exists());
}

/// What a killed supervisor did not come to take away must not be taken for what stood before a later
/// run.
#[test]
fn a_record_that_was_left_behind_is_of_no_later_run() {
    let cli = Cli::new();
    for verb in ["recover", "restart"] {
        cli.start_and_wait(script(verb, "echo old; exit 4"));
        cli.await_no_supervisor(verb);
        let old = fs::read(cli.task_file(verb, "task.json")).unwrap();
        cli.start(script(verb, "echo new; exec sleep 1000"));
        cli.await_line(verb, "new");
        cli.lose_supervisor(verb);
        fs::write(cli.task_file(verb, "task.prev.json"), &old).unwrap();
        if verb == "recover" {
            cli.run("recover").ok();
            assert!(!cli.task_file(verb, "task.prev.json").exists());
            fs::write(cli.task_file(verb, "task.prev.json"), &old).unwrap();
        }
        for run in [2, 3] {
            let task = cli.run("restart").text(verb).ok()["task"].take();
            assert_eq!(
                (&task["run"], &task["status"]),
                (&json!(run), &json!("running"))
            );
            assert!(text(&task["shell"]).starts_with("echo new"), "{task}");
        }
        eventually(|| cli.log(verb) == "new\n".repeat(3), "it is its own");
        assert_eq!(journal(&cli, verb).last().unwrap()["run"], 3);
        cli.stop(verb);
    }
    cli.await_no_processes();
}
