//! `wait` with `until: {"log"}`: until a line matches that the present run has written.

use serde_json::{Value, json};

use crate::harness::{Background, Cli, eventually, script, text, with, work};

fn until(id: &str, pattern: &str) -> Value {
    json!({ "id": id, "until": { "log": pattern } })
}

/// A wait that has found nothing yet.
fn waiting(cli: &Cli, request: Value) -> Background {
    let call = cli.run("wait").payload(request).spawn();
    call.await_asleep();
    call
}

/// `[line, number]` of what was found.
fn found(answer: &Value) -> Value {
    assert!(!text(&answer["match"]["cursor"]).is_empty(), "{answer}");
    json!([answer["match"]["line"], answer["match"]["number"]])
}

#[test]
fn a_line_that_is_there_counts() {
    let cli = Cli::new();
    cli.start(work(
        "a",
        [
            "print",
            "starting",
            "print",
            "port 3000",
            "print",
            "port 4000",
            "hang",
        ],
    ));
    cli.await_line("a", "port 4000");
    let answer = cli.run("wait").payload(until("a", r"port \d+$")).ok();
    assert_eq!(found(&answer), json!(["port 3000", 2]));
    assert_eq!(
        (&answer["task_id"], &answer["status"]),
        (&json!("a"), &json!("running"))
    );
    assert_eq!(answer["logs"]["total_lines"], 3);
    // On from there.
    let next = with(
        until("a", "port"),
        json!({ "cursor": answer["match"]["cursor"] }),
    );
    assert_eq!(
        found(&cli.run("wait").payload(next).ok()),
        json!(["port 4000", 3])
    );
}

#[test]
fn the_first_thing_that_a_run_writes_is_never_missed() {
    let cli = Cli::new();
    for _ in 0..20 {
        cli.start(work("a", ["print", "at once", "hang"]));
        assert_eq!(
            found(&cli.run("wait").payload(until("a", "^at once$")).ok()),
            json!(["at once", 1])
        );
        cli.stop("a");
    }
}

#[test]
fn a_line_that_comes_later_is_waited_for() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        ["print", "up", "wait-file", &go, "print", "ready", "hang"],
    ));
    cli.await_line("a", "up");
    let call = waiting(&cli, until("a", "ready"));
    cli.touch("go");
    assert_eq!(found(&call.finish().ok()), json!(["ready", 2]));
}

#[test]
fn a_prompt_that_does_not_end_its_line_counts() {
    let cli = Cli::new();
    let go = cli.file("go");
    // "Password: "
    cli.start(work(
        "a",
        ["wait-file", &go, "raw", "50617373776f72643a20", "hang"],
    ));
    let call = waiting(&cli, until("a", "(?i)password: $"));
    cli.touch("go");
    assert_eq!(found(&call.finish().ok()), json!(["Password: ", 1]));
}

#[test]
fn a_line_that_is_written_in_parts_is_one() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        [
            "raw",
            "6c69737465",
            "wait-file",
            &go,
            "raw",
            "6e696e670a",
            "hang",
        ],
    ));
    eventually(|| cli.log("a") == "liste", "a part is written");
    let call = waiting(&cli, until("a", "^listening$"));
    // The part has been looked at and is kept in mind, also by those who give up.
    let in_vain = cli
        .run("wait")
        .payload(until("a", "^listening$"))
        .flags(["--timeout", "0.5"]);
    let cursor = text(&in_vain.err("TaskWaitTimedOut")["details"]["cursor"]);
    let many = json!({ "ids": ["a"], "until": { "log": "^listening$" } });
    let in_vain = cli
        .run("wait")
        .payload(many.clone())
        .flags(["--timeout", "0.5"]);
    let cursors = in_vain.err("TaskWaitTimedOut")["details"]["cursors"].take();
    cli.touch("go");
    assert_eq!(found(&call.finish().ok()), json!(["listening", 1]));
    let again = with(until("a", "^listening$"), json!({ "cursor": cursor }));
    assert_eq!(
        found(&cli.run("wait").payload(again).ok()),
        json!(["listening", 1])
    );
    let again = with(many, json!({ "cursors": cursors }));
    let answer = cli.run("wait").payload(again).ok();
    assert_eq!(answer["matches"]["a"]["line"], "listening");
}

#[test]
fn a_wait_that_timed_out_is_gone_on_with_and_finds_only_what_is_new() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        ["print", "up", "wait-file", &go, "print", "ready", "hang"],
    ));
    cli.await_line("a", "up");
    let call = cli
        .run("wait")
        .payload(until("a", "ready"))
        .flags(["--timeout", "0.1"]);
    let error = call.err("TaskWaitTimedOut");
    assert_eq!(error["details"]["retryable"], true);
    assert_eq!(error["details"]["logs"]["lines"], json!(["up"]));
    let cursor = &error["details"]["cursor"];
    let again = |pattern: &str| {
        let request = with(until("a", pattern), json!({ "cursor": cursor }));
        cli.run("wait").payload(request)
    };
    again("up")
        .flags(["--timeout", "0.1"])
        .err("TaskWaitTimedOut");
    cli.touch("go");
    assert_eq!(found(&again("ready").ok()), json!(["ready", 2]));
}

