//! Streams about several tasks: who joins, in which order they are told, when they end.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, Stream, eventually, lines, pid_of, script, text, types, with, work};
use crate::processes;
use crate::times::await_times;

fn follow(cli: &Cli, command: &str, request: Value) -> Stream {
    cli.run(command)
        .payload(request)
        .flags(["--follow"])
        .stream()
}

fn tagged(payload: Value) -> Value {
    with(payload, json!({ "tags": ["t"], "parent_session_id": "s" }))
}

/// Reads until frames of this type have come for all these tasks.
fn await_each(stream: &Stream, wanted: &str, ids: &[&str]) -> Vec<Value> {
    let mut frames = Vec::new();
    let mut left = ids.to_vec();
    while !left.is_empty() {
        let frame = stream.next().expect("it goes on");
        if frame["type"] == wanted {
            left.retain(|id| frame["task_id"] != *id);
        }
        frames.push(frame);
    }
    frames
}

#[track_caller]
fn assert_numbered(frames: &[Value], from: usize) {
    for (frame, number) in frames.iter().zip(from..) {
        assert_eq!(frame["sequence"], number, "{frame}");
        assert!(
            frame["task_id"].is_string() && frame["cursor"].is_string(),
            "{frame}"
        );
    }
}

/// The frames of one task.
fn of<'a>(frames: &'a [Value], id: &str) -> Vec<&'a Value> {
    frames
        .iter()
        .filter(|frame| frame["task_id"] == id)
        .collect()
}

#[test]
fn several_ids_are_followed_until_all_have_ended() {
    let cli = Cli::new();
    let ids = ["a", "b", "c"];
    for id in ids {
        let go = cli.file(&format!("go-{id}"));
        cli.start(work(
            id,
            ["print", "up", "wait-file", &go, "print", "bye", "exit", "3"],
        ));
        cli.await_line(id, "up");
    }
    let stream = follow(&cli, "events", json!({ "ids": ids }));
    let mut frames = await_each(&stream, "task.log.line", &ids);
    assert_eq!(types(&frames[..3]), ["task.status.snapshot"; 3]);
    for id in ["b", "c", "a"] {
        cli.touch(&format!("go-{id}"));
        frames.extend(await_each(&stream, "task.exited", &[id]));
    }
    assert_eq!(stream.rest(), [json!(null); 0]);
    assert_numbered(&frames, 0);
    for id in ids {
        let own: Vec<_> = of(&frames, id).into_iter().cloned().collect();
        let told = [
            "task.status.snapshot",
            "task.started",
            "task.log.line",
            "task.log.line",
            "task.exited",
        ];
        assert_eq!(types(&own), told);
    }
    // In the order in which they were let go.
    assert_eq!(lines(&frames)[3..], ["bye"; 3]);
    let ends = frames.iter().filter(|frame| frame["type"] == "task.exited");
    let ends: Vec<_> = ends.map(|frame| text(&frame["task_id"])).collect();
    assert_eq!(ends, ["b", "c", "a"]);
    assert!(stream.finish().success());
}

#[test]
fn what_is_stored_of_several_tasks_is_told_in_the_order_of_time() {
    let cli = Cli::new();
    let (one, two) = (cli.file("one"), cli.file("two"));
    cli.start(work("a", ["print", "1", "wait-file", &two, "print", "3"]));
    cli.await_line("a", "1");
    await_times(&cli, "a");
    cli.start(work("b", ["print", "2", "wait-file", &one, "print", "4"]));
    cli.await_line("b", "2");
    await_times(&cli, "b");
    cli.touch("two");
    cli.wait("a");
    cli.await_no_supervisor("a");
    cli.touch("one");
    cli.wait("b");
    let request = json!({ "ids": ["b", "a"] });
    let frames = cli
        .run("events")
        .payload(request.clone())
        .flags(["--stream"])
        .frames();
    assert_eq!(lines(&frames), ["1", "2", "3", "4"]);
    let times: Vec<_> = frames[2..]
        .iter()
        .map(|frame| text(&frame["timestamp"]))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let answer = cli.run("events").payload(request.clone()).ok();
    assert_eq!(
        (&answer["task_id"], &answer["total"]),
        (&Value::Null, &json!(8))
    );
    assert_eq!(
        lines(answer["frames"].as_array().unwrap()),
        ["1", "2", "3", "4"]
    );
    let logs = cli
        .run("logs")
        .payload(request)
        .flags(["--stream"])
        .frames();
    assert_eq!(lines(&logs), ["1", "2", "3", "4"]);
    let told = types(&logs);
    assert_eq!(told[..2], ["task.logs.started"; 2]);
    assert_eq!(told[6..], ["task.logs.completed"; 2]);
}

