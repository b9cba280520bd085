//! `restart`: the next run of the same task. Its id, its log and its history go on.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, lines, pid_of, types, with, work};
use crate::processes;

fn restart(cli: &Cli, id: &str) -> Value {
    cli.run("restart").payload(json!({ "id": id })).ok()["task"].take()
}

#[test]
fn a_running_task_gets_a_new_process_and_keeps_the_rest() {
    let cli = Cli::new();
    let tags = json!({ "tags": ["x"], "name": "kept", "env": { "A": "1" } });
    let before = cli.start(with(work("a", ["print", "run", "hang"]), tags));
    cli.await_line("a", "run");
    let answer = cli.run("restart").text("a").ok();
    let after = &answer["task"];
    assert_eq!(
        (&answer["task_id"], &answer["status"]),
        (&json!("a"), &json!("running"))
    );
    assert_eq!(
        (&after["restart_count"], &after["run"]),
        (&json!(1), &json!(2))
    );
    assert_ne!(after["pid"], before["pid"]);
    assert!(!processes::is_alive(pid_of(&before)));
    for kept in [
        "id",
        "name",
        "command",
        "args",
        "tags",
        "env",
        "workdir",
        "created_at",
        "log_path",
    ] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    eventually(|| cli.log("a") == "run\nrun\n", "both runs write one log");
    assert_eq!(cli.task("a")["pid"], after["pid"]);
}

#[test]
fn a_task_that_has_ended_runs_again() {
    let cli = Cli::new();
    for ended in [["exit", "3"], ["signal", "SEGV"]] {
        cli.start_and_wait(work("a", ended));
        let task = restart(&cli, "a");
        assert_eq!(end_of(&task), json!(["running", null, null, null]));
        assert_eq!(
            (&task["restart_count"], &task["exited_at"]),
            (&json!(1), &Value::Null)
        );
        let again = cli.wait("a");
        assert_ne!(again["status"], "running");
        assert_eq!(again["restart_count"], 1);
    }
}

#[test]
fn every_restart_counts_and_is_told_in_the_history() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "run", "hang"]));
    cli.await_line("a", "run");
    restart(&cli, "a");
    eventually(
        || cli.log("a").lines().count() == 2,
        "the second run prints",
    );
    cli.stop("a");
    restart(&cli, "a");
    eventually(|| cli.log("a").lines().count() == 3, "the third run prints");
    cli.stop("a");
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let expected = [
        "task.status.snapshot",
        "task.started",
        "task.log.line",
        "task.restarting",
        "task.started",
        "task.log.line",
        "task.stop_requested",
        "task.killed",
        "task.started",
        "task.log.line",
        "task.stop_requested",
        "task.killed",
    ];
    let is_asking = |name: &&String| *name == "task.stop_requested";
    let told = types(&frames);
    // Whether a restart tells that it asks the run before to end is not promised.
    let without: Vec<_> = told.iter().filter(|name| !is_asking(name)).collect();
    let wanted: Vec<_> = expected
        .into_iter()
        .filter(|name| *name != "task.stop_requested")
        .collect();
    assert_eq!(without, wanted);
    let restarting = frames
        .iter()
        .find(|frame| frame["type"] == "task.restarting")
        .unwrap();
    let told = json!({
        "run": 1, "exit_code": null, "signal": "SIGTERM", "reason": "stop_requested", "delay_ms": 0,
    });
    assert_eq!(restarting["data"], told);
    assert_eq!(lines(&frames), ["run", "run", "run"]);
}

#[test]
fn the_run_before_is_gone_with_all_of_its_processes() {
    let cli = Cli::new();
    let settings = json!({ "stop": { "grace_ms": 200 } });
    let directives = ["ignore", "TERM", "daemon", "fork", "print", "up", "hang"];
    cli.start(with(work("a", directives), settings));
    cli.await_line("a", "up");
    let before = cli.processes();
    restart(&cli, "a");
    let left: Vec<_> = before
        .into_iter()
        .filter(|&pid| processes::is_alive(pid))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    eventually(
        || cli.log("a").matches("up").count() == 2,
        "the second run prepares",
    );
    assert_eq!(cli.commands().len(), 3);
}

#[test]
fn the_run_before_is_asked_with_the_tasks_own_settings() {
    let cli = Cli::new();
    let settings = json!({ "stop": { "signal": "USR1", "grace_ms": 600_000 } });
    cli.start(with(work("a", ["on-term-exit", "9", "hang"]), settings));
    restart(&cli, "a");
    cli.stop("a");
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let restarting = frames
        .iter()
        .find(|frame| frame["type"] == "task.restarting")
        .unwrap();
    assert_eq!(restarting["data"]["signal"], "SIGUSR1");
}

