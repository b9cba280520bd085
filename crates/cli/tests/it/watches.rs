//! `watch` of `start`: being told of lines, and not too often.

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, script, text, with, work};

fn watch(name: &str, pattern: &str, throttle_ms: u64) -> Value {
    json!({ "watch": [{ "name": name, "pattern": pattern, "throttle_ms": throttle_ms }] })
}

/// `[name, line, stream, suppressed]` of each event.
fn told(cli: &Cli, id: &str) -> Vec<Value> {
    let payload = json!({ "id": id, "lines": 0 });
    let call = cli.run("events").payload(payload).flags(["--stream"]);
    let frames = call.frames();
    let told = frames.iter().filter(|it| it["type"] == "task.log_matched");
    let fields = |it: &Value| {
        let data = &it["data"];
        json!([
            data["name"],
            data["line"],
            data["stream"],
            data["suppressed"]
        ])
    };
    told.map(fields).collect()
}

#[test]
fn a_line_is_told_while_the_task_runs() {
    let cli = Cli::new();
    let start = work(
        "a",
        [
            "print",
            "fine",
            "raw",
            "1b5b33316d",
            "print",
            "ERROR 7\x1b[0m",
            "hang",
        ],
    );
    cli.start(with(start, watch("errors", "^ERROR", 30_000)));
    let events = || Some(told(&cli, "a")).filter(|told| !told.is_empty());
    let told = eventually(events, "the line is told");
    assert_eq!(told, [json!(["errors", "ERROR 7", "stdout", 0])]);
    cli.stop("a");
}

#[test]
fn a_follower_gets_the_event_behind_the_line() {
    let cli = Cli::new();
    let go = cli.file("go");
    let start = work("a", ["wait-file", &go, "print", "panic: 1", "exit", "0"]);
    cli.start(with(start, watch("panics", "panic", 30_000)));
    let call = cli
        .run("events")
        .payload(json!({ "id": "a" }))
        .flags(["--follow"]);
    let stream = call.stream();
    stream.await_frame("task.started");
    cli.touch("go");
    stream.await_frame("task.log.line");
    let event = stream.await_frame("task.log_matched");
    assert_eq!(event["data"]["line"], "panic: 1");
    stream.await_frame("task.exited");
    stream.finish();
}

#[test]
fn further_lines_are_counted_and_none_is_lost() {
    let cli = Cli::new();
    let start = work("a", ["lines", "1000"]);
    let task = cli.start_and_wait(with(start, watch("all", r"^\d+$", 600_000)));
    assert_eq!(task["status"], "exited");
    assert_eq!(
        told(&cli, "a"),
        [
            json!(["all", "1", "stdout", 0]),
            // Before the end is told.
            json!(["all", "1000", "stdout", 998]),
        ]
    );
    let payload = json!({ "id": "a", "lines": 0 });
    let frames = cli
        .run("events")
        .payload(payload)
        .flags(["--stream"])
        .frames();
    assert_eq!(
        frames.last().expect("there are some")["type"],
        "task.exited"
    );
}

#[test]
fn what_was_counted_is_told_when_the_time_is_over() {
    let cli = Cli::new();
    let go = cli.file("go");
    let start = work("a", ["lines", "9", "wait-file", &go, "print", "10", "hang"]);
    cli.start(with(start, watch("all", r"\d", 100)));
    let count = |wanted: usize| move |told: &Vec<Value>| told.len() >= wanted;
    let first = eventually(|| Some(told(&cli, "a")).filter(count(2)), "two events");
    assert_eq!(first[0], json!(["all", "1", "stdout", 0]));
    assert_eq!(first[1], json!(["all", "9", "stdout", 7]));
    cli.touch("go");
    let all = eventually(|| Some(told(&cli, "a")).filter(count(3)), "the next event");
    assert_eq!(all[2], json!(["all", "10", "stdout", 0]));
    cli.stop("a");
}

