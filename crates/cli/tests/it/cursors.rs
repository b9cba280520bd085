//! Reading on from cursors: nothing is missed, nothing repeated, whatever happens in between.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, lines, script, text, types, with, work};

/// A small generator of numbers that look random, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Text of all kinds of lines: empty, long, `\r\n`, colours, characters of two to four bytes.
fn sample(dice: &mut Dice, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        match dice.below(8) {
            0 => text.push('\n'),
            1 => text.push_str("dos\r\n"),
            2 => text.push_str("\x1b[31mred\x1b[0m\n"),
            3 => text.push_str("héllo 日本 🦀\n"),
            4 => text.push_str(&"long ".repeat(usize::try_from(dice.below(900)).unwrap())),
            5 => text.push_str("10%\r20%\r\n"),
            _ => text.push_str(&format!("line {}\n", dice.below(1000))),
        }
    }
    text
}

/// A text that is put together from pages.
#[derive(Default)]
struct Together {
    text: String,
    number: u64,
    is_open: bool,
}

impl Together {
    /// `line` has `number`, `line`; ends unless `partial`.
    fn take(&mut self, line: &Value, continues: bool, partial: bool) {
        assert_eq!(continues, self.is_open, "{line}");
        self.number += u64::from(!continues);
        assert_eq!(line["number"], self.number, "{line}");
        self.text.push_str(line["line"].as_str().unwrap());
        if !partial {
            self.text.push('\n');
        }
        self.is_open = partial;
    }

    fn take_page(&mut self, page: &Value) {
        let shown = page["lines"].as_array().unwrap();
        assert_eq!(page["shown_lines"], shown.len());
        for (at, line) in shown.iter().enumerate() {
            let continues = at == 0 && page["first_line_continues"] == true;
            let partial = at + 1 == shown.len() && page["last_line_partial"] == true;
            self.take(line, continues, partial);
        }
    }

    fn take_frames(&mut self, frames: &[Value]) {
        for frame in frames.iter().filter(|it| it["type"] == "task.log.line") {
            let data = &frame["data"];
            self.take(data, data["continues"] == true, data["partial"] == true);
        }
    }
}

/// The answer of `logs`, whatever more there is.
fn logs(cli: &Cli, request: Value) -> Value {
    let call = cli.run("logs").payload(request);
    call.flags(["--output", "inline"]).ok()
}

fn events(cli: &Cli, request: Value) -> Vec<Value> {
    let answer = cli.run("events").payload(request).ok();
    answer["frames"].as_array().unwrap().clone()
}

/// A cursor at the end of what there is.
fn cursor_of(cli: &Cli, id: &str) -> String {
    text(&logs(cli, json!({ "id": id, "lines": 0 }))["cursor"])
}

/// A cursor before everything.
fn first_cursor(cli: &Cli, id: &str) -> String {
    let frames = events(cli, json!({ "id": id, "lines": 1_000_000 }));
    text(&frames[0]["cursor"])
}

/// A page of random size behind a cursor, by `logs` or by `events`; the cursor behind it.
fn read_page(cli: &Cli, dice: &mut Dice, cursor: &str, together: &mut Together) -> (String, bool) {
    let most = 1 + dice.below(40);
    let whole = json!({ "id": "a", "view": "raw", "max_line_bytes": 1_000_000, "cursor": cursor });
    if dice.below(3) == 0 {
        let frames = events(cli, with(whole, json!({ "lines": most })));
        together.take_frames(&frames);
        let last = frames.last().unwrap();
        let is_over = frames.len() == 1 && cli.task("a")["status"] == "exited";
        return (text(&last["cursor"]), is_over);
    }
    let max_bytes = 1 + dice.below(3000);
    let more = json!({ "lines": most, "max_bytes": max_bytes, "timestamps": true });
    let page = logs(cli, with(whole, more));
    let shown = page["lines"].as_array().unwrap();
    let sizes = shown.iter().map(|line| text(&line["line"]).len() as u64);
    let first = sizes.clone().next().unwrap_or(0);
    assert!(sizes.sum::<u64>() <= max_bytes.max(first), "{page}");
    together.take_page(&page);
    let is_over = page["running"] == false && page["has_more"] == false;
    (text(&page["cursor"]), is_over)
}

/// Reads to the end of a task that ends, from a cursor on.
fn read_all(cli: &Cli, seed: u64, cursor: String) -> String {
    let mut dice = Dice(seed);
    let (mut together, mut cursor) = (Together::default(), cursor);
    loop {
        let (next, is_over) = read_page(cli, &mut dice, &cursor, &mut together);
        cursor = next;
        if is_over {
            return together.text;
        }
    }
}

