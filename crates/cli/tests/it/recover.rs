//! `recover`: what a reboot or a lost supervisor interrupted goes on.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, eventually, pid_of, text, with, work};
use crate::processes::{self, send};

const POLICY: &str = "on_failure";

fn persistent(payload: Value) -> Value {
    with(payload, json!({ "restart": { "policy": POLICY } }))
}

/// As after a power cut: nobody looks after it, and its boot is another.
fn reboot(cli: &Cli, id: &str) {
    let pid = pid_of(&cli.task(id));
    cli.lose_supervisor(id);
    send(pid, Signal::SIGKILL);
    eventually(|| processes::has_ended(pid), "the command is dead");
    cli.edit_record(id, |record| {
        record["facts"]["boot_id"] = json!("an earlier one");
    });
    assert_eq!(cli.task(id)["reason"], "host_rebooted");
}

fn recover(cli: &Cli) -> Vec<Value> {
    let answer = cli.run("recover").ok();
    let results = answer["results"].as_array().unwrap();
    results
        .iter()
        .map(|item| json!([item["target"]["id"], item["data"]["action"]]))
        .collect()
}

#[test]
fn what_asks_for_it_runs_again_after_a_reboot() {
    let cli = Cli::new();
    let file = cli.make_file("vars", "644", "FROM_FILE=1\n");
    let more = json!({ "env": { "GIVEN": "2" }, "env_file": file });
    let names = [
        "env",
        "INHERITED",
        "env",
        "FROM_FILE",
        "env",
        "GIVEN",
        "hang",
    ];
    let payload = with(persistent(work("a", names)), more);
    let first = cli.run("start").payload(payload).env("INHERITED", "0").ok();
    cli.start(work("never", ["hang"]));
    cli.await_line("a", "GIVEN=2");
    assert_eq!(text(&first["task"]["status"]), "running");
    reboot(&cli, "a");
    reboot(&cli, "never");
    assert_eq!(recover(&cli), [json!(["a", "restarted"])]);
    let task = cli.task("a");
    assert_eq!(
        json!([task["status"], task["run"], task["restart_count"]]),
        json!(["running", 2, 1])
    );
    let lines = "INHERITED=0\nFROM_FILE=1\nGIVEN=2\n";
    eventually(
        || cli.log("a") == lines.repeat(2),
        "the second run has spoken",
    );
    assert_eq!(cli.task("never")["reason"], "host_rebooted");
    // And only once.
    assert_eq!(recover(&cli), [] as [Value; 0]);
    let answer = cli.run("events").payload(json!("a")).ok();
    let frames = answer["frames"].as_array().unwrap();
    let restarting = frames
        .iter()
        .find(|frame| frame["type"] == "task.restarting")
        .unwrap();
    assert_eq!(restarting["data"]["reason"], "host_rebooted");
}

#[test]
fn what_lives_has_a_supervisor_again() {
    let cli = Cli::new();
    let task = cli.start(persistent(work("a", ["hang"])));
    cli.lose_supervisor("a");
    assert_eq!(cli.task("a")["supervised"], false);
    assert_eq!(recover(&cli), [json!(["a", "attended"])]);
    let now = cli.task("a");
    assert_eq!(
        json!([now["pid"], now["run"], now["supervised"]]),
        json!([task["pid"], 1, true])
    );
    // It does what the first would have done.
    send(pid_of(&task), Signal::SIGKILL);
    let next = eventually(
        || Some(cli.task("a")).filter(|task| !task["next_start_at"].is_null()),
        "it backs off",
    );
    assert_eq!(next["status"], "starting");
    cli.stop("a");
    cli.await_no_processes();
}

#[test]
fn what_a_dead_run_left_is_ended_first() {
    let cli = Cli::new();
    let first = cli.start(persistent(work("a", ["daemon", "print", "ready", "hang"])));
    cli.await_line("a", "ready");
    cli.lose_supervisor("a");
    send(pid_of(&first), Signal::SIGKILL);
    eventually(
        || processes::has_ended(pid_of(&first)),
        "the command is dead",
    );
    let stray = cli.commands();
    assert_eq!(stray.len(), 1);
    assert_eq!(recover(&cli), [json!(["a", "restarted"])]);
    assert!(processes::has_ended(stray[0]));
}

