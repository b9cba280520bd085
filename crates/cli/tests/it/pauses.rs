//! Signals, pauses, and an owner without whom a task is not to go on.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, pid_of, script, text, with, work};
use crate::processes::{send, stands_still};

fn tree(cli: &Cli) -> Vec<i32> {
    eventually(
        || {
            let pids = cli.commands();
            (pids.len() == 3).then_some(pids)
        },
        "three processes",
    )
}

#[test]
fn a_pause_holds_every_process_and_a_resume_lets_them_go_on() {
    let cli = Cli::new();
    cli.start(work("a", ["fork", "daemon", "print", "ready", "hang"]));
    cli.await_line("a", "ready");
    let pids = tree(&cli);
    let answer = cli.run("pause").payload(json!("a")).ok();
    assert_eq!(answer["task"]["paused"], true);
    assert_eq!(answer["status"], "running");
    eventually(
        || pids.iter().all(|&pid| stands_still(pid)),
        "all stand still",
    );
    // Once more changes nothing.
    cli.run("pause").payload(json!("a")).ok();
    let answer = cli.run("resume").payload(json!({ "id": "a" })).ok();
    assert_eq!(answer["task"]["paused"], false);
    eventually(|| !pids.iter().any(|&pid| stands_still(pid)), "all go on");
    let frames = cli.run("events").payload(json!("a")).ok();
    let types: Vec<String> = frames["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| text(&frame["type"]))
        .filter(|kind| kind.starts_with("task.p") || kind.starts_with("task.r"))
        .collect();
    assert_eq!(types, ["task.paused", "task.resumed"]);
}

#[test]
fn a_paused_task_is_stopped_without_waiting_out_its_grace() {
    let cli = Cli::new();
    cli.start(with(
        work("a", ["hang"]),
        json!({ "stop": { "grace_ms": 600_000 } }),
    ));
    cli.run("pause").payload(json!("a")).ok();
    let task = cli.stop("a");
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGTERM", "stop_requested"])
    );
    assert_eq!(task["paused"], false);
}

#[test]
fn a_pause_is_not_counted_by_the_limits_of_a_run() {
    let cli = Cli::new();
    let limits = json!({ "timeout_ms": 700, "idle_timeout_ms": 700 });
    cli.start(with(work("a", ["hang"]), limits));
    cli.run("pause").payload(json!("a")).ok();
    // The clock that would have ended it.
    cli.start(with(work("clock", ["hang"]), json!({ "timeout_ms": 900 })));
    cli.wait("clock");
    assert_eq!(cli.task("a")["status"], "running");
    cli.run("resume").payload(json!("a")).ok();
    assert_eq!(cli.wait("a")["status"], "killed");
}

#[test]
fn a_lost_task_that_is_paused_has_a_supervisor_again() {
    let cli = Cli::new();
    let more = json!({ "timeout_ms": 60_000, "owner": { "pid": std::process::id() } });
    let task = cli.start(with(work("a", ["hang"]), more));
    cli.lose_supervisor("a");
    let answer = cli.run("pause").payload(json!("a")).ok();
    assert_eq!(answer["task"]["paused"], true);
    assert_eq!(answer["task"]["supervised"], true);
    assert_eq!(pid_of(&answer["task"]), pid_of(&task));
    eventually(|| stands_still(pid_of(&task)), "it stands still");
    // The pause outlives another one.
    cli.lose_supervisor("a");
    assert_eq!(cli.task("a")["paused"], true);
    let answer = cli.run("resume").payload(json!("a")).ok();
    assert_eq!(answer["task"]["paused"], false);
    eventually(|| !stands_still(pid_of(&task)), "it goes on");
    assert_eq!(cli.stop("a")["reason"], "stop_requested");
}

#[test]
fn a_new_supervisor_tells_the_end_of_a_command_that_is_not_its_child() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["wait-file", &go, "exit", "3"]));
    cli.lose_supervisor("a");
    let signal = json!({ "id": "a", "signal": "SIGCONT" });
    cli.run("signal").payload(signal).ok();
    assert_eq!(cli.task("a")["supervised"], true);
    let waiter = cli.run("wait").payload(json!("a")).spawn();
    waiter.await_asleep();
    cli.touch("go");
    let task = waiter.finish().ok()["task"].clone();
    assert_eq!(
        end_of(&task),
        json!(["failed", null, null, "supervisor_lost"])
    );
    cli.await_no_processes();
}

