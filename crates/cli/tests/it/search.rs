//! `logs`: both ends, searching, and what is refused.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, fields, lines, script, text, with, work};

fn logs(cli: &Cli, request: Value) -> Value {
    let request = with(json!({ "id": "a" }), request);
    let call = cli.run("logs").payload(request);
    call.flags(["--output", "inline"]).ok()
}

/// `[number, line]` of each match.
fn hits(answer: &Value) -> Value {
    let matches = answer["matches"].as_array().expect("there are matches");
    assert_eq!(answer["shown_lines"], matches.len());
    assert_eq!(answer["lines"], json!([]));
    matches
        .iter()
        .map(|hit| json!([hit["number"], hit["line"]]))
        .collect()
}

#[test]
fn both_ends_are_shown_and_the_gap_is_counted() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "10"]));
    let shown = |head: u64, tail: u64| {
        let answer = logs(&cli, json!({ "head": head, "lines": tail }));
        let shown = answer["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect::<Vec<_>>();
        let omitted = answer["omitted_lines"].as_u64().unwrap();
        assert_eq!(omitted + shown.len() as u64, 10);
        assert_eq!(
            (&answer["has_more"], &answer["total_lines"]),
            (&json!(omitted > 0), &json!(10))
        );
        // The cursor stands behind everything.
        assert_eq!(
            logs(&cli, json!({ "cursor": answer["cursor"] }))["lines"],
            json!([])
        );
        shown.join(" ")
    };
    assert_eq!(shown(2, 3), "1 2 8 9 10");
    assert_eq!(shown(2, 0), "1 2");
    assert_eq!(shown(0, 2), "9 10");
    for (head, tail) in [(10, 0), (0, 10), (4, 6), (8, 8), (99, 99)] {
        assert_eq!(shown(head, tail), "1 2 3 4 5 6 7 8 9 10");
    }
    assert!(logs(&cli, json!({})).get("omitted_lines").is_none());
}

#[test]
fn lines_from_the_start_that_do_not_fit_leave_one_gap() {
    let cli = Cli::new();
    cli.start_and_wait(work(
        "a",
        ["print", "12345", "print", "1234567890", "print", "1"],
    ));
    let answer = logs(&cli, json!({ "head": 2, "lines": 1, "max_bytes": 10 }));
    assert_eq!(answer["lines"], json!(["12345"]));
    assert_eq!(
        (&answer["omitted_lines"], &answer["has_more"]),
        (&json!(2), &json!(true))
    );
    let answer = logs(&cli, json!({ "head": 1, "lines": 1, "max_bytes": 6 }));
    assert_eq!(answer["lines"], json!(["12345", "1"]));
    assert_eq!(answer["omitted_lines"], 1);
}

#[test]
fn matches_are_given_with_their_numbers_and_surroundings() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "30"]));
    let found = logs(&cli, json!({ "grep": "^1?5$" }));
    assert_eq!(hits(&found), json!([[5, "5"], [15, "15"]]));
    assert_eq!(
        (&found["has_more"], &found["total_lines"]),
        (&json!(false), &json!(30))
    );
    assert_eq!(fields(&found["matches"][0]), ["line", "number"]);
    let found = logs(
        &cli,
        json!({ "grep": "^(1|15|30)$", "context": 2, "timestamps": true }),
    );
    let context: Value = found["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| {
            assert!(text(&hit["timestamp"]).ends_with('Z'));
            json!([hit["before"], hit["line"], hit["after"]])
        })
        .collect();
    let expected = json!([
        [[], "1", ["2", "3"]],
        [["13", "14"], "15", ["16", "17"]],
        [["28", "29"], "30", []],
    ]);
    assert_eq!(context, expected);
    assert_eq!(hits(&logs(&cli, json!({ "grep": "x" }))), json!([]));
}

