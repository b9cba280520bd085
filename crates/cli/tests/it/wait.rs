//! `wait`: blocks until tasks have ended, and says what is known when the time is over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, fields, text, with, work};

#[test]
fn wait_blocks_until_the_task_has_ended() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        [
            "print",
            "one",
            "wait-file",
            &go,
            "print",
            "two",
            "exit",
            "3",
        ],
    ));
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    assert_eq!(cli.task("a")["status"], "running");
    cli.touch("go");
    let answer = waiter.finish().ok();
    assert_eq!(fields(&answer), ["logs", "status", "task", "task_id"]);
    assert_eq!(
        (&answer["task_id"], &answer["status"]),
        (&json!("a"), &json!("exited"))
    );
    assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    assert_eq!(answer["logs"]["lines"], json!(["one", "two"]));
    assert_eq!(answer["logs"]["running"], false);
}

#[test]
fn waiting_for_what_has_ended_answers_at_once() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["exit", "3"]));
    let answer = cli.run("wait").text("a").flags(["--timeout", "0"]).ok();
    assert_eq!(answer["task"], cli.task("a"));
}

#[test]
fn status_with_wait_is_wait() {
    let cli = Cli::new();
    cli.start(work("a", ["sleep", "100", "exit", "3"]));
    let answer = cli.run("status").text("a").flags(["--wait"]).ok();
    assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    cli.start(work("a", ["hang"]));
    let call = cli
        .run("status")
        .text("a")
        .flags(["--wait", "--timeout", "0.1"]);
    call.err("TaskWaitTimedOut");
}

#[test]
fn past_the_timeout_the_error_tells_how_things_stand() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "up", "hang"]));
    cli.await_line("a", "up");
    let begun = Instant::now();
    let error = cli
        .run("wait")
        .text("a")
        .flags(["--timeout", "0.25"])
        .err("TaskWaitTimedOut");
    assert!(begun.elapsed() >= Duration::from_millis(250));
    let details = &error["details"];
    assert_eq!(details["retryable"], true);
    assert_eq!(details["id"], "a");
    assert_eq!(details["task"]["status"], "running");
    assert_eq!(details["logs"]["lines"], json!(["up"]));
    assert_eq!(details["cursor"], details["logs"]["cursor"]);
    assert!(!text(&details["cursor"]).is_empty());
    assert_eq!(cli.task("a")["status"], "running", "the task goes on");
}

#[test]
fn a_timeout_of_zero_only_looks() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    cli.run("wait")
        .text("a")
        .flags(["--timeout", "0"])
        .err("TaskWaitTimedOut");
}

#[test]
fn what_is_not_there_is_not_waited_for() {
    let cli = Cli::new();
    assert_eq!(
        cli.run("wait").text("a").err("TaskNotFound")["details"]["id"],
        "a"
    );
    assert!(!cli.home().exists());
    cli.start(work("b", ["hang"]));
    cli.run("wait").text("a").err("TaskNotFound");
    for mode in ["all", "any"] {
        let both = json!({ "ids": ["b", "a"], "mode": mode });
        assert_eq!(
            cli.run("wait").payload(both).err("TaskNotFound")["details"]["id"],
            "a"
        );
    }
    cli.run("wait")
        .payload(json!({ "tag": "nope" }))
        .err("TaskNotFound");
    cli.run("wait")
        .payload(json!({ "parent_session_id": "nope" }))
        .err("TaskNotFound");
}

/// Starts `short`, which ends with 1 once `go` is there, and `long`, which does not end.
fn short_and_long(cli: &Cli) {
    let marked =
        |work: Value, tags: Value| with(work, json!({ "tags": tags, "parent_session_id": "s" }));
    let go = cli.file("go");
    cli.start(marked(
        work("short", ["wait-file", &go, "exit", "1"]),
        json!(["x", "y"]),
    ));
    cli.start(marked(work("long", ["hang"]), json!(["x"])));
}

fn ids(tasks: &Value) -> Vec<&str> {
    let tasks = tasks.as_array().expect("an array of tasks");
    tasks
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect()
}