#[test]
fn a_new_supervisor_keeps_the_restart_policy() {
    let cli = Cli::new();
    let (go, more) = (
        cli.file("go"),
        json!({ "restart": { "policy": "always", "delay_ms": 1 } }),
    );
    let directives = ["print", "run", "wait-file", &go, "hang"];
    let first = cli.start(with(work("a", directives), more));
    cli.lose_supervisor("a");
    cli.run("recover").ok();
    send(pid_of(&first), Signal::SIGKILL);
    let second = eventually(
        || Some(cli.task("a")).filter(|task| task["run"] == 2 && task["pid"].is_number()),
        "the next run",
    );
    assert_ne!(pid_of(&second), pid_of(&first));
    assert_eq!(second["restart_count"], 1);
}

#[test]
fn a_signal_reaches_the_main_process_or_all() {
    let cli = Cli::new();
    let shell = "trap 'echo main' USR1; sh -c 'trap \"echo child\" USR1; echo ready; while :; do sleep 0.05; done' & \
                 while :; do wait; done";
    cli.start(script("a", shell));
    cli.await_line("a", "ready");
    let deliver = |to: &str| {
        let payload = json!({ "id": "a", "signal": "usr1", "to": to });
        cli.run("signal").payload(payload).ok()
    };
    assert_eq!(deliver("main")["status"], "running");
    cli.await_line("a", "main");
    assert!(!cli.log("a").contains("child"));
    // The sleep in the child's loop has no handler and ends; the loop goes on.
    deliver("tree");
    cli.await_line("a", "child");
}

#[test]
fn who_has_no_process_cannot_be_told() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    for (command, payload) in [
        ("pause", json!("a")),
        ("resume", json!("a")),
        ("signal", json!({ "id": "a", "signal": "TERM" })),
    ] {
        let error = cli.run(command).payload(payload).err("TaskNotRunning");
        assert_eq!(error["details"]["task"]["status"], "exited");
    }
    cli.run("pause").payload(json!("nope")).err("TaskNotFound");
}

#[test]
fn a_filter_pauses_what_runs() {
    let cli = Cli::new();
    let tagged = |id, directives: [&str; 1]| with(work(id, directives), json!({ "tags": ["t"] }));
    cli.start(tagged("a", ["hang"]));
    cli.start(tagged("b", ["hang"]));
    cli.start_and_wait(with(work("c", []), json!({ "tags": ["t"] })));
    cli.start(work("d", ["hang"]));
    let answer = cli.run("pause").payload(json!({ "tag": "t" })).ok();
    assert_eq!(answer["total"], 2);
    let paused = |id: &str| cli.task(id)["paused"].clone();
    assert_eq!(
        json!([paused("a"), paused("b"), paused("d")]),
        json!([true, true, false])
    );
    let answer = cli.run("resume").payload(json!({ "all": true })).ok();
    assert_eq!(answer["total"], 3);
    let none = cli.run("pause").payload(json!({ "tag": "none" })).ok();
    assert_eq!(
        json!([none["total"], none["outcome"]]),
        json!([0, "succeeded"])
    );
}

#[test]
fn a_supervisor_that_is_killed_with_a_wish_undone_is_followed_by_one_that_does_it() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    // It cannot heed the wish: it stands still itself.
    let supervisor = cli.supervisor("a");
    send(supervisor, Signal::SIGSTOP);
    let caller = cli.run("pause").payload(json!("a")).spawn();
    caller.await_asleep();
    send(supervisor, Signal::SIGKILL);
    let answer: Value = caller.finish().ok();
    assert_eq!(answer["task"]["paused"], true);
    assert_eq!(answer["task"]["supervised"], true);
}

#[test]
fn a_task_ends_with_its_owner() {
    let cli = Cli::new();
    let owner = pid_of(&cli.start(work("owner", ["hang"])));
    let restart = json!({ "policy": "always", "delay_ms": 1 });
    let more = json!({ "owner": { "pid": owner }, "restart": restart });
    let task = cli.start(with(work("a", ["fork", "hang"]), more));
    assert_eq!(task["owner"], json!({ "pid": owner }));
    cli.stop("owner");
    // Whom should a restart serve?
    assert_eq!(
        end_of(&cli.wait("a")),
        json!(["killed", null, "SIGTERM", "owner_gone"])
    );
    cli.await_no_processes();
}

