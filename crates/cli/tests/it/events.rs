//! `events`: what happened to a task, in the order in which it happened, as a list or a stream.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Cli, PROGRAM, eventually, fields, lines, pid_of, script, text, types, with, work,
};
use crate::processes;

/// Everything that is stored, as frames.
fn history(cli: &Cli, id: &str) -> Vec<Value> {
    let everything = json!({ "id": id, "lines": 1_000_000 });
    cli.run("events")
        .payload(everything)
        .flags(["--stream"])
        .frames()
}

#[test]
fn a_snapshot_stands_before_what_happened() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["print", "one", "hang"]));
    cli.await_line("a", "one");
    let answer = cli.run("events").text("a").ok();
    assert_eq!(fields(&answer), ["frames", "task_id", "total"]);
    assert_eq!(
        (&answer["task_id"], &answer["total"]),
        (&json!("a"), &json!(2))
    );
    let frames = answer["frames"].as_array().unwrap();
    assert_eq!(
        types(frames),
        ["task.status.snapshot", "task.started", "task.log.line"]
    );
    assert_eq!(frames[0]["data"]["status"], "running");
    assert_eq!(frames[0]["data"]["task"]["pid"], task["pid"]);
    assert_eq!(frames[1]["data"]["pid"], task["pid"]);
    let line = json!({ "line": "one", "number": 1, "stream": "stdout" });
    assert_eq!(frames[2]["data"], line);
    for (number, frame) in frames.iter().enumerate() {
        let all = ["cursor", "data", "sequence", "task_id", "timestamp", "type"];
        assert_eq!(fields(frame), all);
        assert_eq!(
            (&frame["sequence"], &frame["task_id"]),
            (&json!(number), &json!("a"))
        );
    }
}

#[test]
fn a_stream_gives_the_same_frames() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "10", "exit", "3"]));
    cli.await_no_supervisor("a");
    let request = json!({ "id": "a", "lines": 4 });
    let answer = cli.run("events").payload(request.clone()).ok();
    let frames = cli
        .run("events")
        .payload(request)
        .flags(["--stream"])
        .frames();
    for (listed, streamed) in answer["frames"].as_array().unwrap().iter().zip(&frames) {
        if listed["sequence"] != 0 {
            assert_eq!(listed, streamed);
        }
    }
    assert_eq!(lines(&frames), ["7", "8", "9", "10"]);
    assert_eq!(answer["total"], 12);
}

/// Lines go out by the block where nothing is to be done for each of them.
#[test]
fn a_long_log_streams_as_it_was_written() {
    let cli = Cli::new();
    let print = r#"awk 'BEGIN { for (n = 1; n <= 6000; n++) {
        if (n % 900 == 0) print "\033[1mbold\033[0m " n
        else if (n % 700 == 0) printf "left\rright %d\n", n
        else if (n % 500 == 0) { s = "x"; while (length(s) < 20000) s = s s; print s }
        else if (n % 3 == 0) printf "tab\t\"quoted\" C:\\\\path é€😀 %d\n", n
        else print "an ordinary line of a log, of about that length, " n } }'"#;
    cli.start_and_wait(script("a", print));
    cli.await_no_supervisor("a");
    let request = json!({ "id": "a", "lines": 1_000_000, "max_line_bytes": 100 });
    let stream = |request: &Value| {
        let call = cli.run("events").payload(request.clone());
        call.flags(["--stream"]).frames()
    };
    let frames = stream(&request);
    let streamed: Vec<&Value> = frames
        .iter()
        .filter(|it| it["type"] == "task.log.line")
        .collect();
    assert_eq!(streamed.len(), 6000);
    for (number, (frame, written)) in (1..).zip(streamed.iter().zip(cli.log("a").lines())) {
        assert_eq!(frame["data"]["number"], number);
        let line = frame["data"]["line"].as_str().unwrap();
        if number % 900 == 0 {
            assert_eq!(line, format!("bold {number}"));
        } else if number % 700 == 0 {
            assert_eq!(line, format!("right {number}"));
        } else if written.len() > 100 {
            assert_eq!(
                line,
                format!("{}… [{} bytes cut]", &written[..100], written.len() - 100)
            );
        } else {
            assert_eq!(line, written);
        }
    }
    for (sequence, frame) in frames.iter().enumerate() {
        assert_eq!(frame["sequence"], sequence);
    }
    // Whoever goes on behind any of them is given the rest, each with the same cursor.
    for at in [0, 7, 499, 698, 899, 2998, 5990] {
        let behind = with(request.clone(), json!({ "cursor": streamed[at]["cursor"] }));
        let rest = stream(&with(behind, json!({ "lines": null })));
        let rest: Vec<Value> = rest
            .into_iter()
            .filter(|it| it["type"] == "task.log.line")
            .map(|mut frame| frame["cursor"].take())
            .collect();
        let expected: Vec<&Value> = streamed[at + 1..].iter().map(|it| &it["cursor"]).collect();
        assert_eq!(rest.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn an_end_is_told_right_away_as_it_is_told_ever_after() {
    let cli = Cli::new();
    for _ in 0..30 {
        cli.start_and_wait(work("a", ["exit", "3"]));
        let at_once = history(&cli, "a").pop();
        cli.await_no_supervisor("a");
        // The cursor, too: whoever reads on from it is not told of the end again.
        assert_eq!(at_once, history(&cli, "a").pop());
    }
}

#[test]
fn a_hundred_lines_are_given_unless_told() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "150"]));
    let given = |request: Value| {
        lines(
            &cli.run("events")
                .payload(request)
                .flags(["--stream"])
                .frames(),
        )
    };
    assert_eq!(given(json!({ "id": "a" })).len(), 100);
    assert_eq!(given(json!({ "id": "a", "lines": 0 })), [""; 0]);
    assert_eq!(given(json!({ "id": "a", "lines": 149 }))[0], "2");
}

