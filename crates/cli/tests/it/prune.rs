//! `prune`: what has ended goes by age, number and size; what has not never does.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, text, with, work};

/// So many tasks that ended one after the other: `t0` first.
fn ended(cli: &Cli, count: usize) {
    for n in 0..count {
        cli.start_and_wait(work(&format!("t{n}"), ["fill", "65536"]));
        cli.await_no_supervisor(&format!("t{n}"));
    }
}

/// Makes it look as if a task had ended long ago.
fn age(cli: &Cli, id: &str) {
    cli.edit_record(id, |record| {
        record["facts"]["state"]["exited"]["span"]["exited_at"] = json!("2020-01-01T00:00:00.000Z");
    });
}

fn prune(cli: &Cli, request: Value) -> Value {
    cli.run("prune").payload(request).ok()
}

#[test]
fn without_a_criterion_it_is_refused() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    for request in [json!({}), json!({ "dry_run": true }), json!({ "tag": "x" })] {
        let error = cli.run("prune").payload(request).err("CommandInputError");
        let hint = text(&error["details"]["hint"]);
        for choice in ["older_than_ms", "keep", "max_bytes"] {
            assert!(hint.contains(choice), "{hint}");
        }
    }
    cli.run("prune")
        .payload(json!({ "keep": -1 }))
        .err("CommandInputError");
    cli.run("prune")
        .payload(json!([{ "keep": 1 }]))
        .err("CommandInputError");
    assert_eq!(cli.list(json!({})), ["a"]);
}

#[test]
fn a_fresh_home_has_nothing_to_prune_and_stays_unmade() {
    let cli = Cli::new();
    let answer = prune(&cli, json!({ "keep": 0 }));
    let expected = json!({
        "removed": [], "total": 0, "freed_bytes": 0, "kept": 0, "dry_run": false, "failed": [],
    });
    assert_eq!(answer, expected);
    assert!(!cli.home().exists());
}

