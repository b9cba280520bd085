//! `stop`: whatever a task has become, nothing of it is left when the answer comes.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, fixture, pid_of, script, types, with, work};
use crate::processes;

/// Longer than any test takes: a stop that waits for it has waited in vain.
const LONG: u64 = 600_000;

fn stop_settings(signal: &str, grace_ms: u64) -> Value {
    json!({ "stop": { "signal": signal, "grace_ms": grace_ms } })
}

#[test]
fn stop_asks_with_sigterm_and_tells_what_ended_it() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["hang"]));
    let answer = cli.run("stop").text("a").ok();
    assert_eq!(
        (&answer["task_id"], &answer["status"]),
        (&json!("a"), &json!("killed"))
    );
    let end = json!(["killed", null, "SIGTERM", "stop_requested"]);
    assert_eq!(end_of(&answer["task"]), end);
    assert!(!processes::is_alive(pid_of(&task)));
    assert_eq!(cli.task("a"), answer["task"]);
    cli.assert_no_processes();
}

/// Starts a fixture that ends its preparations with `up` and hangs, and stops it.
fn stop_leaves_nothing_of<const N: usize>(directives: [&str; N], expected: usize, signal: &str) {
    let cli = Cli::new();
    let mut words = directives.to_vec();
    words.extend(["print", "up", "hang"]);
    cli.start(json!({ "id": "a", "command": fixture(), "args": words }));
    cli.await_line("a", "up");
    assert_eq!(cli.commands().len(), expected);
    let stop = json!({ "id": "a", "grace_ms": 300 });
    let task = cli.run("stop").payload(stop).ok()["task"].take();
    cli.assert_no_processes();
    assert_eq!(
        end_of(&task),
        json!(["killed", null, signal, "stop_requested"])
    );
}

#[test]
fn children_of_the_same_session_are_ended() {
    stop_leaves_nothing_of(["forks", "10"], 11, "SIGTERM");
}

#[test]
fn a_daemon_in_a_session_of_its_own_is_ended() {
    stop_leaves_nothing_of(["daemon", "daemon", "fork"], 4, "SIGTERM");
}

#[test]
fn children_of_a_thread_are_ended() {
    stop_leaves_nothing_of(["thread-fork", "fork"], 3, "SIGTERM");
}

#[test]
fn a_tree_that_ignores_the_signal_is_killed_after_the_grace_period() {
    stop_leaves_nothing_of(
        ["ignore", "TERM", "forks", "5", "daemon", "thread-fork"],
        8,
        "SIGKILL",
    );
}

#[test]
fn a_large_tree_is_ended() {
    stop_leaves_nothing_of(["ignore", "TERM", "forks", "150"], 151, "SIGKILL");
}

#[test]
fn a_fork_storm_is_ended() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "up", "forkstorm", "60000"]));
    eventually(|| cli.processes().len() > 60, "the storm blows");
    let stop = json!({ "id": "a", "grace_ms": 100 });
    let task = cli.run("stop").payload(stop).ok()["task"].take();
    cli.assert_no_processes();
    assert_eq!(task["status"], "killed");
}

#[test]
fn sessions_that_a_shell_scatters_are_ended() {
    let cli = Cli::new();
    let shell =
        "trap '' TERM; setsid sleep 1000 & (sleep 1000 &); (setsid sh -c 'sleep 1000 & wait' &)
        echo up; sleep 1000; sleep 1000";
    cli.start(script("a", shell));
    cli.await_line("a", "up");
    cli.run("stop")
        .payload(json!({ "id": "a", "grace_ms": 200 }))
        .ok();
    cli.assert_no_processes();
}

#[test]
fn a_task_whose_processes_are_stopped_does_not_wait_out_the_grace_period() {
    let cli = Cli::new();
    let settings = stop_settings("SIGTERM", LONG);
    let task = cli.start(with(
        work("a", ["forks", "3", "print", "up", "hang"]),
        settings,
    ));
    cli.await_line("a", "up");
    let supervisor = cli.supervisor("a");
    for pid in cli.processes().into_iter().filter(|&pid| pid != supervisor) {
        processes::send(pid, Signal::SIGSTOP);
    }
    assert!(processes::is_alive(pid_of(&task)));
    let end = json!(["killed", null, "SIGTERM", "stop_requested"]);
    assert_eq!(end_of(&cli.stop("a")), end);
    cli.assert_no_processes();
}

#[test]
fn a_task_is_asked_with_the_signal_of_its_start() {
    let cli = Cli::new();
    cli.start(with(work("a", ["hang"]), stop_settings("USR2", LONG)));
    assert_eq!(cli.stop("a")["signal"], "SIGUSR2");
}