#[test]
fn lines_stand_before_the_event_that_they_preceded() {
    let cli = Cli::new();
    let shell = "trap 'echo bye; exit 4' TERM; echo hello; sleep 1000 & wait";
    cli.start(script("a", shell));
    cli.await_line("a", "hello");
    cli.stop("a");
    let told: Vec<_> = history(&cli, "a")[1..]
        .iter()
        .map(|frame| {
            frame["data"]["line"]
                .as_str()
                .map_or(text(&frame["type"]), str::to_owned)
        })
        .collect();
    let expected = [
        "task.started",
        "hello",
        "task.stop_requested",
        "bye",
        "task.killed",
    ];
    assert_eq!(told, expected);
}

#[test]
fn each_end_is_told_by_a_frame_of_its_own() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["exit", "3"]));
    let end = history(&cli, "a").pop().unwrap();
    assert_eq!(
        (&end["type"], &end["data"]["exit_code"]),
        (&json!("task.exited"), &json!(3))
    );
    assert!(end["data"]["duration_ms"].is_u64());
    cli.start_and_wait(work("a", ["signal", "SEGV"]));
    let end = history(&cli, "a").pop().unwrap();
    assert_eq!(
        (&end["type"], &end["data"]["signal"]),
        (&json!("task.killed"), &json!("SIGSEGV"))
    );
    assert_eq!(
        (&end["data"]["exit_code"], &end["data"]["reason"]),
        (&Value::Null, &json!("signalled"))
    );
}

#[test]
fn following_gives_everything_and_ends_with_the_task() {
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
            "5",
        ],
    ));
    let stream = cli.run("events").text("a").flags(["--follow"]).stream();
    assert_eq!(stream.next().unwrap()["type"], "task.status.snapshot");
    stream.await_frame("one");
    cli.touch("go");
    let rest = stream.rest();
    assert_eq!(types(&rest), ["task.log.line", "task.exited"]);
    assert_eq!(
        (&rest[0]["data"]["line"], &rest[0]["data"]["number"]),
        (&json!("two"), &json!(2))
    );
    assert_eq!(rest[1]["data"]["exit_code"], 5);
    assert!(stream.finish().success());
}

#[test]
fn following_what_has_ended_gives_its_history() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one", "exit", "5"]));
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    let expected = [
        "task.status.snapshot",
        "task.started",
        "task.log.line",
        "task.exited",
    ];
    assert_eq!(types(&frames), expected);
}

