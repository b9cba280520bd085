//! `on_exit`: run once, told everything, changing nothing; and who wants to hear of an end.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, pid_of, script, text, with, work};
use crate::processes::{send, times_slept};

/// A hook that keeps what it was told.
fn keeper(cli: &Cli, name: &str) -> Value {
    let script = "cat > \"$1.new\"; mv \"$1.new\" \"$1\"; echo kept for $BACKGROUND_TASKS_ID";
    json!({ "command": "sh", "args": ["-c", script, "hook", cli.file(name)] })
}

fn with_hook(payload: Value, hook: Value) -> Value {
    with(payload, json!({ "on_exit": hook }))
}

/// What the events tell of the hook.
fn outcomes(cli: &Cli, id: &str) -> Vec<Value> {
    let answer = cli.run("events").payload(json!(id)).ok();
    let frames = answer["frames"].as_array().unwrap();
    let hooks = frames
        .iter()
        .filter(|frame| frame["type"] == "task.on_exit");
    hooks.map(|frame| frame["data"].clone()).collect()
}

fn outcome(cli: &Cli, id: &str) -> Value {
    eventually(|| outcomes(cli, id).pop(), "the hook has ended")
}

fn told(cli: &Cli, name: &str) -> Value {
    let text = eventually(|| std::fs::read(cli.file(name)).ok(), "the hook was told");
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn it_is_told_the_end_once() {
    let cli = Cli::new();
    let payload = with_hook(
        work("a", ["print", "out", "exit", "3"]),
        keeper(&cli, "told"),
    );
    let task = cli.start_and_wait(payload);
    assert_eq!(task["on_exit"]["command"], "sh");
    let told = told(&cli, "told");
    assert_eq!(told["type"], "task.exited");
    assert_eq!(told["task_id"], "a");
    assert_eq!(told["data"]["exit_code"], 3);
    assert_eq!(end_of(&told["task"]), end_of(&task));
    let outcome = outcome(&cli, "a");
    assert_eq!(outcome["exit_code"], 0);
    assert_eq!(outcome["output"], "kept for a\n");
    assert_eq!(end_of(&cli.task("a")), json!(["exited", 3, null, null]));
    assert_eq!(cli.log("a"), "out\n");
    // It is done: nobody does it again.
    cli.stop("a");
    cli.run("recover").ok();
    assert_eq!(outcomes(&cli, "a").len(), 1);
}

/// Whose hooks are claimed, one file for each end.
fn claims(cli: &Cli, id: &str) -> usize {
    let folder = std::fs::read_dir(cli.task_file(id, ".")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("on_exit."))
        .count()
}

#[test]
fn the_claims_of_earlier_ends_go() {
    let cli = Cli::new();
    let payload = || with_hook(work("a", ["exit", "0"]), json!({ "command": "true" }));
    for _ in 0..3 {
        cli.start_and_wait(payload());
        outcome(&cli, "a");
        assert_eq!(claims(&cli, "a"), 1, "a new generation");
    }
    for _ in 0..2 {
        cli.run("restart").text("a").ok();
        cli.wait("a");
        // Waits for the hook.
        cli.stop("a");
        assert_eq!(claims(&cli, "a"), 1, "a new run");
    }
    cli.start_and_wait(work("a", ["exit", "0"]));
    assert_eq!(claims(&cli, "a"), 0, "a generation without one");
}

#[test]
fn every_end_for_good_has_one() {
    let cli = Cli::new();
    let restart = json!({ "restart": { "policy": "always", "delay_ms": 1, "max_retries": 2 } });
    let runs = with(work("runs", ["print", "run"]), restart);
    let task = cli.start_and_wait(with_hook(runs, keeper(&cli, "runs")));
    assert_eq!(task["reason"], "restart_limit");
    assert_eq!(told(&cli, "runs")["type"], "task.failed");
    outcome(&cli, "runs");
    assert_eq!(outcomes(&cli, "runs").len(), 1);

    cli.start(with_hook(
        work("stopped", ["fork", "hang"]),
        keeper(&cli, "stopped"),
    ));
    cli.stop("stopped");
    // A stop answers when everything is done, the hook included.
    assert_eq!(outcomes(&cli, "stopped").len(), 1);
    assert_eq!(told(&cli, "stopped")["data"]["reason"], "stop_requested");

    // Started again by hand, it ends for good once more.
    cli.run("restart").payload(json!("stopped")).ok();
    assert_eq!(outcomes(&cli, "stopped").len(), 1);
    cli.stop("stopped");
    assert_eq!(outcomes(&cli, "stopped").len(), 2);
}

#[test]
fn the_force_that_ends_the_task_is_over_when_it_runs() {
    let cli = Cli::new();
    let hook = json!({ "command": "sh", "args": ["-c", "sleep 0.3; echo whole"] });
    cli.start(with_hook(work("stopped", ["hang"]), hook.clone()));
    let kill = json!({ "id": "stopped", "signal": "SIGKILL" });
    cli.run("stop").payload(kill).ok();
    // This one cannot be asked politely.
    let deaf = script("limited", "trap '' TERM; while :; do sleep 0.05; done");
    let limit = json!({ "timeout_ms": 100, "stop": { "grace_ms": 100 } });
    let task = cli.start_and_wait(with_hook(with(deaf, limit), hook));
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGKILL", "timed_out"])
    );
    for id in ["stopped", "limited"] {
        let outcome = outcome(&cli, id);
        assert_eq!(
            json!([outcome["exit_code"], outcome["output"]]),
            json!([0, "whole\n"]),
            "{outcome}"
        );
    }
}