#[test]
fn the_signal_of_the_stop_outranks_that_of_the_start() {
    let cli = Cli::new();
    for signal in [json!("SIGINT"), json!("int"), json!("2"), json!(2)] {
        cli.start(with(work("a", ["hang"]), stop_settings("USR2", LONG)));
        let stop = json!({ "id": "a", "signal": signal });
        assert_eq!(
            cli.run("stop").payload(stop).ok()["task"]["signal"],
            "SIGINT"
        );
    }
}

#[test]
fn a_signal_without_a_name_can_ask_as_well() {
    let cli = Cli::new();
    cli.start(with(
        work("a", ["fork", "hang"]),
        stop_settings("SIG40", LONG),
    ));
    let call = cli.run("stop").text("a").flags(["--timeout", "5"]);
    let end = json!(["killed", null, "SIG40", "stop_requested"]);
    assert_eq!(end_of(&call.ok()["task"]), end);
}

#[test]
fn sigkill_asks_nobody() {
    let cli = Cli::new();
    cli.start(with(
        work("a", ["on-term-exit", "0", "fork", "hang"]),
        stop_settings("TERM", LONG),
    ));
    let stop = json!({ "id": "a", "signal": "SIGKILL" });
    let task = cli.run("stop").payload(stop).ok()["task"].take();
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGKILL", "stop_requested"])
    );
    cli.assert_no_processes();
}

#[test]
fn the_grace_period_is_that_of_the_start_and_is_granted() {
    let cli = Cli::new();
    let settings = stop_settings("TERM", 400);
    cli.start(with(
        work("a", ["ignore", "TERM", "print", "up", "hang"]),
        settings,
    ));
    cli.await_line("a", "up");
    let asked = Instant::now();
    assert_eq!(cli.stop("a")["signal"], "SIGKILL");
    assert!(asked.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_task_that_exits_when_asked_keeps_its_exit_code() {
    let cli = Cli::new();
    for code in ["0", "7"] {
        let settings = stop_settings("TERM", LONG);
        cli.start(with(
            work("a", ["on-term-exit", code, "print", "up", "hang"]),
            settings,
        ));
        cli.await_line("a", "up");
        let code: i32 = code.parse().unwrap();
        let end = json!(["killed", code, null, "stop_requested"]);
        assert_eq!(end_of(&cli.stop("a")), end);
        cli.run("wait").text("a").flags(["--exit-code"]).exits(code);
    }
}

#[test]
fn stopping_what_has_ended_succeeds_and_changes_nothing() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["exit", "3"]));
    cli.await_no_supervisor("a");
    let files = ["task.json", "events.ndjson"].map(|name| cli.task_file("a", name));
    let before = files.clone().map(|path| fs::read(path).unwrap());
    for _ in 0..2 {
        let answer = cli.run("stop").text("a").ok();
        assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    }
    assert_eq!(before, files.map(|path| fs::read(path).unwrap()));
}

#[test]
fn stopping_what_is_not_there_leaves_no_trace() {
    let cli = Cli::new();
    cli.run("stop").text("a").err("TaskNotFound");
    assert!(!cli.home().exists());
    cli.start_and_wait(work("b", []));
    assert_eq!(
        cli.run("stop").text("a").err("TaskNotFound")["details"]["id"],
        "a"
    );
    assert!(!cli.home().join("locks/a.lock").exists());
    assert!(!cli.home().join("tasks/a").exists());
}

/// Starts a, b and c (session s) with tags x, x+y and z.
fn three_tasks(cli: &Cli) {
    let task = |id: &str, more: Value| with(work(id, ["hang"]), more);
    let tasks = json!([
        task("a", json!({ "tags": ["x"] })),
        task("b", json!({ "tags": ["x", "y"] })),
        task("c", json!({ "tags": ["z"], "parent_session_id": "s" })),
    ]);
    cli.run("start").payload(tasks).ok();
}

