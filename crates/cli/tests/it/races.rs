//! Many callers at once: nobody is lost, nobody is stuck, and everybody is told the truth.

use std::collections::HashSet;

use background_tasks_core::supervisor::Program;
use background_tasks_core::task::{Task, TaskStatus};
use background_tasks_core::{Client, Error, op, request};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Background, Cli, Outcome, PROGRAM, end_of, eventually, pid_of, script, text, with, work,
};
use crate::processes;

/// The error's type, or `ok`.
fn verdict(outcome: Outcome) -> String {
    let is_ok = outcome.status.success();
    let document = if is_ok {
        &outcome.stdout
    } else {
        &outcome.stderr
    };
    let envelope: Value =
        serde_json::from_slice(document).unwrap_or_else(|_| panic!("{outcome:?}"));
    if is_ok {
        return "ok".to_owned();
    }
    let kind = text(&envelope["error"]["type"]);
    let expected = [
        "TaskAlreadyRunning",
        "TaskNotFound",
        "TaskNotRunning",
        "TaskWaitTimedOut",
    ];
    let is_expected = expected.contains(&kind.as_str());
    assert!(is_expected, "{outcome:?}");
    kind
}

#[test]
fn of_many_starts_of_one_id_one_wins() {
    let cli = Cli::new();
    for fresh in [true, false] {
        let calls: Vec<_> = (0..16)
            .map(|_| cli.run("start").payload(work("a", ["hang"])).spawn())
            .collect();
        let verdicts: Vec<_> = calls
            .into_iter()
            .map(|call| verdict(call.finish()))
            .collect();
        let won = verdicts.iter().filter(|verdict| *verdict == "ok").count();
        let refused = verdicts
            .iter()
            .filter(|verdict| *verdict == "TaskAlreadyRunning")
            .count();
        assert_eq!((won, refused), (1, 15), "fresh: {fresh}");
        assert_eq!(cli.commands().len(), 1);
        // The second time the id belongs to a task that has ended.
        cli.stop("a");
    }
}

#[test]
fn of_many_starts_of_one_id_in_two_spellings_one_wins() {
    let cli = Cli::new();
    let ids = ["abc", "ABC", "aBc", "AbC"];
    let calls: Vec<_> = (0..16)
        .map(|n| cli.run("start").payload(work(ids[n % 4], ["hang"])).spawn())
        .collect();
    let outcomes: Vec<_> = calls.into_iter().map(|call| call.finish()).collect();
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.status.success())
            .count(),
        1
    );
    assert_eq!(cli.list(json!({})).len(), 1);
}

#[test]
fn of_many_starts_that_may_reuse_all_get_the_same_task() {
    let cli = Cli::new();
    let payload = with(work("a", ["hang"]), json!({ "if_running": "reuse" }));
    let calls: Vec<_> = (0..16)
        .map(|_| cli.run("start").payload(payload.clone()).spawn())
        .collect();
    let pids: HashSet<_> = calls
        .into_iter()
        .map(|call| call.finish().ok()["task"]["pid"].as_i64().expect("it runs"))
        .collect();
    assert_eq!(pids.len(), 1);
}

#[test]
fn a_storm_of_starts_loses_none() {
    let cli = Cli::new();
    let payload = json!({ "command": "true" });
    let calls: Vec<_> = (0..64)
        .map(|_| cli.run("start").payload(payload.clone()).spawn())
        .collect();
    let ids: HashSet<String> = calls
        .into_iter()
        .map(|call| text(&call.finish().ok()["task"]["id"]))
        .collect();
    assert_eq!(ids.len(), 64);
    let listed: HashSet<String> = cli.list(json!({})).into_iter().collect();
    assert_eq!(listed, ids);
    cli.run("wait").payload(json!({ "ids": ids })).ok();
    assert_eq!(cli.list(json!({ "status": "exited" })).len(), 64);
}

#[test]
fn listing_during_a_storm_shows_whole_tasks() {
    let cli = Cli::new();
    let payload = || json!({ "command": "true", "tags": ["x"] });
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..15).for_each(|_| drop(cli.start(payload()))));
        }
        for _ in 0..30 {
            let answer = cli.run("list").ok();
            for task in answer["tasks"].as_array().unwrap() {
                assert_eq!(
                    (&task["command"], &task["tags"]),
                    (&json!("true"), &json!(["x"])),
                    "{task}"
                );
                assert_ne!(task["status"], "failed", "{task}");
            }
        }
    });
    assert_eq!(cli.list(json!({})).len(), 45);
}

