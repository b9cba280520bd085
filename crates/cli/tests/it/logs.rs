//! `logs`: the end of what a task wrote, with exact totals and never too much of it.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, fields, lines, pid_of, text, types, with, work};
use crate::processes;

/// The view alone, whatever more there is.
fn inline(cli: &Cli, request: Value) -> Value {
    let call = cli.run("logs").payload(request);
    call.flags(["--output", "inline"]).ok()
}

fn numbers(from: u32, to: u32) -> Value {
    (from..=to)
        .map(|number| Value::from(number.to_string()))
        .collect()
}

#[test]
fn the_last_hundred_lines_are_shown_unless_told() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "412"]));
    let answer = inline(&cli, json!({ "id": "a" }));
    assert_eq!(answer["lines"], numbers(313, 412));
    assert_eq!(
        (&answer["task_id"], &answer["running"]),
        (&json!("a"), &json!(false))
    );
    assert_eq!(
        (&answer["total_lines"], &answer["shown_lines"]),
        (&json!(412), &json!(100))
    );
    assert_eq!(
        (&answer["has_more"], &answer["truncated_bytes"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(
        (&answer["clipped_lines"], &answer["last_line_partial"]),
        (&json!(0), &json!(false))
    );
    assert!(!text(&answer["cursor"]).is_empty());
}

#[test]
fn as_many_lines_are_shown_as_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "7"]));
    for (asked, shown) in [(0, 0), (1, 1), (6, 6), (7, 7), (8, 7), (1_000_000, 7)] {
        let answer = inline(&cli, json!({ "id": "a", "lines": asked }));
        assert_eq!(answer["lines"], numbers(8 - shown, 7));
        assert_eq!(answer["shown_lines"], shown);
        assert_eq!(answer["has_more"], shown < 7);
        assert_eq!(answer["total_lines"], 7);
    }
}

#[test]
fn the_whole_log_is_pointed_to_where_more_exists_than_is_shown() {
    let cli = Cli::new();
    cli.start_and_wait(work("l", ["lines", "412"]));
    let answer = cli
        .run("logs")
        .payload(json!({ "id": "l", "lines": 50 }))
        .ok();
    assert_eq!(fields(&answer), ["artifact", "inline", "kind", "summary"]);
    assert_eq!(answer["kind"], "summary+artifact");
    assert_eq!(answer["summary"], "Showing 50 of 412 log lines for l.");
    assert_eq!(
        answer["inline"],
        inline(&cli, json!({ "id": "l", "lines": 50 }))
    );
    let artifact = &answer["artifact"];
    let path = cli.home().join("logs/l.log");
    assert_eq!(
        (&artifact["key"], &artifact["kind"]),
        (&json!("task.l.logs"), &json!("text"))
    );
    assert_eq!(artifact["absolute_path"], path.to_str().unwrap());
    assert_eq!(artifact["relative_path"], "logs/l.log");
    assert_eq!(artifact["size_bytes"], fs::metadata(&path).unwrap().len());
    assert_eq!(artifact["created_at"], cli.task("l")["created_at"]);
    assert!(!text(&artifact["label"]).is_empty());
}

#[test]
fn the_whole_log_is_pointed_to_always_or_never_when_told_so() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "3"]));
    let call = |lines: u32| {
        cli.run("logs")
            .payload(json!({ "id": "a", "lines": lines }))
    };
    assert!(call(3).ok().get("artifact").is_none());
    assert!(call(2).ok().get("artifact").is_some());
    assert!(
        call(2)
            .flags(["--output", "inline"])
            .ok()
            .get("artifact")
            .is_none()
    );
    let answer = call(3).flags(["--output", "artifact"]).ok();
    assert_eq!(answer["summary"], "Showing 3 of 3 log lines for a.");
    assert_eq!(answer["artifact"]["size_bytes"], 6);
}