#[test]
fn a_search_goes_on_behind_its_cursor() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "1000"]));
    for limit in [json!({ "max_matches": 7 }), json!({ "max_bytes": 20 })] {
        let mut cursor = None;
        let mut numbers = Vec::new();
        loop {
            let mut request = with(json!({ "grep": "3" }), limit.clone());
            if let Some(cursor) = cursor {
                request["cursor"] = cursor;
            }
            let found = logs(&cli, request);
            let page = hits(&found);
            assert!(page.as_array().unwrap().len() <= 20);
            numbers.extend(
                page.as_array()
                    .unwrap()
                    .iter()
                    .map(|hit| hit[0].as_u64().unwrap()),
            );
            cursor = Some(found["cursor"].clone());
            if found["has_more"] == false {
                break;
            }
        }
        let expected: Vec<u64> = (1..=1000)
            .filter(|number| number.to_string().contains('3'))
            .collect();
        assert_eq!(numbers, expected, "{limit}");
        // Behind the last one, nothing is found again; its lines are behind the cursor too.
        let request = json!({ "cursor": cursor });
        assert_eq!(logs(&cli, request)["lines"], json!([]));
    }
}

#[test]
fn the_rest_of_a_line_is_searched_with_its_surroundings() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        [
            "print",
            "one",
            "raw",
            "74776f20",
            "wait-file",
            &go,
            "print",
            "hit",
            "print",
            "three",
        ],
    ));
    crate::harness::eventually(|| cli.log("a") == "one\ntwo ", "a part is written");
    let cursor = logs(&cli, json!({}))["cursor"].take();
    cli.touch("go");
    cli.wait("a");
    let found = logs(
        &cli,
        json!({ "cursor": cursor, "grep": "hit", "context": 1 }),
    );
    assert_eq!(hits(&found), json!([[2, "hit"]]));
    assert_eq!(found["matches"][0]["before"], json!(["one"]));
    assert_eq!(found["matches"][0]["after"], json!(["three"]));
}

#[test]
fn what_is_searched_is_what_is_shown() {
    let cli = Cli::new();
    // ESC[31merrESC[0mor \r\n, then 50%\r100%\n
    cli.start_and_wait(work(
        "a",
        [
            "raw",
            "1b5b33316d6572721b5b306d6f720d0a",
            "raw",
            "3530250d313030250a",
        ],
    ));
    assert_eq!(
        hits(&logs(&cli, json!({ "grep": "^error$" }))),
        json!([[1, "error"]])
    );
    assert_eq!(hits(&logs(&cli, json!({ "grep": "50%" }))), json!([]));
    let raw = logs(&cli, json!({ "grep": "50%", "view": "raw" }));
    assert_eq!(hits(&raw), json!([[2, "50%\r100%"]]));
    assert_eq!(
        hits(&logs(&cli, json!({ "grep": "error", "view": "raw" }))),
        json!([])
    );
}

#[test]
fn streams_give_only_what_matches() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "2000"]));
    let call = |flag: &'static str| {
        let request = json!({ "id": "a", "grep": "^1?99$" });
        lines(&cli.run("logs").payload(request).flags([flag]).frames())
    };
    assert_eq!(call("--stream"), ["99", "199"]);
    assert_eq!(call("--follow"), ["99", "199"]);
    let first = json!({ "id": "a", "lines": 1 });
    let cursor = cli.run("events").payload(first).ok()["frames"][0]["cursor"].take();
    let next = json!({ "id": "a", "cursor": cursor, "lines": 3 });
    let page = cli.run("logs").payload(next).flags(["--stream"]).frames();
    assert_eq!(lines(&page), ["2000"]);
}