#[test]
fn the_next_run_gets_the_environment_of_who_restarts_it() {
    let cli = Cli::new();
    let task = with(
        work("a", ["env", "WHO", "env", "OWN"]),
        json!({ "env": { "OWN": "kept" } }),
    );
    cli.run("start")
        .payload(task)
        .env("WHO", "start")
        .flags(["--wait"])
        .ok();
    cli.run("restart").text("a").env("WHO", "restart").ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "WHO=start\nOWN=kept\nWHO=restart\nOWN=kept\n");
}

#[test]
fn the_env_file_is_read_again() {
    let cli = Cli::new();
    fs::write(cli.file("vars"), "FILE=one").unwrap();
    cli.start_and_wait(with(
        work("a", ["env", "FILE"]),
        json!({ "env_file": "vars" }),
    ));
    fs::write(cli.file("vars"), "FILE=two").unwrap();
    cli.run("restart").text("a").workdir("/").ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "FILE=one\nFILE=two\n");
}

#[test]
fn a_restart_of_what_is_not_there_leaves_no_trace() {
    let cli = Cli::new();
    assert_eq!(
        cli.run("restart").text("a").err("TaskNotFound")["details"]["id"],
        "a"
    );
    assert!(!cli.home().exists());
}

/// A task whose program can be taken away.
fn with_own_program(cli: &Cli, script: &str) -> Value {
    let program = cli.make_file("tool", "755", &format!("#!/bin/sh\n{script}\n"));
    json!({ "id": "a", "command": program })
}

#[test]
fn a_failed_restart_of_an_ended_task_leaves_it_as_it_was() {
    let cli = Cli::new();
    cli.start_and_wait(with_own_program(&cli, "echo kept; exit 3"));
    cli.await_no_supervisor("a");
    fs::remove_file(cli.file("tool")).unwrap();
    let files = ["task.json", "events.ndjson", "log"].map(|name| cli.task_file("a", name));
    let before = files.clone().map(|path| fs::read(path).unwrap());
    let error = cli.run("restart").text("a").err("SpawnFailed");
    assert_eq!(error["details"]["errno_name"], "ENOENT");
    cli.await_no_supervisor("a");
    assert_eq!(end_of(&cli.task("a")), json!(["exited", 3, null, null]));
    assert_eq!(cli.task("a")["restart_count"], 0);
    for (path, before) in files.iter().zip(&before) {
        let after = fs::read(path).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&after),
            String::from_utf8_lossy(before)
        );
    }
}

#[test]
fn a_failed_restart_of_a_running_task_is_its_end() {
    let cli = Cli::new();
    let before = cli.start(with_own_program(&cli, "echo up; sleep 1000"));
    cli.await_line("a", "up");
    fs::remove_file(cli.file("tool")).unwrap();
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    cli.run("restart").text("a").err("SpawnFailed");
    let task = waiter.finish().ok()["task"].take();
    // Who asked knows why no other run has begun.
    let stopped = json!(["killed", null, "SIGTERM", "stop_requested"]);
    assert_eq!(end_of(&task), stopped);
    let counts = ["run", "restart_count"].map(|field| task[field].clone());
    assert_eq!(counts, [json!(1), json!(0)]);
    assert!(task["duration_ms"].as_u64().is_some(), "{task}");
    assert!(!processes::is_alive(pid_of(&before)));
    assert_eq!(cli.log("a"), "up\n");
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    assert_eq!(types(&frames).last().unwrap(), "task.killed");
}

#[test]
fn a_log_that_was_removed_is_begun_anew() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "run"]));
    cli.await_no_supervisor("a");
    fs::remove_file(cli.home().join("logs/a.log")).unwrap();
    restart(&cli, "a");
    cli.wait("a");
    assert_eq!(
        cli.run("logs").text("a").ok()["lines"],
        json!(["run", "run"])
    );
    assert_eq!(
        cli.log("a"),
        "run\nrun\n",
        "the other name of the log is given back"
    );
    fs::remove_file(cli.home().join("logs/a.log")).unwrap();
    fs::remove_file(cli.task_file("a", "log")).unwrap();
    restart(&cli, "a");
    cli.wait("a");
    assert_eq!(cli.log("a"), "run\n");
}

#[test]
fn a_restart_that_takes_too_long_says_so_and_goes_on() {
    let cli = Cli::new();
    let settings = json!({ "stop": { "grace_ms": 2000 } });
    cli.start(with(
        work("a", ["ignore", "TERM", "print", "up", "hang"]),
        settings,
    ));
    cli.await_line("a", "up");
    let call = cli.run("restart").text("a").flags(["--timeout", "0.1"]);
    assert_eq!(call.err("TaskWaitTimedOut")["details"]["retryable"], true);
    eventually(
        || cli.task("a")["restart_count"] == 1,
        "the restart goes on",
    );
    cli.await_status("a", "running");
}