#[test]
fn a_filter_stops_what_matches_and_answers_as_a_batch() {
    let cli = Cli::new();
    three_tasks(&cli);
    for (filter, stopped) in [
        (json!({ "tags": ["x", "y"] }), vec!["b"]),
        (json!({ "parent_session_id": "s" }), vec!["c"]),
        (json!({ "tag": "x" }), vec!["a", "b"]),
    ] {
        let answer = cli.run("stop").payload(filter).ok();
        assert_eq!(answer["outcome"], "succeeded");
        assert_eq!(answer["total"], stopped.len());
        let results = answer["results"].as_array().unwrap();
        let mut ids: Vec<_> = results
            .iter()
            .map(|one| one["target"]["id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, stopped);
        assert!(results.iter().all(|one| one["data"]["status"] == "killed"));
    }
    cli.assert_no_processes();
}

#[test]
fn all_stops_every_task() {
    let cli = Cli::new();
    three_tasks(&cli);
    let answer = cli.run("stop").payload(json!({ "all": true })).ok();
    assert_eq!(
        (&answer["total"], &answer["success_count"]),
        (&json!(3), &json!(3))
    );
    cli.assert_no_processes();
}

#[test]
fn a_filter_that_matches_nothing_succeeds() {
    let cli = Cli::new();
    let stop_nothing = || {
        for filter in [
            json!({ "tag": "nope" }),
            json!({ "parent_session_id": "nope" }),
        ] {
            let answer = cli.run("stop").payload(filter).ok();
            assert_eq!(
                (&answer["total"], &answer["outcome"]),
                (&json!(0), &json!("succeeded"))
            );
            assert_eq!(answer["results"], json!([]));
        }
    };
    stop_nothing();
    assert!(!cli.home().exists(), "looking makes no home");
    three_tasks(&cli);
    stop_nothing();
    assert_eq!(cli.list(json!({ "status": "running" })).len(), 3);
}

#[test]
fn what_is_left_behind_is_ended_after_the_main_process() {
    let cli = Cli::new();
    let directives = ["ignore", "TERM", "fork", "daemon", "exit", "3"];
    let task = cli.start_and_wait(with(work("a", directives), stop_settings("TERM", 300)));
    assert_eq!(
        end_of(&task),
        json!(["exited", 3, null, null]),
        "the end is told at once"
    );
    cli.await_no_processes();
    assert_eq!(end_of(&cli.task("a")), json!(["exited", 3, null, null]));
}

#[test]
fn stop_also_ends_what_an_ended_task_left_behind() {
    let cli = Cli::new();
    let directives = ["ignore", "TERM", "fork", "exit", "3"];
    let task = cli.start_and_wait(with(work("a", directives), stop_settings("TERM", LONG)));
    assert_eq!(task["status"], "exited");
    assert!(!cli.commands().is_empty());
    let stop = json!({ "id": "a", "grace_ms": 0 });
    let answer = cli.run("stop").payload(stop).ok();
    assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    cli.assert_no_processes();
}

#[test]
fn a_new_start_waits_for_what_the_ended_task_left_behind() {
    let cli = Cli::new();
    let directives = ["ignore", "TERM", "fork", "exit", "3"];
    cli.start_and_wait(with(work("a", directives), stop_settings("TERM", 500)));
    cli.start(work("a", ["print", "new", "hang"]));
    assert_eq!(cli.commands().len(), 1, "nothing older");
}

/// A script that leaves a child which goes on until `go` is there, and exits 3 by itself.
fn leaves_a_child(cli: &Cli) -> Value {
    let shell = format!(
        "(while ! test -e {}; do sleep 0.01; done; echo done) & echo up; exit 3",
        cli.file("go")
    );
    with(script("a", &shell), json!({ "leftovers": "wait" }))
}

#[test]
fn a_task_that_waits_for_its_leftovers_runs_until_they_are_gone() {
    let cli = Cli::new();
    cli.start(leaves_a_child(&cli));
    let task = eventually(
        || Some(cli.task("a")).filter(|task| task["pid"] == Value::Null),
        "the main process has ended",
    );
    assert_eq!(end_of(&task), json!(["running", null, null, null]));
    assert_eq!(task["supervised"], true);
    cli.touch("go");
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 3, null, null]));
    assert_eq!(cli.log("a"), "up\ndone\n");
}

#[test]
fn a_task_that_waits_for_its_leftovers_can_be_stopped() {
    let cli = Cli::new();
    cli.start(leaves_a_child(&cli));
    eventually(
        || cli.task("a")["pid"] == Value::Null,
        "the main process has ended",
    );
    assert_eq!(
        end_of(&cli.stop("a")),
        json!(["killed", 3, null, "stop_requested"])
    );
    cli.assert_no_processes();
}

#[test]
fn leftovers_are_waited_for_one_by_one_however_they_end() {
    let cli = Cli::new();
    let shell = format!(
        "(sh -c 'kill -40 $$'; sh -c 'kill -KILL $$'; echo gone) &
         (while ! test -e {}; do sleep 0.01; done) & exit 3",
        cli.file("go")
    );
    cli.start(with(script("a", &shell), json!({ "leftovers": "wait" })));
    cli.await_line("a", "gone");
    assert_eq!(cli.task("a")["status"], "running");
    cli.touch("go");
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 3, null, null]));
}