/// As `cat FILE`, in pieces of a few bytes that end anywhere.
fn writer(cli: &Cli, content: &str, piece: u32) -> Value {
    fs::write(cli.file("content"), content).unwrap();
    script("a", &format!("dd if=content bs={piece} status=none"))
}

#[test]
fn pages_of_any_size_put_together_are_the_log() {
    let cli = Cli::new();
    for seed in [7, 77] {
        let content = sample(&mut Dice(seed), 60_000);
        cli.start_and_wait(writer(&cli, &content, 1000));
        let read = read_all(&cli, seed, first_cursor(&cli, "a"));
        let ended = content.ends_with('\n');
        assert!(read == content || (!ended && read == content.clone() + "\n"));
    }
}

#[test]
fn pages_of_a_log_that_is_being_written_put_together_are_the_log() {
    let cli = Cli::new();
    for (seed, piece) in [(3, 1), (33, 3), (333, 7)] {
        let content = sample(&mut Dice(seed), 80_000) + "no end";
        cli.start(writer(&cli, &content, piece));
        let read = read_all(&cli, seed, first_cursor(&cli, "a"));
        assert!(
            read.trim_end_matches('\n') == content,
            "seed {seed}: {} {}",
            read.len(),
            content.len()
        );
    }
}

#[test]
fn the_rest_of_a_line_comes_under_its_number() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        [
            "print",
            "one",
            "raw",
            "746f20",
            "wait-file",
            &go,
            "print",
            "be",
            "raw",
            "7a",
        ],
    ));
    eventually(|| cli.log("a") == "one\nto ", "a part is written");
    let first = logs(&cli, json!({ "id": "a", "timestamps": true }));
    assert_eq!(first["last_line_partial"], true);
    assert_eq!(first["total_lines"], 2);
    assert_eq!(first["lines"][1]["line"], "to ");
    assert!(first.get("first_line_continues").is_none());
    // Whoever has been shown nothing of the line gets all of it.
    let none = logs(&cli, json!({ "id": "a", "lines": 0 }));
    assert_eq!(
        (&none["lines"], &none["has_more"]),
        (&json!([]), &json!(true))
    );
    let head = logs(&cli, json!({ "id": "a", "head": 2, "lines": 0 }));
    assert_eq!(head["lines"], json!(["one", "to "]));
    cli.touch("go");
    cli.wait("a");
    let behind = |page: &Value| {
        let cursor = &page["cursor"];
        logs(
            &cli,
            json!({ "id": "a", "timestamps": true, "cursor": cursor }),
        )
    };
    for page in [&first, &head] {
        let rest = behind(page);
        assert_eq!(rest["first_line_continues"], true);
        let [be, z] = [&rest["lines"][0], &rest["lines"][1]];
        assert_eq!((&be["line"], &be["number"]), (&json!("be"), &json!(2)));
        assert_eq!((&z["line"], &z["number"]), (&json!("z"), &json!(3)));
        assert_eq!(rest["last_line_partial"], true);
        // It has been given, and nothing follows.
        assert_eq!(behind(&rest)["lines"], json!([]));
    }
    let whole = behind(&none);
    assert!(whole.get("first_line_continues").is_none());
    assert_eq!(
        (&whole["lines"][0]["line"], &whole["lines"][0]["number"]),
        (&json!("to be"), &json!(2))
    );
    // The same in frames.
    let frames = events(&cli, json!({ "id": "a", "cursor": first["cursor"] }));
    assert_eq!(lines(&frames), ["be", "z"]);
    let be = json!({ "line": "be", "number": 2, "stream": "stdout", "continues": true });
    assert_eq!(frames[1]["data"], be);
}

#[test]
fn a_very_long_line_is_read_on_like_any_other() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!(
        "echo one; head -c 2600000 /dev/zero | tr '\\0' x; touch half; while ! test -e {go}; do sleep 0.01; done; head -c 2600000 /dev/zero | tr '\\0' y; echo; echo three"
    );
    cli.start(script("a", &shell));
    let mut cursor = first_cursor(&cli, "a");
    eventually(|| cli.folder().join("half").exists(), "half of it is there");
    let whole = json!({ "id": "a", "max_line_bytes": 6_000_000, "max_bytes": 6_000_000, "timestamps": true });
    let mut together = Together::default();
    for end in ["half", "all"] {
        let page = logs(&cli, with(whole.clone(), json!({ "cursor": cursor })));
        assert_eq!(page["last_line_partial"], end == "half");
        together.take_page(&page);
        cursor = text(&page["cursor"]);
        cli.touch("go");
        cli.wait("a");
    }
    let long = "x".repeat(2_600_000) + &"y".repeat(2_600_000);
    assert!(together.text == format!("one\n{long}\nthree\n"));
    let cut = logs(
        &cli,
        json!({ "id": "a", "max_line_bytes": 100, "head": 3, "lines": 0 }),
    );
    let shown = text(&cut["lines"][1]);
    assert_eq!(shown, format!("{}… [5199900 bytes cut]", "x".repeat(100)));
    assert_eq!(
        (&cut["clipped_lines"], &cut["lines"][2]),
        (&json!(1), &json!("three"))
    );
}

