//! When lines were written: shown, asked for, and what puts two logs together.

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, lines, text, types, with, work};

fn logs(cli: &Cli, request: Value) -> Value {
    let request = with(json!({ "id": "a" }), request);
    let call = cli.run("logs").payload(request);
    call.flags(["--output", "inline"]).ok()
}

/// Waits until it is noted when what a running task has written so far was written. On a busy
/// machine that may take much longer than a tenth of a second.
pub fn await_times(cli: &Cli, id: &str) {
    let is_noted = || {
        let timeline = std::fs::read(cli.task_file(id, "timeline")).ok()?;
        let (words, _torn) = timeline.as_chunks::<8>();
        let (_time, lengths) = words.as_chunks::<3>().0.last()?.split_first()?;
        let length = |name| std::fs::metadata(cli.task_file(id, name)).map_or(0, |it| it.len());
        let lengths = [lengths[0], lengths[1]].map(u64::from_le_bytes);
        (lengths == [length("log"), length("log.stderr")]).then_some(())
    };
    eventually(is_noted, "the time is noted");
}

/// The time by another task's record.
fn now(cli: &Cli) -> String {
    let task = cli.start_and_wait(work("clock", []));
    text(&task["exited_at"])
}

/// The texts of lines with times.
fn texts(answer: &Value) -> Vec<String> {
    let lines = answer["lines"].as_array().unwrap();
    lines.iter().map(|line| text(&line["line"])).collect()
}

/// Lines one by one with a pause between them: to standard output but for the `e`s.
fn paused(cli: &Cli, separate: bool) -> Vec<String> {
    let go = ["1", "2", "3"].map(|n| cli.file(&format!("go{n}")));
    let payload = work(
        "a",
        [
            "print",
            "o1",
            "wait-file",
            &go[0],
            "eprint",
            "e1",
            "wait-file",
            &go[1],
            "print",
            "o2",
            "wait-file",
            &go[2],
            "eprint",
            "e2",
            "hang",
        ],
    );
    let stderr = if separate { "separate" } else { "merge" };
    cli.start(with(payload, json!({ "stderr": stderr })));
    let err = if separate { "a.stderr" } else { "a" };
    let mut moments = vec![];
    for (log, line, next) in [
        ("a", "o1", "go1"),
        (err, "e1", "go2"),
        ("a", "o2", "go3"),
        (err, "e2", ""),
    ] {
        cli.await_line(log, line);
        await_times(cli, "a");
        moments.push(now(cli));
        if !next.is_empty() {
            cli.touch(next);
        }
    }
    moments
}

#[test]
fn lines_are_shown_with_their_number_time_and_stream() {
    let cli = Cli::new();
    for separate in [false, true] {
        let moments = paused(&cli, separate);
        let answer = logs(&cli, json!({ "timestamps": true }));
        assert_eq!(texts(&answer), ["o1", "e1", "o2", "e2"]);
        let expected = if separate {
            json!([[1, "stdout"], [1, "stderr"], [2, "stdout"], [2, "stderr"]])
        } else {
            json!([[1, "stdout"], [2, "stdout"], [3, "stdout"], [4, "stdout"]])
        };
        let shown = answer["lines"].as_array().unwrap();
        let facts: Value = shown
            .iter()
            .map(|line| json!([line["number"], line["stream"]]))
            .collect();
        assert_eq!(facts, expected);
        // Each was written between two moments.
        let mut before = text(&cli.task("a")["started_at"]);
        for (line, after) in shown.iter().zip(moments) {
            let at = text(&line["timestamp"]);
            assert!(before <= at && at <= after, "{before} {at} {after}");
            before = after;
        }
        cli.stop("a");
        for name in ["go1", "go2", "go3"] {
            std::fs::remove_file(cli.file(name)).unwrap();
        }
    }
}

#[test]
fn lines_of_a_time_are_found() {
    let cli = Cli::new();
    for separate in [false, true] {
        let [first, second, third, _] = paused(&cli, separate).try_into().unwrap();
        let of = |more: Value| logs(&cli, more)["lines"].clone();
        assert_eq!(of(json!({ "since": first })), json!(["e1", "o2", "e2"]));
        assert_eq!(of(json!({ "since": third })), json!(["e2"]));
        assert_eq!(of(json!({ "until": first })), json!(["o1"]));
        assert_eq!(
            of(json!({ "since": first, "until": third })),
            json!(["e1", "o2"])
        );
        assert_eq!(of(json!({ "since": second, "until": first })), json!([]));
        assert_eq!(
            of(json!({ "since": "5m" })),
            json!(["o1", "e1", "o2", "e2"])
        );
        assert_eq!(of(json!({ "until": "5m" })), json!([]));
        assert_eq!(of(json!({ "since": "0s" })), json!([]));
        assert_eq!(of(json!({ "since": first, "lines": 1 })), json!(["e2"]));
        assert_eq!(
            of(json!({ "until": third, "head": 1, "lines": 1 })),
            json!(["o1", "o2"])
        );
        let some = logs(&cli, json!({ "since": first, "until": third, "lines": 1 }));
        assert_eq!(
            (&some["has_more"], &some["total_lines"]),
            (&json!(true), &json!(4))
        );
        let found = logs(&cli, json!({ "since": first, "grep": "o" }));
        assert_eq!(found["matches"].as_array().unwrap().len(), 1);
        assert_eq!(found["matches"][0]["line"], "o2");
        let request = json!({ "id": "a", "since": second });
        let frames = cli
            .run("logs")
            .payload(request)
            .flags(["--stream"])
            .frames();
        assert_eq!(lines(&frames), ["o2", "e2"]);
        cli.stop("a");
        for name in ["go1", "go2", "go3"] {
            std::fs::remove_file(cli.file(name)).unwrap();
        }
    }
}