#[test]
fn a_task_that_writes_nothing_has_an_empty_log() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let answer = cli.run("logs").text("a").ok();
    assert_eq!(
        (&answer["lines"], &answer["total_lines"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(
        (&answer["has_more"], &answer["running"]),
        (&json!(false), &json!(true))
    );
    let call = cli.run("logs").text("a").flags(["--output", "artifact"]);
    assert_eq!(call.ok()["artifact"]["size_bytes"], 0);
}

#[test]
fn an_unfinished_line_is_a_line() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "one", "raw", "74776f", "hang"]));
    eventually(|| cli.log("a") == "one\ntwo", "both are written");
    let answer = cli.run("logs").text("a").ok();
    assert_eq!(answer["lines"], json!(["one", "two"]));
    assert_eq!(
        (&answer["total_lines"], &answer["last_line_partial"]),
        (&json!(2), &json!(true))
    );
}

#[test]
fn any_bytes_are_shown_as_text_and_kept_as_bytes() {
    let cli = Cli::new();
    // a\xff\0b\r\n, then an e with an accent that is cut in half.
    cli.start_and_wait(work("a", ["raw", "61ff00620d0a", "raw", "c3a90ac3"]));
    let answer = cli.run("logs").text("a").ok();
    assert_eq!(answer["lines"], json!(["a\u{fffd}b", "é", "\u{fffd}"]));
    let bytes = fs::read(cli.home().join("logs/a.log")).unwrap();
    assert_eq!(bytes, b"a\xff\0b\r\n\xc3\xa9\n\xc3");
}

#[test]
fn long_lines_are_cut_marked_and_counted() {
    let cli = Cli::new();
    let (long, short) = ("x".repeat(300_000), "y".repeat(10));
    let script = format!(
        "head -c {} /dev/zero | tr '\\0' x; echo; echo {short}",
        long.len()
    );
    cli.start_and_wait(json!({ "id": "a", "shell": script }));
    for (limit, request) in [
        (4096, json!({ "id": "a" })),
        (100, json!({ "id": "a", "max_line_bytes": 100 })),
        (10, json!({ "id": "a", "maxLineBytes": 10 })),
    ] {
        let answer = inline(&cli, request);
        let shown = text(&answer["lines"][0]);
        assert!(shown.starts_with(&long[..limit]) && !shown.starts_with(&long[..=limit]));
        assert!(
            (limit + 1..limit + 100).contains(&shown.len()),
            "it bears a mark"
        );
        assert_eq!(
            (&answer["lines"][1], &answer["clipped_lines"]),
            (&json!(short), &json!(1))
        );
    }
    let whole = inline(
        &cli,
        json!({ "id": "a", "max_line_bytes": 300_000, "max_bytes": 1 << 20 }),
    );
    assert_eq!(
        (&whole["lines"][0], &whole["clipped_lines"]),
        (&json!(long), &json!(0))
    );
}

#[test]
fn a_cut_falls_between_characters() {
    let cli = Cli::new();
    let word = "aé日🦀".repeat(4);
    cli.start_and_wait(work("a", ["print", &word]));
    for limit in 1..word.len() {
        let answer = inline(&cli, json!({ "id": "a", "max_line_bytes": limit }));
        let shown = text(&answer["lines"][0]);
        let kept = shown
            .chars()
            .zip(word.chars())
            .take_while(|(a, b)| a == b)
            .count();
        assert!(!shown.contains('\u{fffd}'), "{limit}: {shown}");
        let kept_bytes: usize = word.chars().take(kept).map(char::len_utf8).sum();
        assert!(
            kept_bytes <= limit && kept_bytes + 4 > limit,
            "{limit}: {shown}"
        );
    }
}