#[test]
fn one_that_cannot_be_executed_or_fails_is_an_event_and_nothing_else() {
    let cli = Cli::new();
    let missing = json!({ "command": "no-such-hook" });
    cli.start_and_wait(with_hook(work("a", []), missing));
    let problem = text(&outcome(&cli, "a")["problem"]);
    assert!(
        problem.contains("no-such-hook") && problem.contains("ENOENT"),
        "{problem}"
    );
    let failing = json!({ "command": "sh", "args": ["-c", "echo why >&2; exit 9"] });
    cli.start_and_wait(with_hook(work("b", []), failing));
    assert_eq!(outcome(&cli, "b")["exit_code"], 9);
    assert_eq!(outcome(&cli, "b")["output"], "why\n");
    for id in ["a", "b"] {
        assert_eq!(end_of(&cli.task(id)), json!(["exited", 0, null, null]));
    }
}

#[test]
fn much_output_is_cut_and_does_not_block_it() {
    let cli = Cli::new();
    let args = json!([
        "-c",
        "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end"
    ]);
    let hook = json!({ "command": "sh", "args": args });
    cli.start_and_wait(with_hook(work("a", []), hook));
    let output = text(&outcome(&cli, "a")["output"]);
    assert_eq!(output.len(), 4096);
    assert!(output.ends_with("xxx\nend\n"));
}

#[test]
fn the_follower_is_not_kept_waiting() {
    let cli = Cli::new();
    let go = cli.file("go");
    let hook = json!({ "command": crate::harness::fixture(), "args": ["wait-file", go] });
    cli.start(with_hook(work("a", ["print", "out"]), hook));
    let frames = cli
        .run("events")
        .payload(json!("a"))
        .flags(["--follow"])
        .frames();
    assert_eq!(frames.last().unwrap()["type"], "task.exited");
    assert_eq!(cli.wait("a")["status"], "exited");
    let supervisor = cli.supervisor("a");
    // It closed its ear to the output when the hook did, and sleeps.
    let args = json!([
        "-c",
        "exec >&- 2>&-; touch \"$2\"; sleep 0.3; touch \"$3\"; until [ -e \"$1\" ]; do sleep 0.05; done",
        "hook",
        go,
        cli.file("deaf"),
        cli.file("later")
    ]);
    let deaf = json!({ "command": "sh", "args": args });
    cli.start_and_wait(with_hook(work("b", []), deaf));
    let other = cli.supervisor("b");
    let is_there = |name: &str| std::path::Path::new(&cli.file(name)).exists();
    eventually(|| is_there("deaf"), "the hook has closed its output");
    eventually(|| crate::processes::is_asleep(other), "it sleeps");
    let before = times_slept(other);
    eventually(|| is_there("later"), "the hook goes on");
    // One of them may be to put away what it took to begin.
    assert!(times_slept(other) <= before + 3);
    cli.touch("go");
    eventually(|| crate::processes::has_ended(supervisor), "it has left");
    assert_eq!(outcomes(&cli, "a").len(), 1);
}

#[test]
fn it_is_run_by_whoever_takes_over_from_a_lost_supervisor() {
    let cli = Cli::new();
    for (id, verb, payload) in [
        ("stop", "stop", json!({ "id": "stop" })),
        ("remove", "remove", json!({ "id": "remove" })),
        ("recover", "recover", json!({})),
    ] {
        let task = cli.start(with_hook(work(id, ["hang"]), keeper(&cli, id)));
        cli.lose_supervisor(id);
        send(pid_of(&task), Signal::SIGKILL);
        let lost = cli.wait(id);
        assert_eq!(lost["reason"], "supervisor_lost");
        // Readers run nothing.
        assert!(!std::path::Path::new(&cli.file(id)).exists());
        cli.run(verb).payload(payload).ok();
        assert_eq!(told(&cli, id)["task"]["reason"], "supervisor_lost");
    }
    assert_eq!(outcomes(&cli, "stop").len(), 1);
    // Nobody had to ask anything of it.
    let events = cli.run("events").payload(json!("recover")).ok();
    let types = crate::harness::types(events["frames"].as_array().unwrap());
    assert!(!types.contains(&"task.stop_requested".to_owned()));
    cli.run("status")
        .payload(json!("remove"))
        .err("TaskNotFound");
}