#[test]
fn followers_miss_nothing_and_repeat_nothing() {
    let cli = Cli::new();
    let (go, count) = (cli.file("go"), 20_000);
    let all = count.to_string();
    cli.start(work(
        "a",
        ["lines", &all, "wait-file", &go, "lines", &all, "exit", "1"],
    ));
    let request = json!({ "id": "a", "lines": 1_000_000 });
    let follow = || {
        cli.run("events")
            .payload(request.clone())
            .flags(["--follow"])
            .spawn()
    };
    let early = [follow(), follow()];
    cli.await_line("a", &all);
    let late = follow();
    cli.touch("go");
    let once: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    let expected = [once.clone(), once].concat();
    for follower in early.into_iter().chain([late]) {
        let frames = follower.finish().frames();
        assert!(lines(&frames) == expected, "lines differ");
        let is_line = |frame: &&Value| frame["type"] == "task.log.line";
        let numbered = frames.iter().filter(is_line).zip(1..);
        for (frame, number) in numbered {
            assert_eq!(frame["data"]["number"], number);
        }
        assert_eq!(frames.last().unwrap()["type"], "task.exited");
    }
}

#[test]
fn an_unfinished_line_is_told_once_with_its_end() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work(
        "a",
        ["raw", "6f6e", "wait-file", &go, "raw", "650a", "raw", "74"],
    ));
    eventually(|| cli.log("a") == "on", "a part is written");
    let stream = cli.run("events").text("a").flags(["--follow"]).stream();
    stream.await_frame("task.started");
    cli.touch("go");
    let rest = stream.rest();
    assert_eq!(
        types(&rest),
        ["task.log.line", "task.log.line", "task.exited"]
    );
    assert_eq!(lines(&rest), ["one", "t"]);
    assert_eq!(rest[0]["data"].get("partial"), None);
    assert_eq!(rest[1]["data"]["partial"], true);
}

#[test]
fn following_stops_when_the_time_is_over() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "up", "hang"]));
    cli.await_line("a", "up");
    let frames = cli
        .run("events")
        .text("a")
        .flags(["--follow", "--timeout", "0.3"])
        .frames();
    assert_eq!(
        types(&frames),
        ["task.status.snapshot", "task.started", "task.log.line"]
    );
}

#[test]
fn following_goes_on_through_restarts() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["print", "run", "wait-file", &go, "exit", "3"]));
    let stream = cli.run("events").text("a").flags(["--follow"]).stream();
    stream.await_frame("run");
    cli.run("restart").text("a").ok();
    stream.await_frame("task.restarting");
    let started = stream.await_frame("task.started");
    assert_eq!(started["data"]["run"], 2);
    stream.await_frame("run");
    cli.touch("go");
    assert_eq!(types(&stream.rest()), ["task.exited"]);
}

#[test]
fn following_ends_when_the_task_is_started_anew() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "old", "hang"]));
    let stream = cli.run("events").text("a").flags(["--follow"]).stream();
    stream.await_frame("old");
    let anew = with(
        work("a", ["print", "new", "hang"]),
        json!({ "if_running": "restart" }),
    );
    cli.start(anew);
    let rest = stream.rest();
    assert!(
        !lines(&rest).contains(&"new".to_owned()),
        "that is another task's"
    );
}

#[test]
fn what_leftovers_write_stands_behind_the_end() {
    let cli = Cli::new();
    let shell = format!(
        "trap '' TERM; (while ! test -e {}; do sleep 0.01; done; echo late) & echo early; exit 3",
        cli.file("go")
    );
    cli.start(with(
        script("a", &shell),
        json!({ "stop": { "grace_ms": 600_000 } }),
    ));
    let followed = cli.run("events").text("a").flags(["--follow"]).frames();
    assert_eq!(followed.last().unwrap()["type"], "task.exited");
    assert_eq!(lines(&followed), ["early"]);
    cli.touch("go");
    cli.await_line("a", "late");
    let stored = history(&cli, "a");
    assert_eq!(
        types(&stored)[2..],
        ["task.log.line", "task.exited", "task.log.line"]
    );
    cli.await_no_supervisor("a");
}