#[test]
fn the_oldest_lines_give_way_when_there_are_too_many_bytes() {
    let cli = Cli::new();
    // Ten lines of 64 bytes each, one of them the line end.
    cli.start_and_wait(work("a", ["fill", "640"]));
    for (max_bytes, shown) in [(1, 1), (63, 1), (125, 1), (126, 2), (630, 10), (65_536, 10)] {
        let answer = inline(&cli, json!({ "id": "a", "max_bytes": max_bytes }));
        assert_eq!(answer["shown_lines"], shown, "{max_bytes}");
        assert_eq!(answer["lines"].as_array().unwrap().len(), shown);
        assert_eq!(
            (&answer["total_lines"], &answer["has_more"]),
            (&json!(10), &json!(shown < 10))
        );
    }
    cli.start_and_wait(work("b", ["lines", "100", "print", &"x".repeat(4000)]));
    let answer = inline(&cli, json!({ "id": "b", "max_bytes": 100 }));
    assert_eq!(
        answer["lines"],
        json!(["x".repeat(4000)]),
        "at least one line is shown"
    );
}

#[test]
fn limits_may_be_as_large_as_numbers_get() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one"]));
    for field in ["lines", "max_bytes", "max_line_bytes"] {
        for limit in [u64::MAX, u64::MAX - 4, i64::MAX as u64, u64::from(u32::MAX)] {
            let answer = inline(&cli, json!({ "id": "a", field: limit }));
            assert_eq!(answer["lines"], json!(["one"]), "{field} {limit}");
        }
    }
    let beyond = r#"{"id": "a", "lines": 18446744073709551616}"#;
    cli.run("logs").text(beyond).err("CommandInputError");
}

#[test]
fn no_more_than_64_kib_are_shown_unless_told() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["fill", "640000"]));
    let answer = inline(&cli, json!({ "id": "a", "lines": 10_000 }));
    assert_eq!(
        (&answer["shown_lines"], &answer["total_lines"]),
        (&json!(65_536 / 63), &json!(10_000))
    );
}

#[test]
fn the_lines_of_a_large_log_are_counted_exactly() {
    let cli = Cli::new();
    let bytes = 40_000_001;
    cli.start_and_wait(work("a", ["fill", &bytes.to_string()]));
    let answer = cli
        .run("logs")
        .payload(json!({ "id": "a", "lines": 2 }))
        .ok();
    assert_eq!(answer["inline"]["total_lines"], bytes / 64 + 1);
    assert_eq!(answer["artifact"]["size_bytes"], bytes);
    assert_eq!(answer["inline"]["last_line_partial"], true);
}

#[test]
fn a_view_of_a_growing_log_fits_together() {
    let cli = Cli::new();
    cli.start(work("a", ["lines", "2000000", "hang"]));
    let mut seen = 0;
    while seen < 2_000_000 {
        let answer = inline(&cli, json!({ "id": "a", "lines": 5 }));
        let total = answer["total_lines"].as_u64().unwrap();
        assert!(total >= seen);
        let shown = answer["lines"].as_array().unwrap();
        assert_eq!(answer["shown_lines"], shown.len());
        let whole = shown.len() - usize::from(answer["last_line_partial"] == true && total > 0);
        for (at, line) in shown[..whole].iter().enumerate() {
            assert_eq!(
                *line,
                (total + 1 - shown.len() as u64 + at as u64).to_string()
            );
        }
        seen = total;
    }
}

#[test]
fn a_log_that_was_removed_is_no_error() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one"]));
    cli.await_no_supervisor("a");
    fs::remove_file(cli.home().join("logs/a.log")).unwrap();
    assert_eq!(
        cli.run("logs").text("a").ok()["lines"],
        json!(["one"]),
        "it has a second name"
    );
    fs::remove_file(cli.task_file("a", "log")).unwrap();
    assert_eq!(cli.run("logs").text("a").ok()["total_lines"], 0);
}

#[test]
fn what_is_not_there_has_no_log() {
    let cli = Cli::new();
    cli.run("logs").text("a").err("TaskNotFound");
    cli.run("logs")
        .text("a")
        .flags(["--stream"])
        .err("TaskNotFound");
    assert!(!cli.home().exists());
}

