//! `remove`: all of a task that has ended, or nothing.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, eventually, fixture, pid_of, text, with, work};
use crate::processes;

/// What is left of a task anywhere in the home, its lock aside.
fn traces(cli: &Cli, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["tasks", "logs", "trash"] {
        let names = fs::read_dir(cli.home().join(folder)).into_iter().flatten();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        found.extend(names.filter(|name| name == id || name.starts_with(&format!("{id}."))));
    }
    found
}

fn results(batch: &Value) -> Vec<Value> {
    batch["results"].as_array().unwrap().clone()
}

#[test]
fn an_ended_task_goes_with_all_that_was_of_it() {
    let cli = Cli::new();
    let more = json!({ "stderr": "separate" });
    cli.start_and_wait(with(work("a", ["fill", "100000", "eprint", "x"]), more));
    let answer = cli.run("remove").text("a").ok();
    let freed = answer["freed_bytes"].as_u64().unwrap();
    assert!((100_000..1_000_000).contains(&freed), "{freed}");
    assert_eq!(
        answer,
        json!({ "task_id": "a", "removed": true, "freed_bytes": freed })
    );
    assert_eq!(traces(&cli, "a"), [""; 0]);
    for verb in [
        "status", "logs", "events", "wait", "stop", "restart", "remove",
    ] {
        cli.run(verb).text("a").err("TaskNotFound");
    }
    assert_eq!(cli.list(json!({})), [""; 0]);
}