#[test]
fn a_stop_during_a_restart_ends_the_task() {
    let cli = Cli::new();
    for _ in 0..3 {
        let settings = json!({ "stop": { "grace_ms": 300 } });
        let work = work("a", ["ignore", "TERM", "print", "up", "hang"]);
        cli.start(with(work, settings));
        cli.await_line("a", "up");
        let restart = cli.run("restart").text("a").spawn();
        let is_asked_for = || cli.task_file("a", "want.json").exists();
        eventually(is_asked_for, "the restart is asked for");
        assert_eq!(cli.stop("a")["status"], "killed");
        // Whichever came first, the stop has the last word.
        let _ = restart.finish();
        assert_eq!(cli.task("a")["status"], "killed");
        cli.assert_no_processes();
        fs::remove_file(cli.task_file("a", "want.json")).unwrap();
    }
}

#[test]
fn restarts_at_the_same_time_all_happen() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let calls: Vec<_> = (0..5)
        .map(|_| cli.run("restart").text("a").spawn())
        .collect();
    let mut counts: Vec<_> = calls
        .into_iter()
        .map(|call| {
            call.finish().ok()["task"]["restart_count"]
                .as_u64()
                .unwrap()
        })
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    assert_eq!(cli.commands().len(), 1);
}

/// A task that has been asked for a restart and takes its grace period of ten minutes.
fn begin_slow_restart(cli: &Cli) -> crate::harness::Background {
    let settings = json!({ "stop": { "grace_ms": 600_000 } });
    cli.start(with(
        work("a", ["ignore", "TERM", "print", "up", "hang"]),
        settings,
    ));
    cli.await_line("a", "up");
    let restarting = cli.run("restart").text("a").spawn();
    eventually(
        || {
            let frames = cli.run("events").text("a").flags(["--stream"]).frames();
            types(&frames).contains(&"task.stop_requested".to_owned())
        },
        "the present run is asked to end",
    );
    restarting
}

#[test]
fn a_stop_does_not_wait_for_the_restart_that_it_interrupts() {
    let cli = Cli::new();
    let restarting = begin_slow_restart(&cli);
    assert_eq!(cli.task("a")["supervised"], true);
    let stop = json!({ "id": "a", "grace_ms": 0 });
    let stopped = cli.run("stop").payload(stop).ok()["task"].take();
    assert_eq!(
        end_of(&stopped),
        json!(["killed", null, "SIGKILL", "stop_requested"])
    );
    let error = restarting.finish().err("TaskNotRunning");
    assert_eq!(error["details"]["task"]["status"], "killed");
    assert_eq!(error["details"]["retryable"], false);
    assert_eq!(end_of(&cli.task("a")), end_of(&stopped));
    assert_eq!(cli.task("a")["run"], 1);
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
    assert_eq!(restart(&cli, "a")["status"], "running");
}

#[test]
fn a_restart_behind_another_takes_its_turn() {
    let cli = Cli::new();
    let first = begin_slow_restart(&cli);
    let second = cli.run("restart").text("a").spawn();
    let main = pid_of(&cli.task("a"));
    processes::send(main, nix::sys::signal::Signal::SIGKILL);
    assert_eq!(first.finish().ok()["task"]["run"], 2);
    cli.await_line("a", "up");
    // The second asks the second run, which ignores it as well.
    let again = pid_of(&cli.task("a"));
    processes::send(again, nix::sys::signal::Signal::SIGKILL);
    assert_eq!(second.finish().ok()["task"]["run"], 3);
    cli.run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok();
    cli.assert_no_processes();
}

#[test]
fn a_start_over_a_pending_restart_finds_the_task_running() {
    let cli = Cli::new();
    let restarting = begin_slow_restart(&cli);
    cli.run("start")
        .payload(work("a", ["exit", "0"]))
        .err("TaskAlreadyRunning");
    restarting.kill();
    // The restart goes on without its caller.
    processes::send(pid_of(&cli.task("a")), nix::sys::signal::Signal::SIGKILL);
    eventually(|| cli.task("a")["run"] == 2, "the next run begins");
    cli.run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok();
}

#[test]
fn a_log_whose_public_name_was_taken_for_another_file_gets_it_back() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "first"]));
    let public = cli.home().join("logs/a.log");
    fs::rename(&public, cli.home().join("logs/kept")).unwrap();
    fs::write(&public, "somebody's\n").unwrap();
    restart(&cli, "a");
    cli.wait("a");
    assert_eq!(cli.log("a"), "first\nfirst\n");
}