#[test]
fn waiting_for_any_answers_with_those_that_have_ended() {
    let cli = Cli::new();
    short_and_long(&cli);
    let payload = json!({ "ids": ["long", "short"], "mode": "any" });
    let waiter = cli.run("wait").payload(payload).spawn();
    waiter.await_asleep();
    cli.touch("go");
    let answer = waiter.finish().ok();
    assert_eq!(fields(&answer), ["outcome", "pending", "tasks"]);
    assert_eq!(answer["outcome"], "partial");
    assert_eq!(ids(&answer["tasks"]), ["short"]);
    assert_eq!(answer["pending"], json!(["long"]));
    assert_eq!(
        end_of(&answer["tasks"][0]),
        json!(["exited", 1, null, null])
    );
}

#[test]
fn waiting_for_all_answers_when_the_last_one_has_ended() {
    let cli = Cli::new();
    short_and_long(&cli);
    let waiter = cli
        .run("wait")
        .payload(json!({ "ids": ["long", "short"] }))
        .spawn();
    waiter.await_asleep();
    cli.touch("go");
    cli.wait("short");
    cli.stop("long");
    let answer = waiter.finish().ok();
    assert_eq!(
        (&answer["outcome"], &answer["pending"]),
        (&json!("reached"), &json!([]))
    );
    assert_eq!(
        ids(&answer["tasks"]),
        ["long", "short"],
        "in the order in which they were named"
    );
}

#[test]
fn waiting_for_all_in_vain_tells_which_have_ended_and_which_have_not() {
    let cli = Cli::new();
    short_and_long(&cli);
    cli.touch("go");
    cli.wait("short");
    let call = cli
        .run("wait")
        .payload(json!({ "ids": ["long", "short"], "mode": "all" }));
    let error = call.flags(["--timeout", "0.1"]).err("TaskWaitTimedOut");
    let details = &error["details"];
    assert_eq!(details["retryable"], true);
    let mut tasks = ids(&details["tasks"]);
    tasks.sort_unstable();
    assert_eq!(tasks, ["long", "short"]);
    assert_eq!(details["pending"], json!(["long"]));
    assert!(!text(&details["cursors"]["long"]).is_empty());
}

#[test]
fn waiting_for_any_in_vain_times_out() {
    let cli = Cli::new();
    short_and_long(&cli);
    let call = cli
        .run("wait")
        .payload(json!({ "ids": ["long", "short"], "mode": "any" }));
    let error = call.flags(["--timeout", "0.1"]).err("TaskWaitTimedOut");
    assert_eq!(error["details"]["pending"], json!(["long", "short"]));
}

#[test]
fn a_filter_means_the_tasks_that_match_now() {
    let cli = Cli::new();
    short_and_long(&cli);
    cli.touch("go");
    for (filter, mode, reached) in [
        (json!({ "tags": ["x", "y"] }), "all", vec!["short"]),
        (json!({ "tag": "x" }), "any", vec!["short"]),
        (json!({ "parent_session_id": "s" }), "any", vec!["short"]),
    ] {
        let answer = cli
            .run("wait")
            .payload(with(filter, json!({ "mode": mode })))
            .ok();
        assert_eq!(ids(&answer["tasks"]), reached);
    }
}

#[test]
fn a_task_that_is_named_twice_counts_once() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    let answer = cli.run("wait").payload(json!({ "ids": ["a", "a"] })).ok();
    assert_eq!(ids(&answer["tasks"]), ["a"]);
}

#[test]
fn one_id_in_a_list_is_still_a_list() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    let answer = cli.run("wait").payload(json!({ "ids": ["a"] })).ok();
    assert_eq!(
        (&answer["outcome"], ids(&answer["tasks"])),
        (&json!("reached"), vec!["a"])
    );
}