#[test]
fn tasks_that_come_to_match_join_in_with_what_introduces_them() {
    let cli = Cli::new();
    for (command, first) in [
        ("events", "task.status.snapshot"),
        ("logs", "task.logs.started"),
    ] {
        for filter in [
            json!({ "tag": "t" }),
            json!({ "tags": ["t"] }),
            json!({ "parent_session_id": "s" }),
            json!({ "all": true }),
        ] {
            let stream = follow(&cli, command, filter.clone());
            cli.start(tagged(work("a", ["print", "joined", "hang"])));
            let mut frames = Vec::new();
            while lines(&frames) != ["joined"] {
                frames.extend(stream.next());
            }
            cli.start(with(
                work("other", ["print", "other"]),
                json!({ "tags": ["u"] }),
            ));
            assert_numbered(&frames, 0);
            let own: Vec<_> = of(&frames, "a").into_iter().cloned().collect();
            assert_eq!(types(&own)[0], first, "{command} {filter}");
            cli.stop("a");
            for id in ["a", "other"] {
                cli.await_no_supervisor(id);
                let folder = cli.task_file(id, "");
                std::fs::remove_dir_all(folder).unwrap();
            }
        }
    }
}

#[test]
fn a_filter_is_followed_until_the_time_is_over() {
    let cli = Cli::new();
    cli.start_and_wait(tagged(work("a", ["print", "one"])));
    for command in ["events", "logs"] {
        let call = cli.run(command).payload(json!({ "tag": "t" }));
        let frames = call.flags(["--follow", "--timeout", "0.4"]).frames();
        assert_eq!(lines(&frames), ["one"]);
        // Nothing matches: that is no error, and nothing is told.
        let nothing = cli.run(command).payload(json!({ "tag": "none" }));
        let outcome = nothing.flags(["--follow", "--timeout", "0.2"]).output();
        assert_eq!((outcome.status.code(), outcome.stdout.len()), (Some(0), 0));
        cli.run(command)
            .payload(json!({ "ids": ["a", "none"] }))
            .flags(["--follow"])
            .err("TaskNotFound");
    }
}

#[test]
fn a_task_that_is_started_anew_joins_again() {
    let cli = Cli::new();
    cli.start(tagged(work("a", ["print", "old", "raw", "6d6964", "hang"])));
    eventually(|| cli.log("a") == "old\nmid", "it writes");
    let stream = follow(&cli, "events", json!({ "tag": "t" }));
    stream.await_frame("old");
    let anew = work("a", ["print", "new", "exit", "4"]);
    cli.start(with(tagged(anew), json!({ "if_running": "restart" })));
    let frames = await_each(&stream, "task.exited", &["a"]);
    let told = types(&frames);
    let joined = told
        .iter()
        .rposition(|it| it == "task.status.snapshot")
        .unwrap();
    assert_eq!(
        told[joined..],
        [
            "task.status.snapshot",
            "task.started",
            "task.log.line",
            "task.exited"
        ]
    );
    assert_eq!(frames[joined + 2]["data"]["number"], 1);
    assert_eq!(frames.last().unwrap()["data"]["exit_code"], 4);
    assert_eq!(
        lines(&frames),
        ["mid", "new"],
        "the unfinished line is not lost"
    );
}

#[test]
fn tasks_that_write_without_a_pause_do_not_keep_a_stream_from_going_on() {
    let cli = Cli::new();
    for id in ["a", "b"] {
        cli.start(tagged(script(id, "while :; do echo line; done")));
    }
    let call = cli.run("events").payload(json!({ "tag": "t", "lines": 1 }));
    let frames = call.flags(["--follow", "--timeout", "0.2"]).frames();
    // The time was over then, not after all that was written meanwhile.
    assert!(lines(&frames).len() > 10, "{}", lines(&frames).len());
    for id in ["a", "b"] {
        let own: Vec<_> = of(&frames, id);
        let numbers: Vec<_> = own
            .iter()
            .filter_map(|frame| frame["data"]["number"].as_u64())
            .collect();
        assert!(!numbers.is_empty(), "{id}");
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{id}"
        );
    }
}

