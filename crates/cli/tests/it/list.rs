//! `list`: many tasks, newest first, page by page.

use std::collections::HashSet;
use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, fields, text, with, work};

#[test]
fn a_fresh_home_has_no_tasks_and_stays_unmade() {
    let cli = Cli::new();
    let answer = cli.run("list").ok();
    assert_eq!(answer, json!({ "total": 0, "tasks": [], "next": null }));
    assert!(!cli.home().exists());
}

#[test]
fn the_newest_task_comes_first() {
    let cli = Cli::new();
    for id in ["b", "c", "a"] {
        cli.start_and_wait(work(id, []));
    }
    assert_eq!(cli.list(json!({})), ["a", "c", "b"]);
    cli.run("restart").text("b").ok();
    cli.wait("b");
    assert_eq!(
        cli.list(json!({})),
        ["a", "c", "b"],
        "a restart makes no new task"
    );
    cli.start_and_wait(work("b", []));
    assert_eq!(cli.list(json!({})), ["b", "a", "c"], "a start does");
}

#[test]
fn a_listed_task_is_the_task_that_status_shows() {
    let cli = Cli::new();
    let more = json!({ "env": { "SECRET": "hunter2" }, "tags": ["x"], "name": "n" });
    cli.start_and_wait(with(work("a", ["exit", "3"]), more));
    let answer = cli.run("list").ok();
    assert_eq!(fields(&answer), ["next", "tasks", "total"]);
    assert_eq!(answer["tasks"][0], cli.task("a"));
}

/// Four tasks that every filter tells apart.
fn sorts_of_tasks(cli: &Cli) {
    fs::create_dir(cli.file("there")).unwrap();
    let more = [
        json!({ "id": "plain" }),
        json!({ "id": "tagged", "tags": ["x", "y"], "name": "one name" }),
        json!({ "id": "session", "tags": ["x"], "parent_session_id": "s" }),
    ];
    for more in more {
        cli.start_and_wait(with(work("", ["exit", "1"]), more));
    }
    cli.start(with(
        work("running", ["hang"]),
        json!({ "workdir": "there", "tags": ["y"] }),
    ));
}

#[test]
fn filters_find_what_matches_all_of_them() {
    let cli = Cli::new();
    sorts_of_tasks(&cli);
    for (filter, expected) in [
        (json!({ "status": "running" }), vec!["running"]),
        (
            json!({ "status": ["exited"] }),
            vec!["session", "tagged", "plain"],
        ),
        (
            json!({ "status": ["exited", "running"], "tag": "y" }),
            vec!["running", "tagged"],
        ),
        (json!({ "status": [] }), vec![]),
        (json!({ "tag": "x" }), vec!["session", "tagged"]),
        (json!({ "tags": ["y", "x"] }), vec!["tagged"]),
        (json!({ "tag": "y", "tags": ["x"] }), vec!["tagged"]),
        (
            json!({ "tags": [] }),
            vec!["running", "session", "tagged", "plain"],
        ),
        (json!({ "tag": "xy" }), vec![]),
        (json!({ "parent_session_id": "s" }), vec!["session"]),
        (json!({ "parentSessionId": "s", "tag": "y" }), vec![]),
        (json!({ "name": "one name" }), vec!["tagged"]),
        (json!({ "name": "one" }), vec![]),
        (json!({ "workdir": "there" }), vec!["running"]),
        (json!({ "cwd": cli.file("there") }), vec!["running"]),
        (
            json!({ "ids": ["plain", "nope", "tagged", "plain"] }),
            vec!["tagged", "plain"],
        ),
        (json!({ "ids": [] }), vec![]),
    ] {
        assert_eq!(cli.list(filter.clone()), expected, "{filter}");
        let total = &cli.run("list").payload(filter).ok()["total"];
        assert_eq!(*total, expected.len());
    }
}

#[test]
fn pages_hold_every_task_once() {
    let cli = Cli::new();
    let many: Vec<Value> = (0..11)
        .map(|n| with(work(&format!("t{n}"), []), json!({ "tags": ["x"] })))
        .collect();
    cli.run("start").payload(json!(many)).flags(["--wait"]).ok();
    cli.start_and_wait(work("other", []));
    let whole = cli.list(json!({ "tag": "x" }));
    for limit in [1, 4, 10, 11] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({ "tag": "x", "limit": limit });
            if !after.is_null() {
                request["after"] = after.take();
            }
            let mut page = cli.run("list").payload(request).ok();
            assert_eq!(page["total"], 11, "on every page");
            let tasks = page["tasks"].as_array().unwrap();
            assert!(tasks.len() <= limit);
            seen.extend(tasks.iter().map(|task| text(&task["id"])));
            after = page["next"].take();
            if after.is_null() {
                break;
            }
        }
        assert_eq!(seen, whole, "{limit}");
    }
}

#[test]
fn two_hundred_are_shown_unless_told() {
    let cli = Cli::new();
    cli.start_and_wait(work("t", []));
    cli.await_no_supervisor("t");
    let record = cli.record("t");
    for n in 0..249 {
        let id = format!("t{n}");
        let mut copy = record.clone();
        copy["id"] = json!(id);
        fs::create_dir(cli.task_file(&id, "")).unwrap();
        fs::write(cli.task_file(&id, "task.json"), copy.to_string()).unwrap();
    }
    let answer = cli.run("list").ok();
    assert_eq!(
        (answer["tasks"].as_array().unwrap().len(), &answer["total"]),
        (200, &json!(250))
    );
    let rest = cli
        .run("list")
        .payload(json!({ "after": answer["next"] }))
        .ok();
    assert_eq!(rest["next"], Value::Null);
    let ids = |answer: &Value| -> Vec<String> {
        answer["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| text(&task["id"]))
            .collect()
    };
    let all: HashSet<_> = ids(&answer).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 250, "created in the same moment, yet in order");
    assert_eq!(cli.list(json!({ "limit": 1_000_000 })).len(), 250);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let cli = Cli::new();
    for request in [
        json!({ "limit": 0 }),
        json!({ "limit": 1_000_001 }),
        json!({ "limit": -1 }),
        json!({ "after": "yesterday" }),
        json!({ "status": "nope" }),
        json!({ "status": ["running", "nope"] }),
        json!({ "ids": ["../x"] }),
        json!({ "id": "a" }),
    ] {
        cli.run("list").payload(request).err("CommandInputError");
    }
    cli.run("list").text("word").err("CommandInputError");
}

#[test]
fn what_is_no_task_is_not_listed() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    fs::write(cli.home().join("tasks/no task"), "").unwrap();
    fs::create_dir(cli.home().join("tasks/.hidden")).unwrap();
    fs::create_dir(cli.home().join("tasks/empty")).unwrap();
    assert_eq!(cli.list(json!({})), ["a"]);
}