#[test]
fn each_stream_can_be_had_by_itself() {
    let cli = Cli::new();
    paused(&cli, true);
    let of = |stream: &str, more: Value| logs(&cli, with(json!({ "stream": stream }), more));
    assert_eq!(of("stdout", json!({}))["lines"], json!(["o1", "o2"]));
    assert_eq!(of("stderr", json!({}))["lines"], json!(["e1", "e2"]));
    assert_eq!(of("stderr", json!({}))["total_lines"], 2);
    assert_eq!(of("all", json!({}))["total_lines"], 4);
    assert_eq!(
        of("all", json!({ "lines": 2 }))["lines"],
        json!(["o2", "e2"])
    );
    assert_eq!(
        of("all", json!({ "head": 1, "lines": 1 }))["lines"],
        json!(["o1", "e2"])
    );
    let found = of("all", json!({ "grep": "2" }));
    let hits: Vec<_> = found["matches"].as_array().unwrap().iter().collect();
    assert_eq!(
        *hits[0],
        json!({ "line": "o2", "number": 2, "stream": "stdout" })
    );
    assert_eq!(
        *hits[1],
        json!({ "line": "e2", "number": 2, "stream": "stderr" })
    );
    for flag in ["--stream", "--follow"] {
        let request = json!({ "id": "a", "stream": "stderr" });
        let call = cli
            .run("logs")
            .payload(request)
            .flags([flag, "--timeout", "0.2"]);
        assert_eq!(lines(&call.frames()), ["e1", "e2"]);
    }
    // In pages, one line each, by either command.
    for command in ["logs", "events"] {
        let start = cli
            .run("events")
            .payload(json!({ "id": "a", "lines": 10 }))
            .ok();
        let mut cursor = start["frames"][0]["cursor"].clone();
        let mut read = Vec::new();
        loop {
            let request = json!({ "id": "a", "cursor": cursor, "lines": 1 });
            if command == "logs" {
                let page = cli.run("logs").payload(request).ok();
                let page = page.get("inline").unwrap_or(&page);
                read.extend(page["lines"].as_array().unwrap().iter().map(text));
                cursor = page["cursor"].clone();
                if page["has_more"] == false {
                    break;
                }
            } else {
                let page = cli.run("events").payload(request).ok()["frames"].take();
                let page = page.as_array().unwrap();
                read.extend(lines(page));
                cursor = page.last().unwrap()["cursor"].clone();
                if page.len() == 1 {
                    break;
                }
            }
        }
        assert_eq!(read, ["o1", "e1", "o2", "e2"], "{command}");
    }
}

#[test]
fn a_stream_that_is_not_kept_apart_cannot_be_had_by_itself() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one", "eprint", "two"]));
    assert_eq!(
        logs(&cli, json!({ "stream": "stdout" }))["lines"],
        json!(["one", "two"])
    );
    for flags in [&[][..], &["--stream"], &["--follow"]] {
        let call = cli
            .run("logs")
            .payload(json!({ "id": "a", "stream": "stderr" }));
        let error = call.flags(flags.iter().copied()).err("CommandInputError");
        assert_eq!(error["details"]["field"], "stream");
    }
}

#[test]
fn streams_that_are_kept_apart_are_followed_together() {
    let cli = Cli::new();
    paused(&cli, true);
    cli.stop("a");
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    assert_eq!(lines(&frames), ["o1", "e1", "o2", "e2"]);
    assert_eq!(types(&frames).last().unwrap(), "task.killed");
    let numbers: Value = frames
        .iter()
        .filter(|it| it["type"] == "task.log.line")
        .map(|it| json!([it["data"]["stream"], it["data"]["number"]]))
        .collect();
    assert_eq!(
        numbers,
        json!([["stdout", 1], ["stderr", 1], ["stdout", 2], ["stderr", 2]])
    );
    let times: Vec<_> = frames[1..]
        .iter()
        .map(|it| text(&it["timestamp"]))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}
