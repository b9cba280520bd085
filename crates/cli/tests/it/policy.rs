//! What a task does by itself: it is started again, and ended for its limits.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, pid_of, script, text, types, with, work};
use crate::processes;

fn restarts(policy: &str, more: Value) -> Value {
    let fast = json!({ "policy": policy, "delay_ms": 1, "backoff": "constant" });
    json!({ "restart": with(fast, more) })
}

fn history(cli: &Cli, id: &str) -> Vec<Value> {
    let payload = json!({ "id": id, "lines": 0 });
    cli.run("events")
        .payload(payload)
        .flags(["--stream"])
        .frames()
}

fn events(cli: &Cli, id: &str) -> Vec<String> {
    types(&history(cli, id)).split_off(1)
}

#[test]
fn a_failure_is_started_again_until_it_has_failed_too_often() {
    let cli = Cli::new();
    let settings = restarts("on_failure", json!({ "max_retries": 2 }));
    let task = cli.start_and_wait(with(work("a", ["print", "run", "exit", "3"]), settings));
    assert_eq!(end_of(&task), json!(["failed", 3, null, "restart_limit"]));
    assert!(
        text(&task["problem"]).contains("exited with code 3"),
        "{task}"
    );
    assert_eq!(
        (&task["restart_count"], &task["run"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(cli.log("a"), "run\nrun\nrun\n");
    let expected = [
        "task.started",
        "task.restarting",
        "task.started",
        "task.restarting",
        "task.started",
        "task.failed",
    ];
    assert_eq!(events(&cli, "a"), expected);
    let frames = history(&cli, "a");
    let restarting = &frames[2]["data"];
    let told = json!({ "run": 1, "exit_code": 3, "signal": null, "reason": null, "delay_ms": 1 });
    assert_eq!(*restarting, told);
    cli.assert_no_processes();
}

#[test]
fn a_success_ends_it_on_failure_and_not_always() {
    let cli = Cli::new();
    let shell = "echo run >>runs; [ $(wc -l <runs) -ge 3 ]";
    let task = cli.start_and_wait(with(script("a", shell), restarts("on_failure", json!({}))));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
    assert_eq!(task["restart_count"], 2);
    let settings = restarts("always", json!({ "max_retries": 3 }));
    let task = cli.start_and_wait(with(work("b", ["exit", "0"]), settings));
    assert_eq!(end_of(&task), json!(["failed", 0, null, "restart_limit"]));
    assert_eq!(task["restart_count"], 3);
}

#[test]
fn a_signal_is_a_failure_and_a_stop_is_none() {
    let cli = Cli::new();
    let settings = restarts("always", json!({}));
    let task = cli.start(with(work("a", ["hang"]), settings));
    processes::send(pid_of(&task), Signal::SIGKILL);
    eventually(|| cli.task("a")["run"] == 2, "it is started again");
    eventually(|| cli.task("a")["status"] == "running", "it runs");
    assert_eq!(
        end_of(&cli.stop("a")),
        json!(["killed", null, "SIGTERM", "stop_requested"])
    );
    assert_eq!(cli.task("a")["restart_count"], 1);
    cli.await_no_supervisor("a");
}

/// Ended once, and then waiting for ten minutes.
fn back_off(cli: &Cli) -> Value {
    let settings = restarts(
        "on_failure",
        json!({ "delay_ms": 600_000, "max_delay_ms": 900_000 }),
    );
    cli.start(with(work("a", ["print", "run", "exit", "1"]), settings));
    let is_waiting = || {
        let task = cli.task("a");
        (task["next_start_at"] != Value::Null).then_some(task)
    };
    eventually(is_waiting, "it waits for the next run")
}

#[test]
fn between_two_runs_it_is_starting_and_says_when() {
    let cli = Cli::new();
    let task = back_off(&cli);
    assert_eq!(
        (&task["status"], &task["pid"]),
        (&json!("starting"), &Value::Null)
    );
    assert_eq!(task["supervised"], true);
    assert_eq!(task["restart"]["delay_ms"], 600_000);
    cli.await_rest("a");
    let slept = processes::times_slept(cli.supervisor("a"));
    cli.run("start")
        .payload(work("a", ["hang"]))
        .err("TaskAlreadyRunning");
    assert!(processes::times_slept(cli.supervisor("a")) <= slept + 1);
    // A stop ends the waiting at once; no process was there to be ended.
    assert_eq!(
        end_of(&cli.stop("a")),
        json!(["killed", null, null, "stop_requested"])
    );
    cli.await_no_supervisor("a");
    assert_eq!(cli.log("a"), "run\n");
}

#[test]
fn a_restart_does_not_wait_for_the_delay() {
    let cli = Cli::new();
    back_off(&cli);
    let task = cli.run("restart").text("a").ok()["task"].take();
    assert_eq!(
        (&task["run"], &task["restart_count"]),
        (&json!(2), &json!(1))
    );
    eventually(|| cli.log("a") == "run\nrun\n", "the next run prints");
    cli.stop("a");
}

#[test]
fn a_supervisor_that_is_killed_between_two_runs_is_lost() {
    let cli = Cli::new();
    back_off(&cli);
    let waiting = cli.run("wait").text("a").spawn();
    waiting.await_asleep();
    cli.lose_supervisor("a");
    let task = waiting.finish().ok()["task"].take();
    assert_eq!(
        end_of(&task),
        json!(["failed", null, null, "supervisor_lost"])
    );
    assert_eq!(
        task["problem"],
        "its supervisor was killed between two runs"
    );
    let task = cli.run("restart").text("a").ok()["task"].take();
    assert_eq!(task["run"], 2);
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn nothing_of_a_run_is_left_when_the_next_begins() {
    let cli = Cli::new();
    let settings = restarts("on_failure", json!({ "max_retries": 3 }));
    // The leftover holds the lock that the next run needs.
    let shell =
        "exec 9>alone; flock -n 9 || echo COLLISION; setsid sleep 1000 & sleep 0.01; exit 1";
    let stop = json!({ "stop": { "grace_ms": 100 } });
    let task = cli.start_and_wait(with(with(script("a", shell), settings), stop));
    assert_eq!(task["reason"], "restart_limit");
    assert_eq!(cli.log("a"), "");
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
}

#[test]
fn a_next_run_that_cannot_be_executed_is_the_end() {
    let cli = Cli::new();
    let command = cli.make_file("once", "755", "#!/bin/sh\nrm \"$0\"\nexit 1\n");
    let task = json!({ "id": "a", "command": command });
    let task = cli.start_and_wait(with(task, restarts("on_failure", json!({}))));
    assert_eq!(end_of(&task), json!(["failed", null, null, "spawn_failed"]));
    cli.await_no_supervisor("a");
}

#[test]
fn earlier_clients_say_it_in_their_own_way() {
    let cli = Cli::new();
    let policy = json!({ "restartPolicy": { "onFailure": true, "maxRetries": 1, "delayMs": 1 } });
    let task = cli.start_and_wait(with(work("a", ["exit", "1"]), policy));
    assert_eq!(end_of(&task), json!(["failed", 1, null, "restart_limit"]));
    assert_eq!(task["restart"]["policy"], "on_failure");
    let both = json!({ "restart": { "policy": "always", "on_failure": true } });
    cli.run("start")
        .payload(with(work("b", ["exit", "1"]), both))
        .err("CommandInputError");
}

#[test]
fn a_run_that_takes_too_long_is_ended() {
    let cli = Cli::new();
    let limit = json!({ "timeout_ms": 100, "stop": { "grace_ms": 50 } });
    let task = cli.start_and_wait(with(work("a", ["fork", "daemon", "hang"]), limit.clone()));
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGTERM", "timed_out"])
    );
    assert!(task["duration_ms"].as_u64() >= Some(100), "{task}");
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
    let task = cli.start_and_wait(with(work("b", ["ignore", "TERM", "hang"]), limit));
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGKILL", "timed_out"])
    );
    let asked = history(&cli, "b")
        .into_iter()
        .find(|it| it["type"] == "task.stop_requested");
    assert_eq!(asked.unwrap()["data"]["reason"], "timed_out");
    let unhurried = json!({ "timeout_ms": 60_000 });
    let task = cli.start_and_wait(with(work("c", ["exit", "0"]), unhurried));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
}

#[test]
fn a_run_without_output_is_ended() {
    let cli = Cli::new();
    let limit = json!({ "idle_timeout_ms": 300 });
    // It prints for longer than it may be silent.
    let shell = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; exec sleep 1000";
    let task = cli.start_and_wait(with(script("a", shell), limit.clone()));
    assert_eq!(end_of(&task), json!(["killed", null, "SIGTERM", "idle"]));
    assert!(task["duration_ms"].as_u64() >= Some(1000), "{task}");
    assert_eq!(cli.log("a").lines().count(), 8);
    let separate = json!({ "stderr": "separate" });
    let task = with(
        with(script("b", "echo x >&2; exec sleep 1000"), limit),
        separate,
    );
    assert_eq!(cli.start_and_wait(task)["reason"], "idle");
}

#[test]
fn a_run_that_reached_its_limit_is_started_again_and_a_stop_ends_that() {
    let cli = Cli::new();
    let settings = restarts("on_failure", json!({ "max_retries": 1 }));
    let limit = json!({ "timeout_ms": 50 });
    let task = cli.start_and_wait(with(with(work("a", ["hang"]), settings.clone()), limit));
    assert_eq!(
        end_of(&task),
        json!(["failed", null, "SIGTERM", "restart_limit"])
    );
    assert_eq!(history(&cli, "a")[3]["data"]["reason"], "timed_out");
    // In the grace period of its limit somebody stops it: it stays stopped.
    let slow = json!({ "timeout_ms": 1, "stop": { "grace_ms": 600_000 } });
    let stubborn = work("b", ["ignore", "TERM", "print", "up", "hang"]);
    cli.start(with(with(stubborn, restarts("always", json!({}))), slow));
    cli.await_line("b", "up");
    let stop = json!({ "id": "b", "grace_ms": 0 });
    let task = cli.run("stop").payload(stop).ok()["task"].take();
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGKILL", "stop_requested"])
    );
    cli.assert_no_processes();
}

#[test]
fn limits_of_no_time_are_refused() {
    let cli = Cli::new();
    for field in [
        "timeout_ms",
        "idle_timeout_ms",
        "timeoutMs",
        "idleTimeoutMs",
    ] {
        let payload = with(work("a", ["hang"]), json!({ field: 0 }));
        cli.run("start").payload(payload).err("CommandInputError");
    }
    assert!(!cli.home().join("tasks/a").exists());
}

#[test]
fn a_wish_is_heeded_before_the_next_run_though_its_caller_died_before_the_signal() {
    let cli = Cli::new();
    let settings = restarts("on_failure", json!({ "delay_ms": 1500 }));
    cli.start(with(work("a", ["exit", "1"]), settings));
    let is_waiting = || cli.task("a")["next_start_at"] != Value::Null;
    eventually(is_waiting, "it waits for the next run");
    let facts = cli.record("a")["facts"].take();
    let want = json!({
        "version": 1, "generation": facts["generation"], "run": facts["run"], "seq": 1,
        "verb": { "stop": { "signal": "SIGTERM", "grace_ms": 0 } },
    });
    std::fs::write(cli.task_file("a", "want.json"), want.to_string()).unwrap();
    let task = cli.wait("a");
    assert_eq!(
        end_of(&task),
        json!(["killed", null, null, "stop_requested"])
    );
    assert_eq!(task["run"], 1);
}