#[test]
fn a_large_log_is_counted_once() {
    let cli = Cli::new();
    let bytes = 300_000_000_u64;
    let whole = json!({ "limits": { "log_bytes": 0 } });
    cli.start_and_wait(with(work("a", ["fill", &bytes.to_string()]), whole));
    let first = logs(&cli, json!({ "lines": 2 }));
    let memory = fs::read(cli.task_file("a", "lines")).expect("it is remembered");
    let second = logs(&cli, json!({ "lines": 2 }));
    assert_eq!(first, second);
    assert_eq!(first["total_lines"], bytes.div_ceil(64));
    assert_eq!(fs::read(cli.task_file("a", "lines")).unwrap(), memory);
    // Read on from it, and put to the test by what has been written since.
    cli.await_no_supervisor("a");
    cli.run("restart").text("a").ok();
    cli.wait("a");
    let rest = logs(
        &cli,
        json!({ "cursor": first["cursor"], "lines": 1, "timestamps": true }),
    );
    assert_eq!(rest["total_lines"], (2 * bytes).div_ceil(64));
    assert_eq!(rest["lines"][0]["number"], bytes / 64 + 1);
}

#[test]
fn fields_that_do_not_go_together_are_refused_before_anything_is_touched() {
    let cli = Cli::new();
    let refused = |command: &str, request: Value, flags: &[&str]| {
        let call = cli
            .run(command)
            .payload(request.clone())
            .flags(flags.iter().copied());
        let error = call.err("CommandInputError");
        assert_eq!(error["details"]["retryable"], false);
        text(&error["details"]["field"])
    };
    let one = |more: Value| with(json!({ "id": "a" }), more);
    for (more, field) in [
        (json!({ "ids": ["b"] }), "id"),
        (json!({ "tag": "t" }), "id"),
        (json!({ "all": true }), "id"),
        (
            json!({ "cursor": "v1", "cursors": { "a": "v1" } }),
            "cursors",
        ),
        (json!({ "cursors": { "b": "v1" } }), "cursors"),
        (json!({ "max_line_bytes": 0 }), "max_line_bytes"),
        (json!({ "view": "colour" }), "view"),
        (json!({ "lines": -1 }), "lines"),
        (json!({ "line": 1 }), "line"),
    ] {
        for command in ["logs", "events"] {
            assert_eq!(
                refused(command, one(more.clone()), &[]),
                field,
                "{command} {more}"
            );
            assert_eq!(
                refused(command, one(more.clone()), &["--follow"]),
                field,
                "{command} {more}"
            );
        }
    }
    for (more, field) in [
        (json!({ "cursor": "v1", "head": 1 }), "head"),
        (json!({ "cursors": { "a": "v1" }, "head": 1 }), "head"),
        (json!({ "grep": "x", "head": 1 }), "head"),
        (json!({ "context": 1 }), "context"),
        (json!({ "max_matches": 1 }), "max_matches"),
        (json!({ "grep": "x", "max_matches": 0 }), "max_matches"),
        (json!({ "max_bytes": 0 }), "max_bytes"),
        (json!({ "grep": "(" }), "grep"),
        (json!({ "grep": "a\nb" }), "grep"),
        (json!({ "since": "yesterday" }), "since"),
        (json!({ "until": 5 }), "until"),
        (json!({ "stream": "both" }), "stream"),
    ] {
        assert_eq!(refused("logs", one(more.clone()), &[]), field, "{more}");
        assert_eq!(
            refused("logs", one(more.clone()), &["--stream"]),
            field,
            "{more}"
        );
    }
    // What only one document can show, and what only a stream can.
    assert_eq!(
        refused("logs", one(json!({ "head": 1 })), &["--stream"]),
        "head"
    );
    assert_eq!(
        refused(
            "logs",
            one(json!({ "grep": "x", "context": 1 })),
            &["--follow"]
        ),
        "context"
    );
    assert_eq!(
        refused(
            "logs",
            one(json!({ "grep": "x", "max_matches": 1 })),
            &["--follow"]
        ),
        "max_matches"
    );
    for many in [
        json!({ "ids": ["a"] }),
        json!({ "tag": "t" }),
        json!({ "all": true }),
    ] {
        assert_eq!(refused("logs", many.clone(), &[]), "id");
        let cursor = with(many, json!({ "cursor": "v1" }));
        assert_eq!(refused("events", cursor, &[]), "cursor");
    }
    for command in ["logs", "events"] {
        assert_eq!(refused(command, json!({}), &[]), "id");
        assert_eq!(refused(command, json!({ "ids": [] }), &["--stream"]), "ids");
    }
    assert!(!cli.home().exists());
}