#[test]
fn a_removed_id_can_be_started_again() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "old"]));
    cli.run("remove").text("a").ok();
    let task = cli.start_and_wait(work("a", ["print", "new"]));
    assert_eq!(
        (&task["restart_count"], &task["run"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(cli.log("a"), "new\n");
}

#[test]
fn a_task_that_has_not_ended_is_refused() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let error = cli.run("remove").text("a").err("TaskAlreadyRunning");
    assert_eq!(error["details"]["status"], "running");
    assert!(text(&error["details"]["hint"]).starts_with("Stop it first"));
    cli.lose_supervisor("a");
    cli.run("remove").text("a").err("TaskAlreadyRunning");
    assert_eq!(cli.task("a")["status"], "running");
    cli.stop("a");
    cli.run("remove").text("a").ok();
}

#[test]
fn an_array_is_a_batch_with_an_error_for_each_that_stays() {
    let cli = Cli::new();
    cli.start_and_wait(work("ended", []));
    cli.start(work("runs", ["hang"]));
    let answer = cli
        .run("remove")
        .text(r#"["ended", "runs", {"id": "nope"}]"#)
        .exits(1);
    assert_eq!(answer["outcome"], "partial_failure");
    let results = results(&answer);
    assert_eq!(results[0]["data"]["removed"], true);
    assert_eq!(results[1]["error"]["type"], "TaskAlreadyRunning");
    assert_eq!(results[2]["error"]["type"], "TaskNotFound");
    assert_eq!(cli.list(json!({})), ["runs"]);
}

#[test]
fn a_filter_takes_what_has_ended_and_matches() {
    let cli = Cli::new();
    cli.start_and_wait(with(work("x", []), json!({ "parent_session_id": "s" })));
    cli.start_and_wait(with(work("a", []), json!({ "tags": ["x", "y"] })));
    cli.start_and_wait(with(work("b", []), json!({ "tags": ["x"] })));
    cli.start(with(work("c", ["hang"]), json!({ "tags": ["x"] })));
    let nothing = cli.run("remove").payload(json!({ "tag": "nope" })).ok();
    assert_eq!(
        (&nothing["outcome"], &nothing["total"]),
        (&json!("succeeded"), &json!(0))
    );
    let both = json!({ "tags": ["x", "y"] });
    assert_eq!(cli.run("remove").payload(both).ok()["total"], 1);
    assert_eq!(
        cli.run("remove").payload(json!({ "tag": "x" })).ok()["success_count"],
        1
    );
    assert_eq!(
        cli.run("remove")
            .payload(json!({ "parentSessionId": "s" }))
            .ok()["total"],
        1
    );
    assert_eq!(cli.list(json!({})), ["c"]);
    assert_eq!(
        cli.run("remove").payload(json!({ "all": true })).ok()["total"],
        0
    );
}

#[test]
fn what_cannot_be_understood_removes_nothing() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    for payload in [
        json!({}),
        json!({ "id": "a", "all": true }),
        json!({ "id": "a", "force": true }),
        json!([]),
        json!(["a", "A"]),
        json!([{ "tag": "x" }]),
        json!({ "id": "../a" }),
    ] {
        cli.run("remove").payload(payload).err("CommandInputError");
    }
    assert_eq!(cli.list(json!({})), ["a"]);
}

#[test]
fn of_many_removers_one_succeeds() {
    let cli = Cli::new();
    for _ in 0..5 {
        cli.start_and_wait(work("a", ["print", "x"]));
        let calls: Vec<_> = (0..16)
            .map(|_| cli.run("remove").text("a").spawn())
            .collect();
        let mut succeeded = 0;
        for outcome in calls.into_iter().map(|call| call.finish()) {
            if outcome.status.success() {
                succeeded += 1;
            } else {
                outcome.err("TaskNotFound");
            }
        }
        assert_eq!(succeeded, 1);
        assert_eq!(traces(&cli, "a"), [""; 0]);
    }
}

#[test]
fn a_start_beside_a_remove_leaves_a_whole_task() {
    let cli = Cli::new();
    for _ in 0..20 {
        cli.start_and_wait(work("a", ["print", "old"]));
        let remover = cli.run("remove").text("a").spawn();
        let starter = cli
            .run("start")
            .payload(work("a", ["print", "new"]))
            .spawn();
        starter.finish().ok();
        let removed = remover.finish();
        if !removed.status.success() {
            removed.err("TaskAlreadyRunning");
        }
        // It may have been removed after it had ended again.
        if cli.list(json!({})).is_empty() {
            assert_eq!(traces(&cli, "a"), [""; 0]);
        } else {
            assert_eq!(cli.wait("a")["status"], "exited");
            assert_eq!(cli.log("a"), "new\n");
        }
    }
}

#[test]
fn readers_see_all_of_a_task_or_none_of_it() {
    let cli = Cli::new();
    let payload = || work("a", ["lines", "20", "exit", "3"]);
    std::thread::scope(|scope| {
        let changer = scope.spawn(|| {
            for _ in 0..25 {
                cli.start_and_wait(payload());
                cli.await_no_supervisor("a");
                cli.run("remove").text("a").ok();
            }
        });
        let mut seen = 0;
        while !changer.is_finished() {
            let logs = cli.run("logs").text("a").output();
            if !logs.status.success() {
                logs.err("TaskNotFound");
                continue;
            }
            let logs = logs.ok();
            if logs["running"] == false {
                seen += 1;
                assert_eq!(logs["total_lines"], 20, "{logs}");
            }
            let events = cli.run("events").text("a").output();
            if !events.status.success() {
                events.err("TaskNotFound");
                continue;
            }
            let events = events.ok();
            if events["frames"][0]["data"]["status"] == "exited" {
                let last = events["frames"].as_array().unwrap().last().unwrap();
                assert_eq!(last["type"], "task.exited", "{events}");
            }
        }
        assert!(seen > 0, "the readers came too late");
    });
}

#[test]
fn followers_of_a_removed_task_end() {
    let cli = Cli::new();
    let go = cli.file("go");
    let tag = json!({ "tags": ["x"] });
    cli.start(with(work("a", ["print", "up", "wait-file", &go]), tag));
    let one = cli.run("events").text("a").flags(["--follow"]).stream();
    let flags = ["--follow", "--timeout", "600"];
    let all = cli
        .run("events")
        .payload(json!({ "tag": "x" }))
        .flags(flags)
        .stream();
    one.await_frame("up");
    all.await_frame("up");
    cli.touch("go");
    all.await_frame("task.exited");
    cli.run("remove").text("a").ok();
    assert!(one.finish().success());
    // A filter goes on: the same id is another task now.
    cli.start(with(
        work("a", ["print", "again"]),
        json!({ "tags": ["x"] }),
    ));
    all.await_frame("again");
}

#[test]
fn a_remover_that_is_killed_leaves_no_half_task() {
    let cli = Cli::new();
    for round in 0..40 {
        cli.start_and_wait(work("a", ["lines", "5"]));
        cli.await_no_supervisor("a");
        // Killed at ever later moments, from before the program begins to after its end.
        let remover = cli.run("remove").text("a").spawn();
        for _ in 0..round {
            processes::exists(remover.pid());
        }
        processes::send(remover.pid(), Signal::SIGKILL);
        remover.kill();
        let status = cli.run("status").text("a").output();
        if status.status.success() {
            assert_eq!(status.ok()["task"]["exit_code"], 0);
            assert_eq!(cli.run("logs").text("a").ok()["total_lines"], 5);
        } else {
            status.err("TaskNotFound");
        }
        // Whatever is left is swept by the next one.
        cli.start_and_wait(work("other", []));
        cli.run("remove").text("other").ok();
        if cli.list(json!({})).is_empty() {
            assert_eq!(traces(&cli, "a"), [""; 0]);
        }
    }
}

#[test]
fn what_a_killed_remover_has_left_is_swept() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "x"]));
    cli.await_no_supervisor("a");
    cli.start_and_wait(work("b", []));
    // As it is between the two steps of a removal.
    let trash = cli.home().join("trash/a.0123456789abcdef");
    fs::rename(cli.task_file("a", ""), trash).unwrap();
    cli.run("status").text("a").err("TaskNotFound");
    cli.run("remove").text("b").ok();
    assert_eq!(traces(&cli, "a"), [""; 0]);
}