#[test]
fn cursors_hold_through_restarts_and_the_loss_of_the_supervisor() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "one", "hang"]));
    cli.await_line("a", "one");
    let page = logs(&cli, json!({ "id": "a" }));
    cli.lose_supervisor("a");
    cli.run("restart").text("a").ok();
    eventually(|| cli.log("a") == "one\none\n", "the next run writes");
    let rest = logs(
        &cli,
        json!({ "id": "a", "cursor": page["cursor"], "timestamps": true }),
    );
    assert_eq!(rest["shown_lines"], 1);
    assert_eq!(rest["lines"][0]["number"], 2);
    let frames = events(&cli, json!({ "id": "a", "cursor": page["cursor"] }));
    let told = types(&frames);
    assert_eq!(told[0], "task.status.snapshot");
    assert_eq!(
        told.iter().filter(|it| *it == "task.started").count(),
        1,
        "{told:?}"
    );
    assert_eq!(lines(&frames), ["one"]);
    cli.stop("a");
    let end = events(
        &cli,
        json!({ "id": "a", "cursor": frames.last().unwrap()["cursor"] }),
    );
    assert_eq!(types(&end)[1..], ["task.stop_requested", "task.killed"]);
    let nothing = events(
        &cli,
        json!({ "id": "a", "cursor": end.last().unwrap()["cursor"] }),
    );
    assert_eq!(types(&nothing), ["task.status.snapshot"]);
}

#[test]
fn what_a_cap_has_freed_is_said_and_the_numbers_stay_right() {
    let cli = Cli::new();
    let go = cli.file("go");
    let limits = json!({ "limits": { "log_bytes": 65536 } });
    cli.start(with(
        work("a", ["wait-file", &go, "lines", "100000"]),
        limits,
    ));
    let cursor = cursor_of(&cli, "a");
    cli.touch("go");
    cli.wait("a");
    cli.await_no_supervisor("a");
    let behind = |more: Value| {
        let request = json!({ "id": "a", "cursor": cursor, "timestamps": true });
        logs(&cli, with(request, more))
    };
    let all = behind(json!({ "lines": 1_000_000, "max_bytes": 10_000_000 }));
    let first = all["lines"][0]["number"].as_u64().unwrap();
    assert!(first > 1);
    for (line, number) in all["lines"].as_array().unwrap().iter().zip(first..) {
        assert_eq!(
            (&line["number"], text(&line["line"])),
            (&json!(number), number.to_string())
        );
    }
    let gone: usize = (1..first).map(|number| number.to_string().len() + 1).sum();
    let is_said = |answer: &Value| {
        assert_eq!(
            (&answer["truncated_bytes"], &answer["total_lines"]),
            (&json!(gone), &json!(100_000))
        );
    };
    is_said(&all);
    // Where the answer stops before a line, and where lines are passed over by a search.
    is_said(&behind(json!({ "max_bytes": 10 })));
    is_said(&behind(json!({ "grep": "9$", "max_matches": 1 })));
    is_said(&logs(&cli, json!({ "id": "a" })));
    let at_end = json!({ "id": "a", "cursor": all["cursor"] });
    assert_eq!(logs(&cli, at_end)["truncated_bytes"], 0);
    let frames = events(&cli, json!({ "id": "a", "cursor": cursor, "lines": 3 }));
    let told = frames.iter().find(|it| it["type"] == "task.log.truncated");
    assert_eq!(told.unwrap()["data"]["truncated_bytes"], gone);
    assert_eq!(lines(&frames)[0], first.to_string());
    // Who asks for all of it from the start is told, too.
    let whole = cli
        .run("events")
        .payload(json!({ "id": "a", "cursors": {} }));
    let frames = whole.flags(["--stream"]).frames();
    let told = frames.iter().find(|it| it["type"] == "task.log.truncated");
    assert_eq!(told.unwrap()["data"]["truncated_bytes"], gone);
    assert_eq!(lines(&frames)[0], first.to_string());
}