#[test]
fn a_pattern_that_is_none_is_refused_with_what_is_wrong_and_where() {
    let cli = Cli::new();
    cli.start_and_wait(script("a", "echo one"));
    for flags in [&[][..], &["--stream"]] {
        let call = cli.run("logs").payload(json!({ "id": "a", "grep": "a(b" }));
        let error = call.flags(flags.iter().copied()).err("CommandInputError");
        assert_eq!(
            (&error["details"]["field"], &error["details"]["offset"]),
            (&json!("grep"), &json!(1))
        );
    }
}

#[test]
fn the_rest_of_a_line_comes_behind_the_part_that_matched() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!("printf part; while [ ! -e {go} ]; do sleep 0.01; done; echo ial; echo no");
    cli.start(script("a", &shell));
    let follow = cli
        .run("logs")
        .payload(json!({ "id": "a", "grep": "part" }));
    let stream = follow.flags(["--follow"]).stream();
    let part = stream.await_frame("task.log.line");
    assert_eq!(
        (&part["data"]["line"], &part["data"]["partial"]),
        (&json!("part"), &json!(true))
    );
    cli.touch("go");
    let rest = stream.await_frame("task.log.line");
    assert_eq!(
        (&rest["data"]["line"], &rest["data"]["continues"]),
        (&json!("ial"), &json!(true))
    );
    assert!(
        !stream
            .rest()
            .iter()
            .any(|frame| frame["type"] == "task.log.line")
    );
}

/// Whether a line is given does not depend on how many before it did not match.
#[test]
fn a_follower_sees_behind_many_misses_what_it_sees_before_them() {
    let cli = Cli::new();
    let odd = r"printf 'a\377b\nc1\302\233q\ngone\rshown\n'";
    cli.start_and_wait(script("a", &format!("{odd}; seq 1000; {odd}")));
    for pattern in ["^a.b$", "c1q", "^shown", "^gone"] {
        for view in ["clean", "raw"] {
            let payload = json!({ "id": "a", "grep": pattern, "view": view, "cursors": {} });
            let frames = cli
                .run("logs")
                .payload(payload)
                .flags(["--follow"])
                .frames();
            let numbers = frames.iter().filter(|it| it["type"] == "task.log.line");
            let numbers: Vec<_> = numbers
                .map(|it| it["data"]["number"].as_u64().unwrap())
                .collect();
            let half = numbers.len() / 2;
            let (first, last) = numbers.split_at(half);
            assert_eq!(
                first.iter().map(|it| it + 1003).collect::<Vec<_>>(),
                last,
                "{pattern} {view}"
            );
        }
    }
}

#[test]
fn what_follows_a_part_that_did_not_match_stands_for_itself() {
    let cli = Cli::new();
    cli.start_and_wait(script("a", "printf abc"));
    let grep = |more: Value| with(json!({ "id": "a", "grep": "foo" }), more);
    let frames = cli
        .run("logs")
        .payload(grep(json!({})))
        .flags(["--follow"])
        .frames();
    assert_eq!(lines(&frames), [""; 0]);
    let cursor = frames.last().unwrap()["cursor"].clone();
    cli.run("restart").text("a").ok();
    cli.wait("a");
    let frames = cli
        .run("logs")
        .payload(grep(json!({ "cursor": cursor })))
        .flags(["--follow"])
        .frames();
    assert_eq!(lines(&frames), [""; 0]);
}