#[test]
fn what_a_lost_run_has_left_is_ended_first() {
    let cli = Cli::new();
    let ignoring = ["ignore", "TERM", "daemon", "exit", "0"];
    let more = json!({ "stop": { "grace_ms": 600_000 } });
    cli.start(with(work("a", ignoring), more));
    cli.await_status("a", "exited");
    let log = cli.log("a");
    let daemon: i32 = log.trim().strip_prefix("daemon ").unwrap().parse().unwrap();
    cli.lose_supervisor("a");
    assert!(processes::is_alive(daemon));
    let removal = cli
        .run("remove")
        .text("a")
        .flags(["--timeout", "1"])
        .output();
    removal.err("TaskWaitTimedOut");
    assert!(Path::new(&cli.task_file("a", "task.json")).exists());
    cli.run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok();
    assert!(!processes::is_alive(daemon));
    cli.run("remove").text("a").ok();
}

#[test]
fn a_removal_waits_for_the_end_of_leftovers() {
    let cli = Cli::new();
    let more = json!({ "stop": { "grace_ms": 500 } });
    cli.start(with(
        work("a", ["ignore", "TERM", "fork", "exit", "0"]),
        more,
    ));
    cli.await_status("a", "exited");
    cli.run("remove").text("a").ok();
    cli.assert_no_processes();
    assert_eq!(traces(&cli, "a"), [""; 0]);
}

/// Unlike the id of any other test's task: processes with the id of a damaged task may be its.
const DAMAGED: &str = "damaged-and-removed";
const BLIND: &str = "damaged-and-alive";

#[test]
fn a_damaged_record_can_be_removed() {
    let cli = Cli::new();
    cli.start_and_wait(work(DAMAGED, []));
    cli.await_no_supervisor(DAMAGED);
    fs::write(cli.task_file(DAMAGED, "task.json"), "{").unwrap();
    cli.run("remove").text(DAMAGED).ok();
    assert_eq!(traces(&cli, DAMAGED), [""; 0]);
}

#[test]
fn a_damaged_record_stays_while_processes_may_be_its() {
    let cli = Cli::new();
    let task = cli.start(json!({ "id": BLIND, "command": fixture(), "args": ["hang"] }));
    fs::write(cli.task_file(BLIND, "task.json"), "{").unwrap();
    cli.run("remove").text(BLIND).err("TaskAlreadyRunning");
    cli.lose_supervisor(BLIND);
    cli.run("remove").text(BLIND).err("StoreError");
    let pid = pid_of(&task);
    processes::send(pid, Signal::SIGKILL);
    eventually(|| processes::has_ended(pid), "it is dead");
    cli.run("remove").text(BLIND).ok();
}

#[test]
fn what_a_newer_build_wrote_is_refused_by_name() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    cli.await_no_supervisor("a");
    fs::write(cli.task_file("a", "task.json"), r#"{"version": 9}"#).unwrap();
    let error = cli.run("remove").text("a").err("Unsupported");
    assert!(text(&error["message"]).contains("format 9"));
    assert!(cli.task_file("a", "task.json").exists());
}