#[test]
fn restarts_of_several_tasks_are_followed() {
    let cli = Cli::new();
    for id in ["a", "b"] {
        cli.start(tagged(work(id, ["print", id, "hang"])));
        cli.await_line(id, id);
    }
    let stream = follow(&cli, "events", json!({ "ids": ["a", "b"] }));
    let mut frames = await_each(&stream, "task.log.line", &["a", "b"]);
    cli.run("restart").text(r#"["a", "b"]"#).ok();
    frames.extend(await_each(&stream, "task.restarting", &["a", "b"]));
    while lines(&frames).len() < 4 {
        frames.extend(stream.next());
    }
    for id in ["a", "b"] {
        cli.stop(id);
    }
    frames.extend(stream.rest());
    assert_numbered(&frames, 0);
    for id in ["a", "b"] {
        let own: Vec<_> = of(&frames, id).into_iter().cloned().collect();
        let told: Vec<_> = types(&own)
            .into_iter()
            .filter(|it| it != "task.stop_requested")
            .collect();
        let expected = [
            "task.status.snapshot",
            "task.started",
            "task.log.line",
            "task.restarting",
            "task.started",
            "task.log.line",
            "task.killed",
        ];
        assert_eq!(told, expected);
    }
}

#[test]
fn a_prompt_is_told_within_a_second_and_goes_on_under_its_number() {
    let cli = Cli::new();
    let go = cli.file("go");
    // "Name? ", "Ann\n"
    cli.start(work(
        "a",
        [
            "wait-file",
            &go,
            "raw",
            "4e616d653f20",
            "wait-file",
            &cli.file("on"),
            "raw",
            "416e6e0a",
            "hang",
        ],
    ));
    cli.start(work("b", ["hang"]));
    for request in [json!({ "id": "a" }), json!({ "ids": ["a", "b"] })] {
        let stream = follow(&cli, "events", request);
        stream.await_frame("task.started");
        cli.touch("go");
        let prompt = stream.await_frame("task.log.line");
        let data = json!({ "line": "Name? ", "number": 1, "stream": "stdout", "partial": true });
        assert_eq!(prompt["data"], data);
        if cli.folder().join("on").exists() {
            continue;
        }
        let other = follow(&cli, "logs", json!({ "id": "a" }));
        other.await_frame("Name? ");
        cli.touch("on");
        let data = json!({ "line": "Ann", "number": 1, "stream": "stdout", "continues": true });
        assert_eq!(stream.await_frame("task.log.line")["data"], data);
        assert_eq!(other.await_frame("task.log.line")["data"], data);
        // Whoever reads on behind the prompt gets the rest.
        let behind = json!({ "id": "a", "cursor": prompt["cursor"] });
        let frames = cli
            .run("events")
            .payload(behind)
            .flags(["--stream"])
            .frames();
        assert_eq!(frames[1]["data"], data);
        return;
    }
}

#[test]
fn a_lost_supervisor_of_one_task_ends_nothing_for_the_others() {
    let cli = Cli::new();
    let go = cli.file("go");
    let a = cli.start(work(
        "a",
        ["print", "a", "wait-file", &go, "print", "late", "hang"],
    ));
    cli.start(work("b", ["print", "b", "hang"]));
    let stream = follow(&cli, "events", json!({ "ids": ["a", "b"] }));
    await_each(&stream, "task.log.line", &["a", "b"]);
    cli.lose_supervisor("a");
    cli.touch("go");
    stream.await_frame("late");
    processes::send(pid_of(&a), Signal::SIGKILL);
    assert_eq!(
        stream.await_frame("task.failed")["data"]["reason"],
        "supervisor_lost"
    );
    cli.stop("b");
    let rest = stream.rest();
    assert_eq!(types(&rest), ["task.stop_requested", "task.killed"]);
}

#[test]
fn several_tasks_are_resumed_each_from_its_place() {
    let cli = Cli::new();
    let go = cli.file("go");
    for id in ["a", "b", "c"] {
        cli.start(work(id, ["lines", "3", "wait-file", &go, "lines", "2"]));
        cli.await_line(id, "3");
    }
    let request = json!({ "ids": ["a", "b", "c"] });
    let stream = follow(&cli, "events", request.clone());
    let mut cursors = BTreeMap::new();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut take = |seen: &mut BTreeMap<String, Vec<String>>, frame: &Value| {
        let id = text(&frame["task_id"]);
        if let Some(line) = frame["data"]["line"].as_str() {
            seen.entry(id.clone()).or_default().push(line.to_owned());
        }
        cursors.insert(id, frame["cursor"].clone());
    };
    // To somewhere in the middle.
    while seen.values().map(Vec::len).sum::<usize>() < 5 {
        take(&mut seen, &stream.next().expect("it goes on"));
    }
    drop(stream);
    // One that is not named is told from its start.
    cursors.remove("c");
    seen.remove("c");
    cli.touch("go");
    for id in ["a", "b", "c"] {
        cli.wait(id);
    }
    let on = with(request, json!({ "cursors": cursors }));
    for frame in cli.run("events").payload(on).flags(["--follow"]).frames() {
        if let Some(line) = frame["data"]["line"].as_str() {
            seen.entry(text(&frame["task_id"]))
                .or_default()
                .push(line.to_owned());
        }
    }
    for id in ["a", "b", "c"] {
        assert_eq!(seen[id], ["1", "2", "3", "1", "2"], "{id}");
    }
}

#[test]
fn a_slow_reader_loses_nothing() {
    let cli = Cli::new();
    let (go, count) = (cli.file("go"), 30_000);
    let all = count.to_string();
    cli.start(work(
        "a",
        ["lines", &all, "wait-file", &go, "lines", &all, "exit", "3"],
    ));
    // Nothing is read of what it prints while the task ends.
    let script = r#""$0" "$@" | { while ! test -e go-on; do sleep 0.01; done; cat; }"#;
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", script, crate::harness::PROGRAM, "events"])
        .arg(json!({ "id": "a", "lines": 1_000_000 }).to_string())
        .arg("--follow")
        .env("BACKGROUND_TASKS_HOME", cli.home())
        .current_dir(cli.folder())
        .stdout(std::process::Stdio::piped());
    let child = shell.spawn().unwrap();
    cli.touch("go");
    cli.wait("a");
    cli.await_no_supervisor("a");
    cli.touch("go-on");
    let printed = child.wait_with_output().unwrap().stdout;
    let frames: Vec<Value> = printed
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_numbered(&frames, 0);
    let once: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    assert!(
        lines(&frames) == [once.clone(), once].concat(),
        "lines differ"
    );
    assert_eq!(frames.last().unwrap()["type"], "task.exited");
}

#[test]
fn a_task_whose_log_cannot_be_read_hurts_no_stream() {
    let cli = Cli::new();
    cli.start_and_wait(tagged(work("bad", ["print", "lost"])));
    cli.start_and_wait(tagged(work("good", ["print", "kept"])));
    cli.await_no_supervisor("bad");
    std::fs::remove_file(cli.task_file("bad", "log")).unwrap();
    std::os::unix::fs::symlink("/dev/null", cli.task_file("bad", "log")).unwrap();
    let all = json!({ "tag": "t" });
    for command in ["events", "logs"] {
        let streamed = cli.run(command).payload(all.clone()).flags(["--stream"]);
        assert_eq!(lines(&streamed.frames()), ["kept"], "{command}");
    }
    let answer = cli.run("events").payload(all.clone()).ok();
    let frames = answer["frames"].as_array().unwrap();
    let told: Vec<_> = frames.iter().filter(|it| it["task_id"] == "bad").collect();
    assert_eq!(told.len(), 1, "it does not go unseen");
    assert_eq!(told[0]["data"]["status"], "exited");
    let stream = follow(&cli, "events", all);
    stream.await_frame("kept");
    // Whoever names it is told why.
    for named in [json!({ "id": "bad" }), json!({ "ids": ["good", "bad"] })] {
        let error = cli.run("events").payload(named).err("StoreError");
        assert!(text(&error["details"]["path"]).contains("bad"), "{error}");
    }
}