#[test]
fn a_task_that_ends_first_is_told_of_right_away() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["print", "boom", "wait-file", &go, "exit", "3"]));
    let call = waiting(&cli, until("a", "ready"));
    cli.touch("go");
    let ended = cli.run("wait").text("a").ok();
    assert_eq!(ended["status"], "exited");
    let again = cli.run("wait").payload(until("a", "ready"));
    for error in [
        call.finish().err("TaskNotRunning"),
        again.err("TaskNotRunning"),
    ] {
        let details = &error["details"];
        assert_eq!(details["retryable"], false);
        assert_eq!(
            (&details["task"]["status"], &details["task"]["exit_code"]),
            (&json!("exited"), &json!(3))
        );
        assert_eq!(details["logs"]["lines"], json!(["boom"]));
        let behind = json!({ "id": "a", "cursor": details["cursor"] });
        assert_eq!(cli.run("logs").payload(behind).ok()["lines"], json!([]));
    }
    // What an ended task has written counts all the same.
    assert_eq!(
        found(&cli.run("wait").payload(until("a", "boom")).ok()),
        json!(["boom", 1])
    );
}

#[test]
fn a_last_line_without_end_counts_when_the_task_ends() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["raw", "646f6e65", "exit", "0"]));
    assert_eq!(
        found(&cli.run("wait").payload(until("a", "^done$")).ok()),
        json!(["done", 1])
    );
}

#[test]
fn what_an_earlier_run_wrote_does_not_count() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell =
        format!("echo up $$; while ! test -e {go}; do sleep 0.01; done; echo ready; sleep 1000");
    cli.start(script("a", &shell));
    cli.touch("go");
    cli.run("wait").payload(until("a", "ready")).ok();
    std::fs::remove_file(&go).unwrap();
    cli.run("restart").text("a").ok();
    let call = cli
        .run("wait")
        .payload(until("a", "ready"))
        .flags(["--timeout", "0.3"]);
    let cursor = text(&call.err("TaskWaitTimedOut")["details"]["cursor"]);
    let call = waiting(&cli, until("a", "ready"));
    cli.touch("go");
    assert_eq!(found(&call.finish().ok()), json!(["ready", 4]));
    let again = with(until("a", "ready"), json!({ "cursor": cursor }));
    assert_eq!(
        found(&cli.run("wait").payload(again).ok()),
        json!(["ready", 4])
    );
}

#[test]
fn a_restart_is_waited_through() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "up", "hang"]));
    cli.await_line("a", "up");
    let call = waiting(&cli, json!({ "id": "a", "until": { "log": "second" } }));
    // The same log, written to by the next run.
    cli.run("restart").text("a").ok();
    eventually(|| cli.log("a") == "up\nup\n", "the next run writes");
    std::fs::File::options()
        .append(true)
        .open(cli.home().join("logs/a.log"))
        .and_then(|mut log| std::io::Write::write_all(&mut log, b"second\n"))
        .unwrap();
    assert_eq!(found(&call.finish().ok()), json!(["second", 3]));
}

#[test]
fn standard_error_counts_too() {
    let cli = Cli::new();
    let apart = json!({ "stderr": "separate" });
    cli.start(with(
        work("a", ["print", "out", "eprint", "err", "hang"]),
        apart,
    ));
    assert_eq!(
        found(&cli.run("wait").payload(until("a", "err")).ok()),
        json!(["err", 1])
    );
}

#[test]
fn what_counts_is_what_a_reader_sees() {
    let cli = Cli::new();
    // ESC[32mready ESC[0min 3 s
    cli.start(work(
        "a",
        [
            "raw",
            "1b5b33326d7265616479201b5b306d696e203320730d0a",
            "hang",
        ],
    ));
    assert_eq!(
        found(&cli.run("wait").payload(until("a", "^ready in 3 s$")).ok()),
        json!(["ready in 3 s", 1])
    );
}

#[test]
fn all_or_any_of_several_tasks_are_waited_for() {
    let cli = Cli::new();
    for id in ["a", "b"] {
        let go = cli.file(&format!("go-{id}"));
        let tags = json!({ "tags": ["t"] });
        cli.start(with(
            work(
                id,
                ["print", id, "wait-file", &go, "print", "ready", "hang"],
            ),
            tags,
        ));
        cli.await_line(id, id);
    }
    let many = |mode: &str| json!({ "tag": "t", "mode": mode, "until": { "log": "^ready$" } });
    let (any, all) = (waiting(&cli, many("any")), waiting(&cli, many("all")));
    cli.touch("go-b");
    let answer = any.finish().ok();
    assert_eq!(
        (&answer["outcome"], &answer["pending"]),
        (&json!("partial"), &json!(["a"]))
    );
    assert_eq!(answer["tasks"][0]["id"], "b");
    assert_eq!(
        (
            &answer["matches"]["b"]["line"],
            &answer["matches"]["b"]["number"]
        ),
        (&json!("ready"), &json!(2))
    );
    assert!(answer["matches"].get("a").is_none());
    // The other one's place is known to whoever gives up.
    let in_vain = cli
        .run("wait")
        .payload(many("all"))
        .flags(["--timeout", "0.2"]);
    let details = in_vain.err("TaskWaitTimedOut")["details"].take();
    assert_eq!(details["pending"], json!(["a"]));
    cli.touch("go-a");
    let answer = all.finish().ok();
    assert_eq!(
        (&answer["outcome"], &answer["pending"]),
        (&json!("reached"), &json!([]))
    );
    assert_eq!(answer["matches"].as_object().unwrap().len(), 2);
    let rest = json!({ "ids": ["a"], "until": { "log": "." }, "cursors": details["cursors"] });
    assert_eq!(
        cli.run("wait").payload(rest).ok()["matches"]["a"]["line"],
        "ready"
    );
}