#[test]
fn cursors_that_do_not_fit_are_refused() {
    let cli = Cli::new();
    for id in ["a", "b"] {
        cli.start_and_wait(work(id, ["print", id]));
    }
    let (a, b) = (cursor_of(&cli, "a"), cursor_of(&cli, "b"));
    let damaged = a.replace('.', ":");
    let refused = |id: &str, cursor: &str| {
        let one = json!({ "id": id, "cursor": cursor });
        let many = json!({ "ids": [id], "cursors": { id: cursor } });
        let until = with(one.clone(), json!({ "until": { "log": "." } }));
        let calls = [
            cli.run("logs").payload(one.clone()),
            cli.run("logs").payload(many.clone()).flags(["--stream"]),
            cli.run("events").payload(one),
            cli.run("events").payload(many).flags(["--follow"]),
            cli.run("wait").payload(until),
        ];
        let reasons = calls.map(|call| call.err("CommandInputError")["details"]["reason"].take());
        assert!(
            reasons.iter().all(|reason| *reason == reasons[0]),
            "{reasons:?}"
        );
        text(&reasons[0])
    };
    for wrong in [&b, &damaged, "", "v1", &a[1..], &a[..a.len() - 1]] {
        assert_eq!(refused("a", wrong), "cursor_invalid");
    }
    cli.start_and_wait(work("a", ["print", "anew"]));
    assert_eq!(refused("a", &a), "task_started_anew");
    // A restart is no new start.
    let now = cursor_of(&cli, "a");
    cli.run("restart").text("a").ok();
    cli.wait("a");
    assert_eq!(
        logs(&cli, json!({ "id": "a", "cursor": now }))["lines"],
        json!(["anew"])
    );
}

#[test]
fn a_wait_that_timed_out_is_gone_on_from() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        ["print", "one", "wait-file", &go, "print", "two"],
    ));
    cli.await_line("a", "one");
    let wait = cli.run("wait").text("a").flags(["--timeout", "0"]);
    let cursor = text(&wait.err("TaskWaitTimedOut")["details"]["cursor"]);
    cli.touch("go");
    cli.wait("a");
    let request = json!({ "id": "a", "cursor": cursor });
    assert_eq!(logs(&cli, request.clone())["lines"], json!(["two"]));
    let frames = cli
        .run("events")
        .payload(request)
        .flags(["--follow"])
        .frames();
    assert_eq!(
        types(&frames),
        ["task.status.snapshot", "task.log.line", "task.exited"]
    );
}

#[test]
fn a_log_that_was_truncated_by_hand_begins_anew() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["lines", "50", "wait-file", &go, "print", "new"]));
    cli.await_line("a", "50");
    let cursor = cursor_of(&cli, "a");
    let log = cli.home().join("logs/a.log");
    fs::File::options()
        .write(true)
        .open(log)
        .unwrap()
        .set_len(0)
        .unwrap();
    cli.touch("go");
    cli.wait("a");
    let page = logs(
        &cli,
        json!({ "id": "a", "cursor": cursor, "timestamps": true }),
    );
    assert_eq!(page["lines"][0]["line"], "new");
    assert_eq!(
        (&page["lines"][0]["number"], &page["total_lines"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        lines(&events(&cli, json!({ "id": "a", "cursor": cursor }))),
        ["new"]
    );
}

#[test]
fn a_log_that_was_replaced_by_hand_is_still_read_under_its_other_name() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "ours"]));
    cli.await_no_supervisor("a");
    let log = cli.home().join("logs/a.log");
    fs::remove_file(&log).unwrap();
    fs::write(&log, "theirs\n").unwrap();
    assert_eq!(logs(&cli, json!({ "id": "a" }))["lines"], json!(["ours"]));
}

#[test]
fn a_log_that_is_not_in_its_place_yet_is_found_aside() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "old"]));
    cli.await_no_supervisor("a");
    let earlier = fs::read(cli.task_file("a", "task.json")).unwrap();
    cli.start(work("a", ["print", "new", "hang"]));
    cli.await_line("a", "new");
    // As it is for a moment: executed and on record, the earlier log still in place.
    let (log, aside) = (cli.task_file("a", "log"), cli.task_file("a", "log.next"));
    fs::rename(&log, &aside).unwrap();
    fs::write(&log, "old\n").unwrap();
    fs::write(cli.task_file("a", "task.prev.json"), earlier).unwrap();
    assert_eq!(logs(&cli, json!({ "id": "a" }))["lines"], json!(["new"]));
    // A moment later.
    fs::rename(&aside, &log).unwrap();
    assert_eq!(logs(&cli, json!({ "id": "a" }))["lines"], json!(["new"]));
}