#[test]
fn an_owner_that_ends_while_nobody_watches_is_noticed_by_who_takes_over() {
    let cli = Cli::new();
    let owner = pid_of(&cli.start(work("owner", ["hang"])));
    cli.start(with(
        work("a", ["hang"]),
        json!({ "owner": { "pid": owner } }),
    ));
    cli.lose_supervisor("a");
    cli.stop("owner");
    assert_eq!(cli.task("a")["status"], "running");
    cli.run("recover").ok();
    assert_eq!(cli.wait("a")["reason"], "owner_gone");
}

#[test]
fn an_owner_between_two_runs_counts_as_well() {
    let cli = Cli::new();
    let owner = pid_of(&cli.start(work("owner", ["hang"])));
    let restart = json!({ "policy": "always", "delay_ms": 600_000, "max_delay_ms": 600_000 });
    let more = json!({ "owner": { "pid": owner }, "restart": restart });
    cli.start(with(work("a", []), more));
    eventually(
        || cli.task("a")["next_start_at"].is_string(),
        "it backs off",
    );
    cli.stop("owner");
    assert_eq!(
        end_of(&cli.wait("a")),
        json!(["killed", null, null, "owner_gone"])
    );
}

#[test]
fn an_owner_must_be_alive() {
    let cli = Cli::new();
    let gone = cli.start_and_wait(script("gone", "echo $$"));
    assert_eq!(gone["status"], "exited");
    let pid: i32 = cli.log("gone").trim().parse().unwrap();
    for pid in [pid, 0, -5] {
        let payload = with(work("a", ["hang"]), json!({ "owner": { "pid": pid } }));
        let error = cli.run("start").payload(payload).err("CommandInputError");
        assert_eq!(error["details"]["field"], "owner.pid");
    }
    cli.run("status").payload(json!("a")).err("TaskNotFound");
    // In a container the harness may be the first process.
    cli.start(with(work("a", ["hang"]), json!({ "owner": { "pid": 1 } })));
}

#[test]
fn a_new_supervisor_sees_to_the_log_and_the_time_without_output() {
    let cli = Cli::new();
    let [go, fill] = ["go", "fill"].map(|name| cli.file(name));
    let directives = [
        "wait-file",
        &go,
        "print",
        "spoke",
        "wait-file",
        &fill,
        "fill",
        "300000",
        "hang",
    ];
    let limits = json!({ "idle_timeout_ms": 1500, "limits": { "log_bytes": 65536 } });
    let task = cli.start(with(work("a", directives), limits));
    cli.lose_supervisor("a");
    cli.run("recover").ok();
    // Half of the time is over when it speaks, so the whole of it begins anew.
    cli.start(with(work("clock", ["hang"]), json!({ "timeout_ms": 800 })));
    cli.wait("clock");
    cli.touch("go");
    cli.await_line("a", "spoke");
    cli.start(with(work("clock", ["hang"]), json!({ "timeout_ms": 900 })));
    cli.wait("clock");
    assert_eq!(cli.task("a")["pid"], task["pid"]);
    cli.touch("fill");
    eventually(
        || cli.task_file("a", "cut").exists(),
        "the oldest bytes are freed",
    );
    assert_eq!(cli.wait("a")["reason"], "idle");
}

#[test]
fn many_callers_at_once_do_not_end_it() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    for _ in 0..4 {
        let calls: Vec<_> = (0..8)
            .map(|_| cli.run("resume").payload(json!("a")).spawn())
            .collect();
        for call in calls {
            call.finish().ok();
        }
    }
    assert_eq!(cli.task("a")["status"], "running");
}

#[test]
fn a_wish_that_came_too_late_for_a_run_does_not_hold_up_the_next() {
    let cli = Cli::new();
    let go = cli.file("go");
    let restart = json!({ "policy": "on_failure", "delay_ms": 300 });
    let shell = format!("[ -e {go} ] && exit 0; touch {go}; exit 1");
    cli.start(with(script("a", &shell), json!({ "restart": restart })));
    eventually(
        || cli.task("a")["next_start_at"].is_string(),
        "it backs off",
    );
    // Whoever left it was killed before the signal that goes with it.
    let record = cli.record("a");
    let facts = &record["facts"];
    let want = json!({
        "version": record["version"], "generation": facts["generation"], "run": facts["run"],
        "seq": 1, "verb": "pause",
    });
    std::fs::write(cli.task_file("a", "want.json"), want.to_string()).unwrap();
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 0, null, null]));
}