#[test]
fn a_stream_has_a_beginning_lines_and_an_end() {
    let cli = Cli::new();
    cli.start(work(
        "a",
        ["print", "one", "eprint", "two", "print", "three", "hang"],
    ));
    cli.await_line("a", "three");
    let call = cli.run("logs").payload(json!({ "id": "a", "lines": 2 }));
    let frames = call.flags(["--stream"]).frames();
    let expected = [
        "task.logs.started",
        "task.log.line",
        "task.log.line",
        "task.logs.completed",
    ];
    assert_eq!(types(&frames), expected);
    assert_eq!(lines(&frames), ["two", "three"]);
    assert!(frames.iter().all(|frame| frame["task_id"] == "a"));
    assert_eq!(
        (&frames[1]["data"]["number"], &frames[2]["data"]["number"]),
        (&json!(2), &json!(3))
    );
}

#[test]
fn a_stream_that_follows_ends_with_the_task() {
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
            "raw",
            "7a",
        ],
    ));
    let stream = cli.run("logs").text("a").flags(["--follow"]).stream();
    stream.await_frame("one");
    cli.touch("go");
    let rest = stream.rest();
    assert_eq!(lines(&rest), ["two", "z"]);
    assert_eq!(types(&rest).last().unwrap(), "task.logs.completed");
}

#[test]
fn following_a_lost_task_ends_when_it_does() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["print", "up", "hang"]));
    cli.await_line("a", "up");
    cli.lose_supervisor("a");
    let stream = cli.run("logs").text("a").flags(["--follow"]).stream();
    stream.await_frame("up");
    processes::send(pid_of(&task), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(types(&stream.rest()), ["task.logs.completed"]);
}

#[test]
fn lines_of_a_stream_are_cut_as_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", &"x".repeat(50)]));
    let request = with(json!({ "id": "a" }), json!({ "max_line_bytes": 10 }));
    let frames = cli
        .run("logs")
        .payload(request)
        .flags(["--stream"])
        .frames();
    let [shown] = &lines(&frames)[..] else {
        panic!("{frames:?}");
    };
    assert!(
        shown.starts_with(&"x".repeat(10)) && !shown.contains(&"x".repeat(11)),
        "{shown}"
    );
}

#[test]
fn what_bounds_one_document_is_refused_in_a_stream() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "3"]));
    for field in ["head", "context", "max_matches", "max_bytes"] {
        let mut request = json!({ "id": "a", "grep": "2" });
        request[field] = json!(1);
        for flag in ["--stream", "--follow"] {
            let call = cli.run("logs").payload(request.clone()).flags([flag]);
            let error = call.err("CommandInputError");
            assert_eq!(error["details"]["field"], field);
        }
    }
}

#[test]
fn so_many_lines_behind_a_cursor_are_streamed_as_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "9"]));
    let stream = |payload: Value, verb: &str| {
        let call = cli.run(verb).payload(payload).flags(["--stream"]);
        call.frames()
    };
    let mut cursor = stream(json!({ "id": "a", "lines": 0 }), "logs")[0]["cursor"].clone();
    assert_eq!(
        lines(&stream(json!({ "id": "a", "cursor": cursor }), "logs")),
        [""; 0]
    );
    cursor = stream(json!({ "id": "a", "cursors": {} }), "events")[1]["cursor"].clone();
    let mut all = Vec::new();
    let mut last = Value::Null;
    for _ in 0..4 {
        let frames = stream(json!({ "id": "a", "cursor": cursor, "lines": 3 }), "events");
        all.extend(lines(&frames));
        last = frames.last().unwrap().clone();
        cursor = last["cursor"].clone();
    }
    assert_eq!(json!(all), numbers(1, 9));
    assert_eq!(last["type"], "task.status.snapshot");
    // A stream that goes on has no last line.
    let cursor = stream(json!({ "id": "a", "cursors": {} }), "events")[1]["cursor"].clone();
    let request = json!({ "id": "a", "cursor": cursor, "lines": 3 });
    let followed = cli.run("events").payload(request).flags(["--follow"]);
    assert_eq!(json!(lines(&followed.frames())), numbers(1, 9));
}