#[test]
fn those_that_ended_last_are_kept() {
    let cli = Cli::new();
    ended(&cli, 5);
    // The one that began first ends last.
    cli.run("restart").text("t0").ok();
    cli.wait("t0");
    cli.await_no_supervisor("t0");
    let dry = prune(&cli, json!({ "keep": 2, "dry_run": true }));
    assert_eq!(
        (&dry["removed"], &dry["dry_run"]),
        (&json!(["t1", "t2", "t3"]), &json!(true))
    );
    assert_eq!(cli.list(json!({})).len(), 5, "a dry run removes nothing");
    let answer = prune(&cli, json!({ "keep": 2 }));
    assert_eq!(answer["removed"], dry["removed"]);
    assert_eq!(answer["freed_bytes"], dry["freed_bytes"]);
    assert!(answer["freed_bytes"].as_u64().unwrap() > 3 * 65536);
    assert_eq!((&answer["kept"], &answer["total"]), (&json!(2), &json!(5)));
    assert_eq!(cli.list(json!({})), ["t4", "t0"]);
    assert_eq!(fs::read_dir(cli.home().join("logs")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(cli.home().join("trash")).unwrap().count(), 0);
}

#[test]
fn those_that_ended_long_ago_go() {
    let cli = Cli::new();
    ended(&cli, 3);
    age(&cli, "t1");
    assert_eq!(
        prune(&cli, json!({ "older_than_ms": 10_000_000_000_000_u64 }))["removed"],
        json!([])
    );
    assert_eq!(
        prune(&cli, json!({ "olderThanMs": 3_600_000 }))["removed"],
        json!(["t1"])
    );
    assert_eq!(cli.list(json!({})), ["t2", "t0"]);
}

#[test]
fn those_that_ended_first_go_until_the_rest_is_small_enough() {
    let cli = Cli::new();
    ended(&cli, 4);
    let all = prune(&cli, json!({ "keep": 0, "dry_run": true }))["freed_bytes"]
        .as_u64()
        .unwrap();
    assert_eq!(
        prune(&cli, json!({ "max_bytes": all }))["removed"],
        json!([])
    );
    let answer = prune(&cli, json!({ "max_bytes": all - 1 }));
    assert_eq!(answer["removed"], json!(["t0"]));
    assert_eq!(
        prune(&cli, json!({ "max_bytes": 0 }))["removed"],
        json!(["t1", "t2", "t3"])
    );
}

#[test]
fn what_any_of_the_criteria_asks_for_goes() {
    let cli = Cli::new();
    ended(&cli, 4);
    age(&cli, "t0");
    let request = json!({ "older_than_ms": 3_600_000, "keep": 3, "max_bytes": 1_u64 << 40 });
    assert_eq!(prune(&cli, request)["removed"], json!(["t0"]));
    let request = json!({ "older_than_ms": 3_600_000, "keep": 1, "max_bytes": 1_u64 << 40 });
    assert_eq!(prune(&cli, request)["removed"], json!(["t1", "t2"]));
}

#[test]
fn filters_say_which_tasks_are_looked_at() {
    let cli = Cli::new();
    ended(&cli, 2);
    cli.start_and_wait(with(
        work("x", []),
        json!({ "tags": ["x"], "parent_session_id": "s" }),
    ));
    cli.await_no_supervisor("x");
    assert_eq!(prune(&cli, json!({ "keep": 0, "tag": "y" }))["total"], 0);
    let request = json!({ "keep": 0, "tags": ["x"], "parent_session_id": "s" });
    assert_eq!(prune(&cli, request)["removed"], json!(["x"]));
    assert_eq!(cli.list(json!({})), ["t1", "t0"]);
}

#[test]
fn nothing_that_lives_is_removed() {
    let cli = Cli::new();
    cli.start(work("runs", ["hang"]));
    cli.start(work("lost", ["hang"]));
    cli.lose_supervisor("lost");
    // It has ended, but its supervisor still ends what it left.
    let slow = json!({ "stop": { "grace_ms": 600_000 } });
    cli.start(with(
        work("busy", ["ignore", "TERM", "fork", "exit", "0"]),
        slow,
    ));
    cli.await_status("busy", "exited");
    ended(&cli, 1);
    let answer = prune(&cli, json!({ "keep": 0 }));
    assert_eq!(answer["removed"], json!(["t0"]));
    assert_eq!((&answer["kept"], &answer["total"]), (&json!(1), &json!(2)));
    assert_eq!(cli.list(json!({})).len(), 3);
}

#[test]
fn damaged_records_go_and_newer_ones_stay() {
    let cli = Cli::new();
    for (id, record) in [("damaged", "{"), ("newer", r#"{"version": 9}"#)] {
        cli.start_and_wait(work(id, []));
        cli.await_no_supervisor(id);
        fs::write(cli.task_file(id, "task.json"), record).unwrap();
    }
    assert_eq!(
        prune(&cli, json!({ "older_than_ms": 3_600_000 }))["kept"],
        1
    );
    assert_eq!(
        prune(&cli, json!({ "keep": 0 }))["removed"],
        json!(["damaged"])
    );
    assert_eq!(cli.list(json!({})), ["newer"]);
}

#[test]
fn of_two_at_once_each_task_is_removed_by_one() {
    let cli = Cli::new();
    cli.start_and_wait(work("t", []));
    cli.await_no_supervisor("t");
    let record = cli.record("t");
    for n in 0..200 {
        let id = format!("t{n}");
        let mut copy = record.clone();
        copy["id"] = json!(id);
        fs::create_dir(cli.task_file(&id, "")).unwrap();
        fs::write(cli.task_file(&id, "task.json"), copy.to_string()).unwrap();
    }
    let calls: Vec<_> = (0..2)
        .map(|_| cli.run("prune").payload(json!({ "keep": 0 })).spawn())
        .collect();
    let mut removed: Vec<String> = Vec::new();
    for answer in calls.into_iter().map(|call| call.finish().ok()) {
        removed.extend(answer["removed"].as_array().unwrap().iter().map(text));
    }
    let all = removed.len();
    removed.sort();
    removed.dedup();
    assert_eq!((removed.len(), all), (201, 201));
    assert_eq!(cli.list(json!({})), [""; 0]);
}

/// A task that has ended, and goes by itself so many milliseconds later.
fn ended_with_ttl(cli: &Cli, id: &str, ttl_ms: u64) {
    cli.start_and_wait(with(work(id, []), json!({ "ttl_ms": ttl_ms })));
    cli.await_no_supervisor(id);
}

fn marks(cli: &Cli) -> usize {
    fs::read_dir(cli.home().join("ttl")).map_or(0, Iterator::count)
}

#[test]
fn a_start_removes_what_has_had_its_time() {
    let cli = Cli::new();
    ended_with_ttl(&cli, "soon", 1);
    ended_with_ttl(&cli, "late", 3_600_000);
    assert_eq!(cli.task("late")["ttl_ms"], 3_600_000);
    cli.start_and_wait(work("b", []));
    assert_eq!(cli.list(json!({})), ["b", "late"]);
    assert_eq!(cli.task("b")["ttl_ms"], Value::Null);
    assert_eq!(marks(&cli), 1);
}

#[test]
fn time_counts_from_the_end() {
    let cli = Cli::new();
    cli.start(with(work("a", ["hang"]), json!({ "ttl_ms": 1 })));
    cli.start_and_wait(work("b", []));
    assert_eq!(cli.list(json!({})), ["b", "a"]);
    cli.run("restart").text("a").ok();
    cli.stop("a");
    cli.start_and_wait(work("c", []));
    assert_eq!(cli.list(json!({})), ["c", "b"]);
    assert_eq!(marks(&cli), 0);
}

#[test]
fn remove_and_prune_remove_it_too() {
    let cli = Cli::new();
    cli.start_and_wait(work("other", []));
    ended_with_ttl(&cli, "a", 1);
    let dry = prune(&cli, json!({ "keep": 100, "dry_run": true }));
    assert_eq!(dry["removed"], json!(["a"]));
    let answer = prune(&cli, json!({ "keep": 100 }));
    assert_eq!(
        (&answer["removed"], &answer["kept"]),
        (&json!(["a"]), &json!(1))
    );
    ended_with_ttl(&cli, "a", 1);
    // Not of its filter, but due.
    assert_eq!(prune(&cli, json!({ "keep": 0, "tag": "x" }))["total"], 0);
    assert_eq!(cli.list(json!({})), ["other"]);
    ended_with_ttl(&cli, "a", 1);
    cli.run("remove").text("other").ok();
    assert_eq!(cli.list(json!({})), [""; 0]);
    assert_eq!(marks(&cli), 0);
}

#[test]
fn a_task_that_was_started_anew_has_the_time_of_its_last_start() {
    let cli = Cli::new();
    ended_with_ttl(&cli, "a", 3_600_000);
    cli.start_and_wait(work("a", []));
    cli.edit_record("a", |record| record["spec"]["ttl_ms"] = Value::Null);
    ended_with_ttl(&cli, "b", 3_600_000);
    ended_with_ttl(&cli, "b", 1);
    cli.start_and_wait(work("c", []));
    assert_eq!(cli.list(json!({})), ["c", "a"]);
}

#[test]
fn without_a_time_nothing_is_kept_of_times() {
    let cli = Cli::new();
    ended(&cli, 1);
    assert!(!cli.home().join("ttl").exists());
}