#[test]
fn the_program_can_exit_as_the_task_did() {
    let cli = Cli::new();
    cli.start_and_wait(work("good", []));
    cli.start_and_wait(work("code", ["exit", "200"]));
    cli.start_and_wait(work("signal", ["signal", "INT"]));
    let exit = |payload: Value, code: i32| {
        cli.run("wait")
            .payload(payload.clone())
            .flags(["--exit-code"])
            .exits(code);
        cli.run("wait").payload(payload).exits(0)
    };
    exit(json!({ "id": "good" }), 0);
    exit(json!({ "id": "code" }), 200);
    exit(json!({ "id": "signal" }), 130);
    exit(json!({ "ids": ["good", "code"] }), 200);
}

#[test]
fn a_wait_goes_on_through_a_restart() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["wait-file", &go, "exit", "3"]));
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    for count in 1..=3 {
        let answer = cli.run("restart").text("a").ok();
        assert_eq!(answer["task"]["restart_count"], count);
    }
    cli.touch("go");
    let task = waiter.finish().ok()["task"].take();
    assert_eq!(
        (end_of(&task), &task["restart_count"]),
        (json!(["exited", 3, null, null]), &json!(3))
    );
}

#[test]
fn many_waiters_are_woken_together() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["wait-file", &go, "exit", "3"]));
    let waiters: Vec<_> = (0..12).map(|_| cli.run("wait").text("a").spawn()).collect();
    waiters
        .iter()
        .for_each(crate::harness::Background::await_asleep);
    cli.touch("go");
    for waiter in waiters {
        assert_eq!(waiter.finish().ok()["task"]["exit_code"], 3);
    }
}

#[test]
fn a_woken_waiter_and_everybody_else_are_told_the_same() {
    let cli = Cli::new();
    for _ in 0..20 {
        cli.start(work("a", ["fork", "exit", "3"]));
        let waited = cli.wait("a");
        assert_eq!(end_of(&waited), json!(["exited", 3, null, null]));
        assert_eq!(cli.task("a"), waited);
    }
}

#[test]
fn a_wait_for_a_task_that_is_started_anew_meanwhile_still_ends() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    let replace = with(work("a", ["exit", "5"]), json!({ "if_running": "restart" }));
    cli.start(replace);
    let end = end_of(&waiter.finish().ok()["task"]);
    let ends = [
        json!(["killed", null, "SIGTERM", "stop_requested"]),
        json!(["exited", 5, null, null]),
    ];
    assert!(ends.contains(&end), "{end}");
}

#[test]
fn nobody_is_woken_by_what_ends_elsewhere() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let waiter = cli.run("wait").text("a").flags(["--timeout", "30"]).spawn();
    waiter.await_asleep();
    for _ in 0..5 {
        cli.start_and_wait(work("other", []));
    }
    eventually(
        || crate::processes::is_asleep(waiter.pid()),
        "it still waits",
    );
    cli.stop("a");
    assert_eq!(waiter.finish().ok()["status"], "killed");
}

#[test]
fn waiting_for_a_line_of_several_in_vain_tells_where_to_go_on() {
    let cli = Cli::new();
    for (id, line) in [("a", "ready"), ("b", "busy")] {
        cli.start(work(id, ["print", line, "hang"]));
        cli.await_line(id, line);
    }
    let until = json!({ "log": "^ready$" });
    let call = cli
        .run("wait")
        .payload(json!({ "ids": ["a", "b"], "until": until }));
    let error = call.flags(["--timeout", "0.3"]).err("TaskWaitTimedOut");
    assert_eq!(
        error["message"],
        "1 of 2 tasks have not written a line that matches in the time to wait"
    );
    let details = &error["details"];
    assert_eq!(details["pending"], json!(["b"]));
    let behind = cli
        .run("logs")
        .payload(json!({ "id": "b", "cursor": details["cursors"]["b"] }))
        .ok();
    assert_eq!(behind["lines"], json!([]));
    assert!(details["cursors"].get("a").is_none());
}

#[test]
fn what_has_ended_behind_a_cursor_writes_no_more_lines() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one"]));
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let end = &frames.last().unwrap()["cursor"];
    let request = json!({ "id": "a", "cursor": end, "until": { "log": "one" } });
    for timeout in ["0", "5"] {
        let call = cli.run("wait").payload(request.clone());
        call.flags(["--timeout", timeout]).err("TaskNotRunning");
    }
}
