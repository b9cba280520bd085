//! Arrays: one result per item in input order, all of them understood before anything happens.

use serde_json::{Value, json};

use crate::harness::{Cli, end_of, fields, fixture, text, with, work};

/// `[outcome, total, success_count, error_count]`
fn sums(answer: &Value) -> Value {
    let names = ["outcome", "total", "success_count", "error_count"];
    names.into_iter().map(|name| answer[name].clone()).collect()
}

fn results(answer: &Value) -> &Vec<Value> {
    answer["results"].as_array().expect("results is an array")
}

#[test]
fn a_batch_that_succeeds_answers_in_input_order() {
    let cli = Cli::new();
    let tasks = json!([
        work("c", ["hang"]),
        work("a", ["hang"]),
        work("b", ["hang"])
    ]);
    let started = cli.run("start").payload(tasks).ok();
    let expected = [
        "concurrency",
        "error_count",
        "outcome",
        "results",
        "success_count",
        "total",
    ];
    assert_eq!(fields(&started), expected);
    assert_eq!(sums(&started), json!(["succeeded", 3, 3, 0]));
    let named = json!([{ "id": "c" }, { "id": "a" }, { "id": "b" }]);
    let restarted = cli.run("restart").payload(named.clone()).ok();
    let stopped = cli.run("stop").payload(named).ok();
    for answer in [&started, &restarted, &stopped] {
        for (index, (result, id)) in results(answer).iter().zip(["c", "a", "b"]).enumerate() {
            assert_eq!(fields(result), ["data", "index", "ok", "target"]);
            assert_eq!(
                (&result["index"], &result["ok"]),
                (&json!(index), &json!(true))
            );
            assert_eq!(result["target"], json!({ "id": id }));
            assert_eq!(result["data"]["task"]["id"], id);
        }
    }
    assert_eq!(results(&stopped)[0]["data"]["status"], "killed");
}

#[test]
fn an_item_that_fails_fails_alone() {
    let cli = Cli::new();
    cli.start(work("b", ["hang"]));
    let payload = json!([
        work("a", ["exit", "3"]),
        work("b", []),
        { "command": "/no/such/program" },
        { "command": "true" },
    ]);
    let answer = cli.run("start").payload(payload).flags(["--wait"]).exits(1);
    assert_eq!(sums(&answer), json!(["partial_failure", 4, 2, 2]));
    let results = results(&answer);
    let ok: Vec<_> = results
        .iter()
        .map(|result| result["ok"].as_bool().unwrap())
        .collect();
    assert_eq!(ok, [true, false, false, true]);
    assert_eq!(
        end_of(&results[0]["data"]["task"]),
        json!(["exited", 3, null, null])
    );
    for (result, kind) in [
        (&results[1], "TaskAlreadyRunning"),
        (&results[2], "SpawnFailed"),
    ] {
        assert_eq!(fields(result), ["error", "index", "ok", "target"]);
        assert_eq!(result["error"]["type"], kind);
        assert!(!text(&result["error"]["details"]["hint"]).is_empty());
        assert_eq!(result["error"]["details"]["retryable"], false);
    }
    assert_eq!(results[1]["target"], json!({ "id": "b" }));
    assert!(text(&results[3]["target"]["id"]).starts_with("bg_"));
}