#[test]
fn following_survives_the_loss_of_the_supervisor() {
    let cli = Cli::new();
    let go = cli.file("go");
    let task = cli.start(work(
        "a",
        ["print", "one", "wait-file", &go, "print", "two", "hang"],
    ));
    let stream = cli.run("events").text("a").flags(["--follow"]).stream();
    stream.await_frame("one");
    cli.lose_supervisor("a");
    cli.touch("go");
    stream.await_frame("two");
    processes::send(pid_of(&task), Signal::SIGKILL);
    let rest = stream.rest();
    assert_eq!(types(&rest), ["task.failed"]);
    assert_eq!(rest[0]["data"]["reason"], "supervisor_lost");
}

#[test]
fn every_follower_of_a_task_is_told_its_last_line_and_its_end_once() {
    let cli = Cli::new();
    for round in 0..6 {
        let go = cli.file(&format!("go{round}"));
        cli.start(work(
            "a",
            ["wait-file", &go, "print", "one", "raw", "7a", "exit", "3"],
        ));
        let follow = || cli.run("events").text("a").flags(["--follow"]).stream();
        let streams: Vec<_> = (0..10).map(|_| follow()).collect();
        for stream in &streams {
            stream.await_frame("task.started");
        }
        cli.touch(&format!("go{round}"));
        for stream in streams {
            let rest = stream.rest();
            assert_eq!(
                types(&rest),
                ["task.log.line", "task.log.line", "task.exited"]
            );
            assert_eq!(lines(&rest), ["one", "z"]);
        }
    }
}

#[test]
fn what_is_not_there_has_no_history() {
    let cli = Cli::new();
    for flags in [&[][..], &["--stream"], &["--follow"]] {
        cli.run("events")
            .text("a")
            .flags(flags.iter().copied())
            .err("TaskNotFound");
    }
}

/// `events … | head -n COUNT`; returns what `head` printed, the exit status and the complaints
/// of the program.
fn through_head(cli: &Cli, id: &str, count: &str) -> (String, String, String) {
    let script = r#"{ "$0" events "$1" --follow 2>complaints; echo $? >status; } | head -n "$2""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM, id, count]);
    shell
        .env("BACKGROUND_TASKS_HOME", cli.home())
        .current_dir(cli.folder());
    let child = shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().cast_signed();
    eventually(
        || !processes::is_alive(pid),
        "the program notices that nobody reads",
    );
    let printed = child.wait_with_output().unwrap().stdout;
    let read = |name: &str| std::fs::read_to_string(cli.file(name)).unwrap();
    (
        String::from_utf8(printed).unwrap(),
        read("status"),
        read("complaints"),
    )
}

#[test]
fn a_reader_that_goes_away_ends_the_stream_quietly() {
    let cli = Cli::new();
    cli.start(script("a", "while :; do echo line; sleep 0.01; done"));
    let (printed, status, complaints) = through_head(&cli, "a", "3");
    assert_eq!(printed.lines().count(), 3);
    assert_eq!((status.as_str(), complaints.as_str()), ("0\n", ""));
}

#[test]
fn a_reader_that_goes_away_is_missed_even_when_nothing_happens() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let (printed, status, complaints) = through_head(&cli, "a", "2");
    assert!(
        printed.ends_with('\n') && printed.contains("task.started"),
        "{printed}"
    );
    assert_eq!((status.as_str(), complaints.as_str()), ("0\n", ""));
}

#[test]
fn a_task_that_is_started_anew_joins_with_its_own_lines_only() {
    let cli = Cli::new();
    let numbered = |number: u32, stderr: &str| {
        let print = ["print", &number.to_string(), "eprint", &number.to_string()];
        let more = json!({ "tags": ["t"], "stderr": stderr });
        with(work("a", print), more)
    };
    cli.start_and_wait(numbered(0, "separate"));
    let follow = cli.run("events").payload(json!({ "tag": "t", "lines": 0 }));
    let stream = follow.flags(["--follow"]).stream();
    let until_exited = || {
        let mut frames = Vec::new();
        while frames
            .last()
            .is_none_or(|last: &Value| last["type"] != "task.exited")
        {
            frames.push(stream.next().unwrap());
        }
        frames
    };
    until_exited();
    for number in 1..=20 {
        let stderr = ["merge", "separate"][(number % 2) as usize];
        cli.start_and_wait(numbered(number, stderr));
        let frames = until_exited();
        let number = number.to_string();
        assert_eq!(lines(&frames), [number.as_str(), number.as_str()]);
    }
}