#[test]
fn what_was_wanted_to_end_stays_ended() {
    let cli = Cli::new();
    let task = cli.start(persistent(work(
        "a",
        ["ignore", "TERM", "print", "ready", "hang"],
    )));
    cli.await_line("a", "ready");
    let stop = cli.run("stop").payload(json!("a")).spawn();
    eventually(
        || cli.task_file("a", "want.json").exists(),
        "the wish is there",
    );
    // Caller and supervisor die in the middle of it.
    stop.kill();
    cli.lose_supervisor("a");
    send(pid_of(&task), Signal::SIGKILL);
    eventually(|| cli.task("a")["status"] == "failed", "it is lost");
    assert_eq!(recover(&cli), [] as [Value; 0]);
    cli.start_and_wait(persistent(work("done", [])));
    assert_eq!(recover(&cli), [] as [Value; 0]);
}

#[test]
fn what_was_stopped_after_the_interruption_stays_ended() {
    let cli = Cli::new();
    cli.start(persistent(work("a", ["hang"])));
    cli.start(persistent(work("b", ["hang"])));
    reboot(&cli, "a");
    reboot(&cli, "b");
    assert_eq!(cli.stop("a")["reason"], "host_rebooted");
    assert_eq!(recover(&cli), [json!(["b", "restarted"])]);
    assert_eq!(cli.task("a")["reason"], "host_rebooted");
    // Until somebody wants it to run again, and it is interrupted then.
    cli.run("restart").payload(json!("a")).ok();
    reboot(&cli, "a");
    assert_eq!(recover(&cli), [json!(["a", "restarted"])]);
}

#[test]
fn the_end_is_told_before_its_hook() {
    let cli = Cli::new();
    let hook = json!({ "on_exit": { "command": "true" } });
    cli.start(with(work("a", ["hang"]), hook));
    reboot(&cli, "a");
    assert_eq!(recover(&cli), [json!(["a", "settled"])]);
    let types = || {
        let answer = cli.run("events").payload(json!("a")).ok();
        crate::harness::types(answer["frames"].as_array().unwrap())
    };
    eventually(
        || types().contains(&"task.on_exit".to_owned()),
        "it has run",
    );
    let expected = [
        "task.status.snapshot",
        "task.started",
        "task.failed",
        "task.on_exit",
    ];
    assert_eq!(types(), expected);
}

#[test]
fn a_signal_to_what_is_being_stopped_does_not_make_the_stop_forgotten() {
    let cli = Cli::new();
    let directives = ["ignore", "TERM", "ignore", "USR1", "print", "ready", "hang"];
    let task = cli.start(persistent(work("a", directives)));
    cli.await_line("a", "ready");
    let stop = cli.run("stop").payload(json!("a")).spawn();
    let is_asked = || {
        cli.run("events")
            .payload(json!("a"))
            .ok()
            .to_string()
            .contains("stop_requested")
    };
    eventually(is_asked, "it is being stopped");
    let signal = json!({ "id": "a", "signal": "USR1" });
    cli.run("signal").payload(signal).ok();
    // Caller, supervisor and command die in the middle of it.
    stop.kill();
    cli.lose_supervisor("a");
    send(pid_of(&task), Signal::SIGKILL);
    eventually(|| cli.task("a")["status"] == "failed", "it is lost");
    assert_eq!(recover(&cli), [] as [Value; 0]);
}

#[test]
fn a_wait_between_two_runs_is_an_interruption_too() {
    let cli = Cli::new();
    let restart =
        json!({ "restart": { "policy": "always", "delay_ms": 600_000, "max_delay_ms": 600_000 } });
    cli.start(with(work("a", ["print", "run"]), restart));
    eventually(
        || cli.task("a")["next_start_at"].is_string(),
        "it backs off",
    );
    cli.lose_supervisor("a");
    assert_eq!(cli.task("a")["reason"], "supervisor_lost");
    assert_eq!(recover(&cli), [json!(["a", "restarted"])]);
    eventually(|| cli.log("a") == "run\nrun\n", "it ran again");
}