/// Looks at a task as fast as one can, in this very process, until `call` has ended; `check`
/// judges what was seen, `None` when there was no such task. More threads than processors, so
/// that some are interrupted between two steps of a look.
fn watch_closely(
    cli: &Cli,
    id: &str,
    call: Background,
    check: impl Fn(Option<&Task>) + Sync,
) -> Outcome {
    let client = Client::new(cli.home().to_owned(), Program::File(PROGRAM.into()));
    let payload = json!({ "id": id }).to_string();
    let request: request::Status = request::decode(payload.as_bytes()).expect("it is an id");
    let look = || match op::status(&client, &request) {
        Ok(answer) => check(Some(&answer.task)),
        Err(Error::TaskNotFound { .. }) => check(None),
        Err(other) => panic!("{other}"),
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while processes::is_alive(call.pid()) {
                    (0..20).for_each(|_| look());
                }
            });
        }
    });
    call.finish()
}

#[test]
fn a_task_that_is_being_started_is_never_mistaken_for_a_damaged_or_lost_one() {
    let cli = Cli::new();
    for round in 0..60 {
        // Every other time the id is known already.
        let id = format!("t{}", round / 2);
        let call = cli.run("start").payload(work(&id, ["exit", "0"]));
        let outcome = watch_closely(&cli, &id, call.flags(["--wait"]).spawn(), |seen| {
            let is_fine = |task: &Task| task.status != TaskStatus::Failed;
            assert!(seen.is_none_or(is_fine), "{seen:?}");
        });
        outcome.ok();
    }
}

#[test]
fn a_task_that_cannot_be_started_is_never_mistaken_for_a_damaged_or_lost_one() {
    let cli = Cli::new();
    cli.start_and_wait(work("known", []));
    for round in 0..40 {
        let id = ["fresh", "known"][round % 2];
        let payload = json!({ "id": id, "command": "/no/such/program" });
        let call = cli.run("start").payload(payload).spawn();
        let outcome = watch_closely(&cli, id, call, |seen| {
            let expected = [TaskStatus::Starting, TaskStatus::Exited];
            let is_fine = |task: &Task| expected.contains(&task.status);
            assert!(seen.is_none_or(is_fine), "{seen:?}");
        });
        outcome.err("SpawnFailed");
    }
}

#[test]
fn a_task_that_is_being_restarted_or_stopped_is_never_mistaken_for_a_lost_one() {
    let cli = Cli::new();
    cli.start(work("a", ["fork", "hang"]));
    let in_between = [
        TaskStatus::Running,
        TaskStatus::Starting,
        TaskStatus::Killed,
    ];
    for _ in 0..25 {
        for verb in ["restart", "stop"] {
            let call = cli.run(verb).text("a").spawn();
            let outcome = watch_closely(&cli, "a", call, |seen| {
                let status = seen.expect("it is there").status;
                assert!(in_between.contains(&status), "{seen:?}");
            });
            outcome.ok();
        }
    }
}

/// A command that complains when another run of it is still there.
fn alone(id: &str) -> Value {
    let shell = "exec 9>alone; flock -n 9 || echo COLLISION; exec sleep 1000";
    with(script(id, shell), json!({ "stop": { "grace_ms": 100 } }))
}

#[test]
fn hammering_one_task_leaves_it_in_order() {
    const ROUNDS: usize = 12;
    let cli = Cli::new();
    cli.start(alone("a"));
    let call = |verb: &str| match verb {
        "start" => cli.run("start").payload(alone("a")),
        "replace" => {
            let replace = json!({ "if_running": "restart" });
            cli.run("start").payload(with(alone("a"), replace))
        }
        "wait" => cli.run("wait").text("a").flags(["--timeout", "0.05"]),
        verb => cli.run(verb).text("a"),
    };
    let verbs = [
        "start", "stop", "restart", "status", "replace", "wait", "stop", "restart",
    ];
    std::thread::scope(|scope| {
        for worker in 0..verbs.len() {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let verb = verbs[(worker + round * (worker + 1)) % verbs.len()];
                    let verdict = verdict(call(verb).output());
                    // A restart is given up when somebody stops the task before it gets there.
                    let may_fail = ["start", "wait", "restart"].contains(&verb);
                    assert!(may_fail || verdict == "ok", "{verb}: {verdict}");
                }
            });
        }
    });
    assert!(!cli.log("a").contains("COLLISION"), "two runs at once");
    assert_ne!(cli.stop("a")["status"], "running");
    cli.assert_no_processes();
    assert_eq!(cli.start_and_wait(work("a", ["exit", "4"]))["exit_code"], 4);
}