#[test]
fn one_that_was_begun_is_not_run_again() {
    let cli = Cli::new();
    let begun = cli.file("begun");
    let hook = json!({ "command": "sh", "args": ["-c", "echo x >> \"$1\"; exec sleep 600", "hook", begun] });
    cli.start_and_wait(with_hook(work("a", []), hook));
    eventually(|| std::path::Path::new(&begun).exists(), "it has begun");
    let supervisor = cli.supervisor("a");
    send(supervisor, Signal::SIGKILL);
    eventually(|| crate::processes::has_ended(supervisor), "it is lost");
    cli.stop("a");
    cli.run("recover").ok();
    assert_eq!(std::fs::read_to_string(&begun).unwrap(), "x\n");
    // It was nobody's process any more.
    for pid in cli.commands() {
        send(pid, Signal::SIGKILL);
    }
}

#[test]
fn the_session_that_wants_to_hear_of_an_end_is_named_in_it() {
    let cli = Cli::new();
    let of = |id, notify: bool| {
        with(
            script(id, "exit 1"),
            json!({ "parent_session_id": "s1", "notify_on_exit": notify }),
        )
    };
    cli.start_and_wait(of("told", true));
    cli.start_and_wait(of("quiet", false));
    let answer = cli
        .run("events")
        .payload(json!({ "parent_session_id": "s1" }))
        .ok();
    let frames = answer["frames"].as_array().unwrap();
    let ends: Vec<_> = frames
        .iter()
        .filter(|frame| frame["type"] == "task.exited")
        .map(|frame| json!([frame["task_id"], frame["data"].get("notify_session")]))
        .collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.contains(&json!(["told", "s1"])) && ends.contains(&json!(["quiet", null])));
}

#[test]
fn a_bad_one_is_refused_before_anything_is_touched() {
    let cli = Cli::new();
    for hook in [
        json!({ "command": "" }),
        json!({ "args": [] }),
        json!({ "command": "a\0b" }),
        json!("x"),
    ] {
        let payload = with_hook(work("a", ["hang"]), hook);
        cli.run("start").payload(payload).err("CommandInputError");
    }
    cli.run("status").payload(json!("a")).err("TaskNotFound");
}

#[test]
fn a_run_that_cannot_begin_is_an_end_for_good() {
    let cli = Cli::new();
    // Who asks for a restart knows why it has come to nothing.
    for (id, verb, payload, reason) in [
        ("restart", "restart", json!("restart"), "stop_requested"),
        ("recover", "recover", json!({}), "spawn_failed"),
    ] {
        let program = cli.make_file(id, "755", "#!/bin/sh\nexec sleep 600\n");
        let restart = json!({ "restart": { "policy": "always" } });
        let payload_of = with(json!({ "id": id, "command": program }), restart);
        let task = cli.start(with_hook(payload_of, keeper(&cli, &format!("{id}.told"))));
        if verb == "recover" {
            cli.lose_supervisor(id);
            send(pid_of(&task), Signal::SIGKILL);
            eventually(|| cli.task(id)["status"] == "failed", "it is lost");
        }
        std::fs::remove_file(&program).unwrap();
        let call = cli.run(verb).payload(payload);
        if verb == "recover" {
            call.exits(1);
        } else {
            call.err("SpawnFailed");
        }
        assert_eq!(cli.task(id)["reason"], reason);
        let told = told(&cli, &format!("{id}.told"));
        assert_eq!(told["data"]["reason"], reason);
        outcome(&cli, id);
        assert_eq!(outcomes(&cli, id).len(), 1);
    }
}

#[test]
fn a_run_that_another_one_follows_has_none() {
    let cli = Cli::new();
    let restart = json!({ "restart": { "policy": "always" } });
    let payload = with(work("a", ["daemon", "print", "ready", "hang"]), restart);
    let first = cli.start(with_hook(payload, keeper(&cli, "told")));
    cli.await_line("a", "ready");
    cli.lose_supervisor("a");
    send(pid_of(&first), Signal::SIGKILL);
    eventually(|| cli.task("a")["status"] == "failed", "it is lost");
    // What it left is ended first.
    cli.run("recover").ok();
    assert_eq!(cli.task("a")["run"], 2);
    assert_eq!(outcomes(&cli, "a").len(), 0);
    cli.stop("a");
    assert_eq!(outcomes(&cli, "a").len(), 1);
}

#[test]
fn one_that_takes_too_long_is_ended_with_what_it_started() {
    let cli = Cli::new();
    let args = json!([
        "-c",
        "trap '' TERM; echo began; setsid sleep 600 & sleep 600"
    ]);
    let hook = json!({ "command": "sh", "args": args });
    cli.start_and_wait(with_hook(work("a", []), hook));
    // A stop answers when it is over, which takes its 30 seconds.
    cli.run("stop").payload(json!("a")).ok();
    let outcome = outcome(&cli, "a");
    assert_eq!(
        json!([outcome["timed_out"], outcome["signal"], outcome["output"]]),
        json!([true, "SIGKILL", "began\n"])
    );
    assert_eq!(end_of(&cli.task("a")), json!(["exited", 0, null, null]));
    cli.await_no_processes();
}