#[test]
fn what_cannot_run_again_is_told_and_on_record() {
    let cli = Cli::new();
    let program = cli.make_file("program", "755", "#!/bin/sh\nexec sleep 600\n");
    let payload = json!({ "id": "a", "command": program });
    cli.start(persistent(payload));
    cli.start(persistent(work("b", ["hang"])));
    reboot(&cli, "a");
    reboot(&cli, "b");
    std::fs::remove_file(&program).unwrap();
    let answer = cli.run("recover").exits(1);
    assert_eq!(answer["outcome"], "partial_failure");
    assert_eq!(cli.task("a")["reason"], "spawn_failed");
    assert_eq!(cli.task("b")["status"], "running");
    assert_eq!(recover(&cli), [] as [Value; 0]);
}

#[test]
fn two_at_once_start_it_once() {
    let cli = Cli::new();
    cli.start(persistent(work("a", ["print", "run", "hang"])));
    cli.await_line("a", "run");
    reboot(&cli, "a");
    let calls: Vec<_> = (0..4).map(|_| cli.run("recover").spawn()).collect();
    let done = calls
        .into_iter()
        .map(|call| call.finish().ok()["total"].as_u64().unwrap());
    assert_eq!(done.sum::<u64>(), 1);
    assert_eq!(cli.task("a")["run"], 2);
}

#[test]
fn the_environment_is_kept_only_where_it_may_be_needed() {
    let cli = Cli::new();
    let kept = |id: &str| cli.task_file(id, "environ");
    cli.start_and_wait(work("never", []));
    assert!(!kept("never").exists());
    cli.start_and_wait(persistent(work("a", [])));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(kept("a")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    // Started anew without a policy, nothing of it is left.
    cli.start_and_wait(work("a", []));
    assert!(!kept("a").exists());
}

#[test]
fn what_a_newer_build_wrote_is_left_alone_however_familiar_it_looks() {
    let cli = Cli::new();
    cli.start(persistent(work("a", ["hang"])));
    reboot(&cli, "a");
    cli.edit_record("a", |record| record["version"] = json!(99));
    let before = cli.record("a");
    assert_eq!(recover(&cli), [] as [Value; 0]);
    for command in ["stop", "restart", "pause"] {
        cli.run(command).payload(json!("a")).err("Unsupported");
    }
    assert_eq!(cli.record("a"), before);
}

#[test]
fn a_line_stands_in_its_order_again() {
    let cli = Cli::new();
    let queue = json!({ "queue": { "group": "g", "limit": 1 } });
    let notes = cli.file("notes");
    let of = |id: &str| with(persistent(work(id, ["note", &notes])), queue.clone());
    // Neither in the order of their names, nor in that of a folder.
    let ids: Vec<String> = (0..8).map(|n| format!("t{}", 3 * n % 8)).collect();
    let go = cli.file("go");
    let first = work("first", ["note", &notes, "wait-file", &go]);
    let first = cli.start(with(persistent(first), queue.clone()));
    cli.run("start")
        .payload(ids.iter().map(|id| of(id)).collect())
        .ok();
    // From the end of the line, so that nobody sees who is missing: as if all went at once.
    for id in ids.iter().rev() {
        cli.lose_supervisor(id);
    }
    cli.lose_supervisor("first");
    send(pid_of(&first), Signal::SIGKILL);
    eventually(|| cli.task("first")["status"] == "failed", "it is lost");
    let order: Vec<String> = std::iter::once("first".to_owned()).chain(ids).collect();
    let recovered: Vec<Value> = order.iter().map(|id| json!([id, "restarted"])).collect();
    assert_eq!(recover(&cli), recovered);
    cli.touch("go");
    for id in &order {
        cli.wait(id);
    }
    let noted = std::fs::read_to_string(&notes).unwrap();
    // The first had run before.
    assert_eq!(noted.lines().skip(1).collect::<Vec<_>>(), order);
}