#[test]
fn hammering_many_tasks_leaves_them_in_order() {
    let cli = Cli::new();
    let ids = ["a", "b", "c"];
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let cli = &cli;
            scope.spawn(move || {
                for round in 0..10 {
                    let id = ids[(worker + round) % ids.len()];
                    let directives = ["fork", "daemon", "hang"];
                    let outcome = match (worker * 7 + round * 3) % 4 {
                        0 => cli.run("start").payload(work(id, directives)).output(),
                        1 => cli.run("stop").text(id).output(),
                        2 => cli.run("restart").text(id).output(),
                        _ => cli.run("events").text(id).output(),
                    };
                    verdict(outcome);
                }
            });
        }
    });
    cli.run("stop").payload(json!({ "all": true })).ok();
    cli.assert_no_processes();
    for id in cli.list(json!({})) {
        assert_eq!(end_of(&cli.task(&id))[0], "killed");
    }
}

#[test]
fn a_stop_and_a_natural_end_at_the_same_time_are_one_end() {
    let cli = Cli::new();
    for round in 0..40 {
        let lifetime = (round % 8).to_string();
        cli.start(work("a", ["sleep", &lifetime, "exit", "3"]));
        let end = end_of(&cli.stop("a"));
        let ends = [
            json!(["exited", 3, null, null]),
            json!(["killed", 3, null, "stop_requested"]),
            json!(["killed", null, "SIGTERM", "stop_requested"]),
        ];
        assert!(ends.contains(&end), "{end}");
        assert_eq!(end_of(&cli.task("a")), end);
        assert_eq!(end_of(&cli.wait("a")), end);
        let frames = cli.run("events").text("a").flags(["--follow"]).frames();
        let last = frames.last().unwrap();
        assert_eq!(last["type"], format!("task.{}", text(&end[0])));
    }
}

#[test]
fn a_stop_that_is_overtaken_by_a_new_start_answers_and_leaves_that_alone() {
    let cli = Cli::new();
    cli.start(work("a", ["ignore", "TERM", "print", "up", "hang"]));
    cli.await_line("a", "up");
    let slow = json!({ "id": "a", "grace_ms": 300 });
    let slow = cli
        .run("stop")
        .payload(slow)
        .flags(["--timeout", "15"])
        .spawn();
    let is_asked = || cli.task_file("a", "want.json").exists();
    eventually(is_asked, "the task is asked to end");
    slow.await_asleep();
    processes::send(slow.pid(), Signal::SIGSTOP);
    cli.await_status("a", "killed");
    let new = cli.start(work("a", ["hang"]));
    processes::send(slow.pid(), Signal::SIGCONT);
    assert_eq!(slow.finish().ok()["task_id"], "a");
    assert_eq!(cli.task("a")["pid"], new["pid"]);
    assert!(processes::is_alive(pid_of(&new)));
}

#[test]
fn a_start_right_after_the_end_finds_the_id_free() {
    let cli = Cli::new();
    for round in 0..25 {
        let code = (round % 5).to_string();
        let task = cli.start_and_wait(work("a", ["fork", "exit", &code]));
        assert_eq!(task["exit_code"].to_string(), code);
        assert_eq!(task["restart_count"], 0);
    }
}

#[test]
fn many_tasks_live_and_die_side_by_side() {
    let cli = Cli::new();
    let ids: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let tasks: Vec<Value> = ids.iter().map(|id| work(id, ["fork", "hang"])).collect();
    let flags = ["--concurrency", "20"];
    cli.run("start").payload(json!(tasks)).flags(flags).ok();
    assert_eq!(cli.list(json!({ "status": "running" })).len(), 40);
    let waiter = cli.run("wait").payload(json!({ "ids": ids })).spawn();
    waiter.await_asleep();
    cli.run("stop")
        .payload(json!({ "all": true }))
        .flags(flags)
        .ok();
    assert_eq!(waiter.finish().ok()["outcome"], "reached");
    cli.assert_no_processes();
}