#[test]
fn one_that_can_never_get_there_ends_the_wait_for_all() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "no", "exit", "1"]));
    cli.start(work("b", ["print", "no", "hang"]));
    let many = |mode: &str| json!({ "ids": ["a", "b"], "mode": mode, "until": { "log": "yes" } });
    let error = cli.run("wait").payload(many("all")).err("TaskNotRunning");
    assert_eq!(
        (
            &error["details"]["task"]["id"],
            &error["details"]["retryable"]
        ),
        (&json!("a"), &json!(false))
    );
    // Any one may still be the other one.
    let any = cli
        .run("wait")
        .payload(many("any"))
        .flags(["--timeout", "0.2"]);
    any.err("TaskWaitTimedOut");
    let call = waiting(&cli, many("any"));
    cli.stop("b");
    call.finish().err("TaskNotRunning");
}

#[test]
fn a_supervisor_that_is_lost_ends_no_wait_while_the_command_lives() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        ["print", "up", "wait-file", &go, "print", "ready", "hang"],
    ));
    cli.await_line("a", "up");
    let call = waiting(&cli, until("a", "ready"));
    cli.lose_supervisor("a");
    cli.touch("go");
    assert_eq!(found(&call.finish().ok()), json!(["ready", 2]));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_touched() {
    let cli = Cli::new();
    for (request, field) in [
        (until("a", "("), "until.log"),
        (json!({ "id": "a", "cursor": "v1" }), "cursor"),
        (
            json!({ "ids": ["a"], "cursor": "v1", "until": { "log": "x" } }),
            "cursor",
        ),
        (
            json!({ "ids": ["a"], "cursors": { "b": "v1" }, "until": { "log": "x" } }),
            "cursors",
        ),
        (json!({ "id": "a", "until": { "log": 3 } }), "until.log"),
        (json!({ "id": "a", "until": { "line": "x" } }), "until"),
        (json!({ "id": "a", "until": "(" }), "until"),
    ] {
        let error = cli
            .run("wait")
            .payload(request.clone())
            .err("CommandInputError");
        let named = text(&error["details"]["field"]);
        assert!(named.starts_with(field), "{request}: {error}");
    }
    assert!(!cli.home().exists());
    let error = cli
        .run("wait")
        .payload(until("a", "a(b"))
        .err("CommandInputError");
    assert_eq!(error["details"]["offset"], 1);
}

/// A part that holds nothing is passed over by the block, and nothing in it is lost.
#[test]
fn what_is_far_down_a_long_log_is_found_in_its_place() {
    let cli = Cli::new();
    cli.start(script(
        "a",
        "seq 300000; echo needle; seq 5; echo up; exec sleep 1000",
    ));
    cli.await_line("a", "up");
    for pattern in ["needle", "^n.*e$"] {
        let until = json!({ "id": "a", "until": { "log": pattern } });
        let found = cli.run("wait").payload(until).ok()["match"].take();
        assert_eq!(
            (&found["line"], &found["number"]),
            (&json!("needle"), &json!(300_001))
        );
        let next = json!({ "id": "a", "cursor": found["cursor"], "until": { "log": "." } });
        let next = cli.run("wait").payload(next).ok()["match"].take();
        assert_eq!(
            (&next["line"], &next["number"]),
            (&json!("1"), &json!(300_002))
        );
    }
    // Where it got to without a match, the next goes on.
    let none = json!({ "id": "a", "until": { "log": "nowhere" } });
    let wait = cli.run("wait").payload(none).flags(["--timeout", "0"]);
    let cursor = wait.err("TaskWaitTimedOut")["details"]["cursor"].take();
    let rest = cli
        .run("events")
        .payload(json!({ "id": "a", "cursor": cursor }))
        .ok();
    assert_eq!(
        rest["frames"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["type"] == "task.log.line")
            .count(),
        0
    );
    let grep = json!({ "id": "a", "cursors": {}, "grep": "^(1|300000|up)$" });
    let frames = cli.run("logs").payload(grep).flags(["--stream"]).frames();
    let numbers = frames.iter().filter(|it| it["type"] == "task.log.line");
    let numbers: Vec<_> = numbers
        .map(|it| it["data"]["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 300_000, 300_002, 300_007]);
}