#[test]
fn a_batch_in_which_all_fails_has_failed() {
    let cli = Cli::new();
    for verb in ["stop", "restart"] {
        let answer = cli.run(verb).text(r#"["a", "b"]"#).exits(1);
        assert_eq!(sums(&answer), json!(["failed", 2, 0, 2]));
        assert_eq!(results(&answer)[1]["error"]["type"], "TaskNotFound");
    }
}

#[test]
fn an_array_of_one_is_a_batch() {
    let cli = Cli::new();
    assert_eq!(
        sums(&cli.run("start").payload(json!([work("a", ["hang"])])).ok()),
        json!(["succeeded", 1, 1, 0])
    );
    assert_eq!(
        sums(&cli.run("restart").text(r#"["a"]"#).ok()),
        json!(["succeeded", 1, 1, 0])
    );
    assert_eq!(
        sums(&cli.run("stop").text(r#"["a"]"#).ok()),
        json!(["succeeded", 1, 1, 0])
    );
}

#[test]
fn ids_stand_for_their_tasks() {
    let cli = Cli::new();
    cli.run("start")
        .payload(json!([
            work("a", ["hang"]),
            work("b", ["ignore", "TERM", "hang"])
        ]))
        .ok();
    let mixed = json!(["a", { "id": "b", "signal": "KILL" }]);
    let answer = cli.run("stop").payload(mixed).ok();
    assert_eq!(results(&answer)[0]["data"]["task"]["signal"], "SIGTERM");
    assert_eq!(results(&answer)[1]["data"]["task"]["signal"], "SIGKILL");
}

#[test]
fn the_limit_is_told_and_kept() {
    let cli = Cli::new();
    let many: Vec<Value> = (0..6).map(|n| work(&format!("t{n}"), [])).collect();
    assert_eq!(cli.run("start").payload(json!(many)).ok()["concurrency"], 5);
    for limit in ["1", "2", "100"] {
        let flags = ["--wait", "--concurrency", limit];
        let answer = cli.run("start").payload(json!(many)).flags(flags).ok();
        assert_eq!(answer["concurrency"].to_string(), limit);
        assert_eq!(answer["success_count"], 6);
    }
}

#[test]
fn waiting_begins_when_all_are_launched() {
    let cli = Cli::new();
    let (first, second) = (cli.file("first"), cli.file("second"));
    // Each waits for the other: launched one after the other's end they would never end.
    let tasks = json!([
        work("a", ["touch", &first, "wait-file", &second]),
        work("b", ["touch", &second, "wait-file", &first]),
    ]);
    let flags = ["--wait", "--concurrency", "1"];
    let answer = cli.run("start").payload(tasks).flags(flags).ok();
    for result in results(&answer) {
        assert_eq!(
            end_of(&result["data"]["task"]),
            json!(["exited", 0, null, null])
        );
        assert_eq!(result["data"]["lifecycle"]["waited"], true);
        assert!(result["data"]["logs"].is_object());
    }
}

/// Sends a batch that must be refused as a whole; returns `details`.
fn refused(cli: &Cli, verb: &str, payload: &Value) -> Value {
    let mut error = cli
        .run(verb)
        .payload(payload.clone())
        .err("CommandInputError");
    error["details"].take()
}

#[test]
fn one_bad_item_refuses_all_before_anything_is_touched() {
    let cli = Cli::new();
    for bad in [
        json!({ "command": "true", "workdr": "/" }),
        json!({ "command": "" }),
        json!({ "id": "../x", "command": "true" }),
        json!({}),
        json!(null),
        json!(7),
        json!("word"),
        json!([work("c", [])]),
    ] {
        let details = refused(&cli, "start", &json!([work("a", []), work("b", []), bad]));
        assert_eq!(details["index"], 2, "{bad}");
        assert!(!cli.home().exists(), "{bad}");
    }
}

#[test]
fn one_bad_item_stops_and_restarts_nothing() {
    let cli = Cli::new();
    let before = cli.start(work("a", ["hang"]));
    for bad in [
        json!({ "id": "b", "grace": 1 }),
        json!({ "id": "" }),
        json!(null),
        json!({}),
    ] {
        for verb in ["stop", "restart"] {
            assert_eq!(
                refused(&cli, verb, &json!(["a", bad]))["index"],
                1,
                "{verb} {bad}"
            );
        }
    }
    assert_eq!(cli.task("a")["pid"], before["pid"]);
}

#[test]
fn a_filter_inside_of_an_array_stops_nothing() {
    let cli = Cli::new();
    cli.start(with(work("a", ["hang"]), json!({ "tags": ["x"] })));
    for filter in [json!({ "tag": "x" }), json!({ "all": true })] {
        assert_eq!(refused(&cli, "stop", &json!(["a", filter]))["index"], 1);
    }
    assert_eq!(cli.task("a")["status"], "running");
}

#[test]
fn a_task_that_is_named_twice_refuses_all() {
    let cli = Cli::new();
    let twice = json!([work("a", []), work("b", []), work("a", [])]);
    let details = refused(&cli, "start", &twice);
    assert_eq!(
        (&details["index"], &details["field"]),
        (&json!(2), &json!("id"))
    );
    assert_eq!(
        refused(&cli, "start", &json!([work("Ab", []), work("aB", [])]))["index"],
        1
    );
    for verb in ["stop", "restart"] {
        assert_eq!(
            refused(&cli, verb, &json!(["a", { "id": "a" }]))["index"],
            1
        );
    }
    assert!(!cli.home().exists());
}

#[test]
fn an_empty_array_is_refused() {
    let cli = Cli::new();
    for verb in ["start", "stop", "restart"] {
        refused(&cli, verb, &json!([]));
    }
    assert!(!cli.home().exists());
}

#[test]
fn verbs_about_one_task_take_no_array() {
    let cli = Cli::new();
    for verb in ["status", "wait", "logs", "events", "list"] {
        cli.run(verb).text(r#"["a"]"#).err("CommandInputError");
        cli.run(verb)
            .text(r#"[{"id": "a"}]"#)
            .err("CommandInputError");
    }
}

#[test]
fn a_batch_may_be_large() {
    let cli = Cli::new();
    let command = json!({ "command": fixture(), "args": ["exit", "0"] });
    let many: Vec<Value> = (0..150).map(|_| command.clone()).collect();
    let flags = ["--wait", "--concurrency", "16"];
    let answer = cli
        .run("start")
        .stdin(json!(many).to_string())
        .flags(flags)
        .ok();
    assert_eq!(sums(&answer), json!(["succeeded", 150, 150, 0]));
    let ids: std::collections::HashSet<_> = results(&answer)
        .iter()
        .map(|result| text(&result["target"]["id"]))
        .collect();
    assert_eq!(ids.len(), 150);
}