#[test]
fn the_last_line_counts_without_an_end() {
    let cli = Cli::new();
    for _ in 0..10 {
        // "out" without a newline; over before the supervisor has looked at anything.
        let start = work("a", ["print", "one", "raw", "6f7574", "exit", "1"]);
        cli.start_and_wait(with(start, watch("last", "^out$", 30_000)));
        assert_eq!(told(&cli, "a"), [json!(["last", "out", "stdout", 0])]);
    }
}

#[test]
fn each_watch_looks_at_both_streams() {
    let cli = Cli::new();
    let start = work("a", ["print", "one", "eprint", "two", "eprint", "one"]);
    let watches = json!({ "stderr": "separate", "watch": [
        { "name": "ones", "pattern": "one", "throttle_ms": 0 },
        { "name": "twos", "pattern": "two" },
    ] });
    cli.start_and_wait(with(start, watches));
    let mut told: Vec<String> = told(&cli, "a").iter().map(Value::to_string).collect();
    told.sort();
    let expected = [
        r#"["ones","one","stderr",0]"#,
        r#"["ones","one","stdout",0]"#,
        r#"["twos","two","stderr",0]"#,
    ];
    assert_eq!(told, expected);
}

#[test]
fn every_run_is_watched() {
    let cli = Cli::new();
    let restart = json!({ "policy": "on_failure", "max_retries": 2, "delay_ms": 1 });
    let shell = "echo run $(wc -l <runs) >>runs; tail -n 1 runs; exit 1";
    cli.touch("runs");
    let start = with(script("a", shell), json!({ "restart": restart }));
    cli.start_and_wait(with(start, watch("runs", "^run", 600_000)));
    let lines: Vec<Value> = told(&cli, "a").iter().map(|it| it[1].clone()).collect();
    assert_eq!(lines, ["run 0", "run 1", "run 2"]);
    cli.run("restart").text("a").ok();
    cli.wait("a");
    assert!(told(&cli, "a").len() > 3);
}

#[test]
fn long_lines_are_cut_and_many_are_searched() {
    let cli = Cli::new();
    let shell = "yes no | head -c 30000000; printf 'x%.0s' $(seq 10000); echo; echo end";
    let watches = json!({ "watch": [
        { "name": "long", "pattern": "^x+" },
        { "name": "end", "pattern": "^end$" },
    ] });
    cli.start_and_wait(with(script("a", shell), watches));
    let told = told(&cli, "a");
    assert_eq!(told.len(), 2, "{told:?}");
    let line = text(&told[0][1]);
    assert!(
        line.starts_with("xxx") && line.len() < 4200,
        "{}",
        line.len()
    );
    assert_eq!(told[1], json!(["end", "end", "stdout", 0]));
}

#[test]
fn who_takes_over_a_lost_task_tells_nothing_twice() {
    let cli = Cli::new();
    let go = cli.file("go");
    let start = work(
        "a",
        [
            "print",
            "error 1",
            "wait-file",
            &go,
            "print",
            "error 2",
            "hang",
        ],
    );
    cli.start(with(start, watch("e", "error", 0)));
    eventually(|| told(&cli, "a").len() == 1, "the line is told");
    cli.lose_supervisor("a");
    cli.run("recover").ok();
    cli.touch("go");
    eventually(|| told(&cli, "a").len() == 2, "the next line is told");
    assert_eq!(told(&cli, "a")[1], json!(["e", "error 2", "stdout", 0]));
    cli.stop("a");
    cli.run("restart").text("a").ok();
    eventually(|| told(&cli, "a").len() == 4, "the next run is watched");
    cli.stop("a");
}

#[test]
fn a_watch_needs_a_name_and_a_pattern() {
    let cli = Cli::new();
    for (watch, field) in [
        (json!([{ "name": "", "pattern": "a" }]), "watch[0].name"),
        (
            json!([{ "name": "a", "pattern": "a(" }]),
            "watch[0].pattern",
        ),
    ] {
        let start = with(work("a", ["hang"]), json!({ "watch": watch }));
        let error = cli.run("start").payload(start).err("CommandInputError");
        assert_eq!(error["details"]["field"], field);
    }
}