#[test]
fn a_signal_reaches_what_is_being_stopped_and_does_not_hurry_it() {
    let cli = Cli::new();
    let shell = "trap 'echo asked' TERM; trap 'echo told; exit 4' USR1; echo ready; \
                 while :; do sleep 0.05; done";
    cli.start(with(
        script("a", shell),
        json!({ "stop": { "grace_ms": 100 } }),
    ));
    cli.await_line("a", "ready");
    let patient = json!({ "id": "a", "grace_ms": 600_000 });
    let stop = cli.run("stop").payload(patient).spawn();
    cli.await_line("a", "asked");
    let signal = json!({ "id": "a", "signal": "USR2", "to": "main" });
    let ignored = with(signal, json!({ "signal": "CONT" }));
    cli.run("signal").payload(ignored).ok();
    cli.run("signal")
        .payload(json!({ "id": "a", "signal": "USR1" }))
        .ok();
    let answer = stop.finish().ok();
    assert_eq!(
        end_of(&answer["task"]),
        json!(["killed", 4, null, "stop_requested"])
    );
    assert!(cli.log("a").ends_with("told\n"));
}

#[test]
fn a_main_process_that_has_ended_cannot_be_told() {
    let cli = Cli::new();
    let wait = json!({ "leftovers": "wait" });
    cli.start(with(script("a", "sleep 600 & exit 0"), wait));
    eventually(|| cli.commands().len() == 1, "the main process has ended");
    eventually(
        || !cli.record("a")["facts"]["state"]["running"]["main_exit"].is_null(),
        "which is on record",
    );
    let signal = json!({ "id": "a", "signal": "USR1" });
    cli.run("signal").payload(signal).err("TaskNotRunning");
    let signal = json!({ "id": "a", "signal": "USR1", "to": "tree" });
    cli.run("signal").payload(signal).ok();
    cli.wait("a");
}

#[test]
fn what_nobody_is_left_to_wait_for_is_done_by_who_takes_over() {
    for verb in ["pause", "stop"] {
        let cli = Cli::new();
        cli.start(work("a", ["hang"]));
        let supervisor = cli.supervisor("a");
        send(supervisor, Signal::SIGSTOP);
        let caller = cli.run(verb).payload(json!("a")).spawn();
        caller.await_asleep();
        caller.kill();
        send(supervisor, Signal::SIGKILL);
        eventually(|| crate::processes::has_ended(supervisor), "it is lost");
        cli.run("recover").ok();
        if verb == "pause" {
            eventually(|| cli.task("a")["paused"] == true, "it stands still");
        } else {
            assert_eq!(cli.wait("a")["reason"], "stop_requested");
        }
    }
}

#[test]
fn a_caller_does_not_take_another_supervisor_for_the_one_that_it_told() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let supervisor = cli.supervisor("a");
    send(supervisor, Signal::SIGSTOP);
    let caller = cli.run("pause").payload(json!("a")).spawn();
    caller.await_asleep();
    // It sleeps through the change of supervisors.
    send(caller.pid(), Signal::SIGSTOP);
    send(supervisor, Signal::SIGKILL);
    eventually(|| crate::processes::has_ended(supervisor), "it is lost");
    std::fs::remove_file(cli.task_file("a", "want.json")).unwrap();
    cli.run("recover").ok();
    send(caller.pid(), Signal::SIGCONT);
    assert_eq!(caller.finish().ok()["task"]["paused"], true);
}

#[test]
fn an_owner_that_ends_while_a_run_is_being_ended_counts_as_well() {
    let cli = Cli::new();
    let owner = pid_of(&cli.start(work("owner", ["hang"])));
    let more = json!({
        "owner": { "pid": owner },
        "restart": { "policy": "always", "delay_ms": 1 },
        "timeout_ms": 300,
        "stop": { "grace_ms": 600_000 },
    });
    let shell = "trap 'echo asked' TERM; while [ ! -e go ]; do sleep 0.05; done";
    let payload = with(script("a", shell), json!({ "workdir": cli.folder() }));
    cli.start(with(payload, more));
    cli.await_line("a", "asked");
    cli.stop("owner");
    cli.touch("go");
    let task = cli.wait("a");
    assert_eq!(
        json!([task["reason"], task["run"]]),
        json!(["owner_gone", 1])
    );
}