#[test]
fn an_orphan_that_dies_of_a_signal_without_a_name_is_not_the_last_one() {
    let cli = Cli::new();
    let (die, go) = (cli.file("die"), cli.file("go"));
    // Orphans: their parent is the supervisor, which sees how they end.
    let shell = format!(
        "(while ! test -e {die}; do sleep 0.01; done; exec sh -c 'kill -40 $$') &
         (while ! test -e {go}; do sleep 0.01; done; echo gone) & exit 3"
    );
    cli.start(with(script("a", &shell), json!({ "leftovers": "wait" })));
    eventually(
        || cli.task("a")["pid"] == Value::Null,
        "the main process has ended",
    );
    let before = cli.commands().len();
    cli.touch("die");
    eventually(|| cli.commands().len() < before, "the orphan has died");
    assert_eq!(cli.task("a")["status"], "running");
    cli.touch("go");
    cli.wait("a");
    assert_eq!(cli.log("a"), "gone\n");
}

#[test]
fn stops_at_the_same_time_agree() {
    let cli = Cli::new();
    let settings = stop_settings("TERM", 300);
    cli.start(with(
        work("a", ["ignore", "TERM", "fork", "print", "up", "hang"]),
        settings,
    ));
    cli.await_line("a", "up");
    let calls: Vec<_> = (0..8).map(|_| cli.run("stop").text("a").spawn()).collect();
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|call| call.finish().ok()["task"].take())
        .collect();
    let end = json!(["killed", null, "SIGKILL", "stop_requested"]);
    assert!(tasks.iter().all(|task| end_of(task) == end), "{tasks:?}");
    cli.assert_no_processes();
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let ends = types(&frames)
        .into_iter()
        .filter(|name| name == "task.killed");
    assert_eq!(ends.count(), 1);
}

/// Starts a task that nothing but SIGKILL ends and asks it in vain, in the background.
fn stop_in_vain(cli: &Cli, grace_ms: u64) -> crate::harness::Background {
    cli.start(work(
        "a",
        ["ignore", "TERM", "ignore", "INT", "print", "up", "hang"],
    ));
    cli.await_line("a", "up");
    let stop = json!({ "id": "a", "grace_ms": grace_ms });
    let first = cli.run("stop").payload(stop).spawn();
    let asked = || {
        let frames = cli.run("events").text("a").flags(["--stream"]).frames();
        types(&frames).contains(&"task.stop_requested".to_owned())
    };
    eventually(asked, "the task has been asked");
    first
}

#[test]
fn a_harsher_stop_shortens_the_grace_period() {
    let cli = Cli::new();
    let first = stop_in_vain(&cli, LONG);
    let second = json!({ "id": "a", "signal": "INT", "grace_ms": 100 });
    let second = cli.run("stop").payload(second).ok();
    let end = json!(["killed", null, "SIGKILL", "stop_requested"]);
    assert_eq!(end_of(&second["task"]), end);
    assert_eq!(end_of(&first.finish().ok()["task"]), end);
}

#[test]
fn a_milder_stop_does_not_lengthen_the_grace_period() {
    let cli = Cli::new();
    let first = stop_in_vain(&cli, 500);
    let second = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": LONG }))
        .spawn();
    assert_eq!(first.finish().ok()["status"], "killed");
    assert_eq!(second.finish().ok()["status"], "killed");
}

#[test]
fn a_stop_that_takes_too_long_says_so_and_can_be_repeated() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["ignore", "TERM", "print", "up", "hang"]));
    cli.await_line("a", "up");
    let call = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": LONG }));
    let error = call.flags(["--timeout", "0.2"]).err("TaskWaitTimedOut");
    assert_eq!(error["details"]["retryable"], true);
    assert_eq!(error["details"]["task"]["status"], "running");
    assert_eq!(error["details"]["pids"], json!([task["pid"]]));
    let again = json!({ "id": "a", "grace_ms": 0 });
    let end = end_of(&cli.run("stop").payload(again).ok()["task"]);
    assert_eq!(end, json!(["killed", null, "SIGKILL", "stop_requested"]));
}

#[test]
fn sigterm_to_the_supervisor_is_a_stop_with_the_tasks_own_settings() {
    let cli = Cli::new();
    cli.start(with(
        work("a", ["fork", "hang"]),
        stop_settings("USR1", LONG),
    ));
    processes::send(cli.supervisor("a"), Signal::SIGTERM);
    let end = json!(["killed", null, "SIGUSR1", "stop_requested"]);
    assert_eq!(end_of(&cli.wait("a")), end);
    cli.await_no_processes();
}

#[test]
fn a_stop_is_told_in_the_history() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "up", "hang"]));
    cli.await_line("a", "up");
    cli.run("stop")
        .payload(json!({ "id": "a", "signal": "HUP", "grace_ms": 1234 }))
        .ok();
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let [.., asked, killed] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(asked["type"], "task.stop_requested");
    assert_eq!(
        asked["data"],
        json!({ "signal": "SIGHUP", "grace_ms": 1234, "reason": "stop_requested" })
    );
    assert_eq!(killed["type"], "task.killed");
    assert_eq!(killed["data"]["signal"], "SIGHUP");
    assert_eq!(killed["data"]["reason"], "stop_requested");
}
