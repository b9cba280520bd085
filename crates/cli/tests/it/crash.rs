//! Supervisors, callers and hosts that die at the worst moment, and records that are not what
//! they should be: every command gives the same honest answer, and everything can be cleaned up.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Cli, end_of, eventually, fields, fixture, pid_of, script, text, types, with, work,
};
use crate::processes;

/// Starts a task that prints `up`, and kills its supervisor.
fn lost_task<const N: usize>(cli: &Cli, id: &str, directives: [&str; N]) -> Value {
    let mut words = vec!["print", "up"];
    words.extend(directives);
    let task = cli.start(json!({ "id": id, "command": fixture(), "args": words }));
    cli.await_line(id, "up");
    cli.lose_supervisor(id);
    task
}

/// A task whose supervisor and command are both gone.
fn dead_task(cli: &Cli, id: &str) -> Value {
    let task = lost_task(cli, id, ["hang"]);
    kill_and_await(pid_of(&task));
    task
}

fn kill_and_await(pid: i32) {
    processes::send(pid, Signal::SIGKILL);
    eventually(|| processes::has_ended(pid), "it is dead");
}

/// The task as each command shows it, which must be the same everywhere.
#[track_caller]
fn agreed(cli: &Cli, id: &str) -> Value {
    let mut task = cli.task(id);
    let mut shown = vec![cli.run("list").payload(json!({ "ids": [id] })).ok()["tasks"][0].take()];
    let mut events = cli.run("events").text(id).ok();
    assert_eq!(events["frames"][0]["data"]["status"], task["status"]);
    shown.push(events["frames"][0]["data"]["task"].take());
    let waited = cli.run("wait").text(id).flags(["--timeout", "0"]).output();
    shown.push(if waited.status.success() {
        waited.ok()["task"].take()
    } else {
        waited.err("TaskWaitTimedOut")["details"]["task"].take()
    });
    // It goes on counting while the command runs.
    task["duration_ms"] = Value::Null;
    for mut other in shown {
        other["duration_ms"] = Value::Null;
        assert_eq!(other, task);
    }
    task
}

#[test]
fn a_command_outlives_its_supervisor_and_its_log_goes_on() {
    let cli = Cli::new();
    let go = cli.file("go");
    let before = lost_task(&cli, "a", ["wait-file", &go, "print", "still here", "hang"]);
    let task = agreed(&cli, "a");
    assert_eq!(
        (&task["status"], &task["supervised"]),
        (&json!("running"), &json!(false))
    );
    assert_eq!(task["pid"], before["pid"]);
    cli.touch("go");
    cli.await_line("a", "still here");
    let logs = cli.run("logs").text("a").ok();
    assert_eq!(
        (&logs["lines"], &logs["running"]),
        (&json!(["up", "still here"]), &json!(true))
    );
    assert_eq!(cli.list(json!({ "status": "running" })), ["a"]);
}

#[test]
fn a_wait_without_a_supervisor_ends_with_the_command() {
    let cli = Cli::new();
    let go = cli.file("go");
    lost_task(&cli, "a", ["wait-file", &go, "exit", "0"]);
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    cli.touch("go");
    let answer = waiter.finish().ok();
    assert_eq!(
        end_of(&answer["task"]),
        json!(["failed", null, null, "supervisor_lost"])
    );
    assert_eq!(agreed(&cli, "a")["status"], "failed");
}

#[test]
fn a_blocked_wait_is_woken_when_supervisor_and_command_die() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["hang"]));
    let waiters: Vec<_> = (0..3).map(|_| cli.run("wait").text("a").spawn()).collect();
    let follower = cli.run("events").text("a").flags(["--follow"]).spawn();
    waiters
        .iter()
        .for_each(crate::harness::Background::await_asleep);
    // Stopped, so that it cannot record the end of the command in between.
    let supervisor = cli.supervisor("a");
    processes::send(supervisor, Signal::SIGSTOP);
    kill_and_await(pid_of(&task));
    let died = Instant::now();
    processes::send(supervisor, Signal::SIGKILL);
    for waiter in waiters {
        let end = end_of(&waiter.finish().ok()["task"]);
        assert_eq!(end, json!(["failed", null, null, "supervisor_lost"]));
    }
    assert!(
        died.elapsed() < Duration::from_secs(10),
        "{:?}",
        died.elapsed()
    );
    let frames = follower.finish().frames();
    assert_eq!(types(&frames).last().unwrap(), "task.failed");
}

#[test]
fn supervisor_and_command_gone_is_told_by_every_command() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    let task = agreed(&cli, "a");
    assert_eq!(
        end_of(&task),
        json!(["failed", null, null, "supervisor_lost"])
    );
    assert_eq!(
        (&task["pid"], &task["supervised"]),
        (&Value::Null, &json!(false))
    );
    assert!(!text(&task["problem"]).is_empty());
    assert_eq!(cli.list(json!({ "status": "failed" })), ["a"]);
    cli.run("wait").text("a").flags(["--exit-code"]).exits(1);
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    assert_eq!(frames.last().unwrap()["type"], "task.failed");
    assert_eq!(frames.last().unwrap()["data"]["reason"], "supervisor_lost");
}

#[test]
fn a_new_generation_keeps_nothing_that_others_left_half_done() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["exit", "0"]));
    // As callers and supervisors leave it when they are killed before they rename it.
    let half_done = [
        "want.json.new",
        "after.json.new",
        "environ.new",
        "log.stderr.next",
        "supervisor.panic",
    ];
    for name in half_done {
        fs::write(cli.task_file("a", name), "half").unwrap();
    }
    cli.start_and_wait(work("a", ["exit", "0"]));
    for name in half_done {
        assert!(!cli.task_file("a", name).exists(), "{name}");
    }
}

#[test]
fn reading_a_lost_task_changes_nothing() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    let files = ["task.json", "events.ndjson", "end"].map(|name| cli.task_file("a", name));
    let before = files.clone().map(|path| fs::read(path).unwrap());
    agreed(&cli, "a");
    assert_eq!(before, files.map(|path| fs::read(path).unwrap()));
}

#[test]
fn stop_takes_over_a_lost_task_and_leaves_nothing() {
    let cli = Cli::new();
    lost_task(
        &cli,
        "a",
        [
            "daemon",
            "forks",
            "3",
            "thread-fork",
            "print",
            "forked",
            "hang",
        ],
    );
    cli.await_line("a", "forked");
    let end = json!(["killed", null, null, "stop_requested"]);
    assert_eq!(end_of(&cli.stop("a")), end);
    cli.assert_no_processes();
    assert_eq!(end_of(&agreed(&cli, "a")), end);
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    assert!(types(&frames).ends_with(&["task.stop_requested".into(), "task.killed".into()]));
}

#[test]
fn stop_takes_over_a_lost_tree_that_ignores_the_signal() {
    let cli = Cli::new();
    let directives = [
        "ignore", "TERM", "daemon", "forks", "20", "print", "forked", "hang",
    ];
    lost_task(&cli, "a", directives);
    cli.await_line("a", "forked");
    let asked = Instant::now();
    cli.run("stop")
        .payload(json!({ "id": "a", "grace_ms": 300 }))
        .ok();
    assert!(asked.elapsed() >= Duration::from_millis(300));
    cli.assert_no_processes();
}

#[test]
fn stops_of_a_lost_task_at_the_same_time_agree() {
    let cli = Cli::new();
    lost_task(&cli, "a", ["forks", "3", "hang"]);
    let calls: Vec<_> = (0..6).map(|_| cli.run("stop").text("a").spawn()).collect();
    for call in calls {
        assert_eq!(
            end_of(&call.finish().ok()["task"]),
            json!(["killed", null, null, "stop_requested"])
        );
    }
    cli.assert_no_processes();
}

#[test]
fn stop_ends_strays_of_a_lost_task_whose_command_is_gone() {
    let cli = Cli::new();
    let task = lost_task(&cli, "a", ["daemon", "fork", "print", "forked", "hang"]);
    cli.await_line("a", "forked");
    kill_and_await(pid_of(&task));
    assert_eq!(cli.commands().len(), 2, "the strays");
    assert_eq!(
        end_of(&agreed(&cli, "a")),
        json!(["failed", null, null, "supervisor_lost"])
    );
    let task = cli.stop("a");
    assert!(
        ["failed", "killed"].contains(&text(&task["status"]).as_str()),
        "{task}"
    );
    cli.assert_no_processes();
}

#[test]
fn a_stop_that_was_asked_for_before_the_supervisor_died_can_be_repeated() {
    let cli = Cli::new();
    cli.start(work("a", ["ignore", "TERM", "print", "up", "hang"]));
    cli.await_line("a", "up");
    let first = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": 600_000 }))
        .spawn();
    let asked = || cli.task_file("a", "want.json").exists();
    eventually(asked, "the wish is left");
    cli.lose_supervisor("a");
    drop(first);
    let task = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok()["task"]
        .take();
    assert_eq!(
        end_of(&task),
        json!(["killed", null, null, "stop_requested"])
    );
    cli.assert_no_processes();
}

#[test]
fn a_lost_task_can_be_restarted() {
    let cli = Cli::new();
    let before = lost_task(&cli, "a", ["daemon", "fork", "print", "forked", "hang"]);
    cli.await_line("a", "forked");
    let answer = cli.run("restart").text("a").ok();
    let task = &answer["task"];
    assert_eq!(
        (&task["status"], &task["supervised"]),
        (&json!("running"), &json!(true))
    );
    assert_eq!(
        (&task["run"], &task["restart_count"]),
        (&json!(2), &json!(1))
    );
    assert!(!processes::is_alive(pid_of(&before)));
    let second_run = || cli.log("a").matches("forked").count() == 2;
    eventually(second_run, "the log goes on");
    // Main, daemon and fork of this run; nothing of the one before.
    assert_eq!(cli.commands().len(), 3);
    assert_eq!(end_of(&cli.stop("a"))[2], "SIGTERM");
}

#[test]
fn a_dead_task_can_be_restarted_and_started_anew() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    assert_eq!(
        cli.run("restart").text("a").ok()["task"]["restart_count"],
        1
    );
    assert_eq!(cli.log("a").lines().next(), Some("up"));
    cli.stop("a");
    dead_task(&cli, "b");
    assert_eq!(
        cli.start_and_wait(work("b", ["print", "new"]))["status"],
        "exited"
    );
    assert_eq!(cli.log("b"), "new\n");
}

#[test]
fn a_start_knows_that_a_lost_task_still_runs() {
    let cli = Cli::new();
    let before = lost_task(&cli, "a", ["hang"]);
    cli.run("start")
        .payload(work("a", ["hang"]))
        .err("TaskAlreadyRunning");
    let again = |how: &str| with(work("a", ["hang"]), json!({ "if_running": how }));
    assert_eq!(cli.start(again("reuse"))["pid"], before["pid"]);
    assert_ne!(cli.start(again("restart"))["pid"], before["pid"]);
    assert!(!processes::is_alive(pid_of(&before)));
    assert_eq!(cli.task("a")["supervised"], true);
}

#[test]
fn a_start_of_a_lost_id_first_ends_its_strays() {
    let cli = Cli::new();
    let task = lost_task(&cli, "a", ["daemon", "print", "forked", "hang"]);
    cli.await_line("a", "forked");
    kill_and_await(pid_of(&task));
    cli.start(work("a", ["hang"]));
    assert_eq!(cli.commands().len(), 1, "nothing older");
}

#[test]
fn a_supervisor_that_dies_while_the_task_waits_for_leftovers_is_no_end() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!("(while ! test -e {go}; do sleep 0.01; done; echo done) & exit 3");
    cli.start(with(script("a", &shell), json!({ "leftovers": "wait" })));
    eventually(
        || cli.task("a")["pid"] == Value::Null,
        "the main process has ended",
    );
    cli.lose_supervisor("a");
    let task = agreed(&cli, "a");
    assert_eq!(
        (&task["status"], &task["supervised"]),
        (&json!("running"), &json!(false))
    );
    let waiter = cli.run("wait").text("a").spawn();
    waiter.await_asleep();
    cli.touch("go");
    // How the main process ended was on record already.
    assert_eq!(
        end_of(&waiter.finish().ok()["task"]),
        json!(["exited", 3, null, null])
    );
}

/// A task that has ended with 3, a process that it left, and no supervisor to end that.
fn ended_task_with_a_stray(cli: &Cli) {
    let settings = json!({ "stop": { "grace_ms": 600_000 } });
    let directives = ["ignore", "TERM", "fork", "exit", "3"];
    cli.start_and_wait(with(work("a", directives), settings));
    cli.lose_supervisor("a");
    assert_eq!(cli.commands().len(), 1, "the stray");
}

#[test]
fn stop_ends_strays_of_a_task_that_ended_before_its_supervisor_died() {
    let cli = Cli::new();
    ended_task_with_a_stray(&cli);
    let answer = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok();
    assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    cli.assert_no_processes();
}

#[test]
fn starting_again_ends_strays_of_a_task_that_ended_before_its_supervisor_died() {
    for verb in ["restart", "start"] {
        let cli = Cli::new();
        ended_task_with_a_stray(&cli);
        cli.edit_record("a", |record| {
            record["spec"]["stop"]["grace_ms"] = json!(100);
        });
        let stray = cli.processes();
        let payload = if verb == "start" {
            work("a", ["hang"])
        } else {
            json!({ "id": "a" })
        };
        assert_eq!(
            cli.run(verb).payload(payload).ok()["task"]["status"],
            "running"
        );
        let left = stray.into_iter().any(processes::is_alive);
        assert!(!left, "{verb}: old and new live side by side");
    }
}

/// Makes it look as if the machine had been started anew since the record was written.
fn reboot(cli: &Cli, id: &str) {
    cli.edit_record(id, |record| {
        record["facts"]["boot_id"] = json!("00000000-0000-4000-8000-000000000000");
    });
}

#[test]
fn a_task_of_another_boot_is_told_as_such_and_can_go_on() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    reboot(&cli, "a");
    let task = agreed(&cli, "a");
    assert_eq!(
        end_of(&task),
        json!(["failed", null, null, "host_rebooted"])
    );
    assert_eq!(
        end_of(&cli.stop("a"))[3],
        "host_rebooted",
        "stop has nothing to stop"
    );
    let restarted = cli.run("restart").text("a").ok();
    assert_eq!(restarted["task"]["restart_count"], 1);
    assert_eq!(end_of(&cli.stop("a"))[0], "killed");
}

/// A process that belongs to no task.
struct Bystander(std::process::Child);

impl Bystander {
    fn new() -> Self {
        let mut command = Command::new(fixture());
        command
            .arg("hang")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_got_a_used_pid_is_left_alone() {
    let cli = Cli::new();
    let bystander = Bystander::new();
    let started = processes::start_time(bystander.pid());
    for (id, other_boot, start_time) in [("pid", false, started - 1), ("boot", true, started)] {
        dead_task(&cli, id);
        cli.edit_record(id, |record| {
            let main = json!({ "pid": bystander.pid(), "start_time": start_time });
            record["facts"]["state"]["running"]["main"] = main;
        });
        if other_boot {
            reboot(&cli, id);
        }
        assert_eq!(agreed(&cli, id)["status"], "failed");
        assert_eq!(cli.stop(id)["status"], "failed");
        cli.run("restart").text(id).ok();
        cli.stop(id);
        assert!(processes::is_alive(bystander.pid()), "{id}");
    }
}

#[test]
fn a_recorded_pid_with_another_start_time_is_not_the_command() {
    let cli = Cli::new();
    let task = lost_task(&cli, "a", ["hang"]);
    cli.edit_record("a", |record| {
        let main = &mut record["facts"]["state"]["running"]["main"];
        main["start_time"] = json!(main["start_time"].as_u64().unwrap() - 1);
    });
    assert_eq!(
        end_of(&agreed(&cli, "a")),
        json!(["failed", null, null, "supervisor_lost"])
    );
    // Its environment tells that it belongs to this very run.
    cli.stop("a");
    assert!(!processes::is_alive(pid_of(&task)));
}

/// Each way in which a record can be of no use, and a healthy neighbour.
fn damage(cli: &Cli, content: &[u8]) {
    cli.start_and_wait(work("good", ["exit", "1"]));
    cli.start_and_wait(work("bad", ["print", "kept"]));
    cli.await_no_supervisor("bad");
    fs::write(cli.task_file("bad", "task.json"), content).unwrap();
}

#[test]
fn a_damaged_record_hurts_its_own_task_only() {
    for content in [
        &b""[..],
        b"{\"trunc",
        b"[]",
        b"{\"version\":1}",
        b"\xff\xfe",
        b"null",
    ] {
        let cli = Cli::new();
        damage(&cli, content);
        assert_eq!(
            cli.list(json!({})),
            ["good", "bad"],
            "no time is known of the damaged one"
        );
        assert_eq!(agreed(&cli, "good")["exit_code"], 1);
        let task = agreed(&cli, "bad");
        assert_eq!(
            end_of(&task),
            json!(["failed", null, null, "record_corrupt"])
        );
        assert_eq!(cli.run("logs").text("bad").ok()["lines"], json!(["kept"]));
        assert_eq!(cli.stop("bad")["status"], "failed");
        cli.run("restart").text("bad").err("StoreError");
        let all = cli.run("stop").payload(json!({ "all": true })).ok();
        assert_eq!(all["total"], 2);
        assert_eq!(
            cli.start_and_wait(work("bad", ["exit", "5"]))["exit_code"],
            5
        );
    }
}

#[test]
fn a_record_of_another_task_is_not_believed() {
    let cli = Cli::new();
    damage(&cli, b"");
    fs::copy(
        cli.task_file("good", "task.json"),
        cli.task_file("bad", "task.json"),
    )
    .unwrap();
    assert_eq!(agreed(&cli, "bad")["reason"], "record_corrupt");
}

#[test]
fn a_failed_start_leaves_a_damaged_record_as_it_was() {
    let cli = Cli::new();
    damage(&cli, b"{\"trunc");
    let payload = json!({ "id": "bad", "command": "/no/such/program" });
    cli.run("start").payload(payload).err("SpawnFailed");
    assert_eq!(
        fs::read(cli.task_file("bad", "task.json")).unwrap(),
        b"{\"trunc"
    );
    assert_eq!(cli.log("bad"), "kept\n");
}

#[test]
fn a_record_of_a_newer_build_is_refused_and_never_overwritten() {
    let cli = Cli::new();
    let newer = br#"{"version":9,"id":"bad","something":"else"}"#;
    damage(&cli, newer);
    let task = agreed(&cli, "bad");
    assert_eq!(
        (&task["status"], &task["reason"]),
        (&json!("failed"), &json!("record_corrupt"))
    );
    assert!(text(&task["problem"]).contains('9'), "{task}");
    for verb in ["start", "restart", "stop"] {
        let payload = if verb == "start" {
            work("bad", [])
        } else {
            json!({ "id": "bad" })
        };
        let error = cli.run(verb).payload(payload).err("Unsupported");
        assert!(text(&error["message"]).contains('9'), "{error}");
    }
    let replace = with(work("bad", []), json!({ "if_running": "restart" }));
    cli.run("start").payload(replace).err("Unsupported");
    cli.run("stop").payload(json!({ "all": true })).output();
    assert_eq!(fs::read(cli.task_file("bad", "task.json")).unwrap(), newer);
    assert_eq!(cli.log("bad"), "kept\n");
}

#[test]
fn a_record_that_is_damaged_while_the_task_runs_is_mended_by_its_end() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("a", ["wait-file", &go, "exit", "3"]));
    fs::write(cli.task_file("a", "task.json"), "{\"trunc").unwrap();
    assert_eq!(cli.task("a")["reason"], "record_corrupt");
    cli.run("start")
        .payload(work("a", []))
        .err("TaskAlreadyRunning");
    cli.touch("go");
    cli.await_no_supervisor("a");
    assert_eq!(end_of(&agreed(&cli, "a")), json!(["exited", 3, null, null]));
}

#[test]
fn a_task_with_a_damaged_record_can_be_stopped() {
    let cli = Cli::new();
    cli.start(work("a", ["forks", "3", "hang"]));
    fs::write(cli.task_file("a", "task.json"), "").unwrap();
    cli.run("stop").text("a").ok();
    cli.assert_no_processes();
    assert_eq!(
        end_of(&cli.task("a")),
        json!(["killed", null, "SIGTERM", "stop_requested"])
    );
}

/// A task that ended with 3, and its record from while it ran.
fn ended_task_with_a_stale_record(cli: &Cli) {
    let go = cli.file("go");
    cli.start(work("a", ["print", "up", "wait-file", &go, "exit", "3"]));
    let stale = fs::read(cli.task_file("a", "task.json")).unwrap();
    cli.touch("go");
    cli.wait("a");
    cli.await_no_supervisor("a");
    fs::write(cli.task_file("a", "task.json"), stale).unwrap();
}

#[test]
fn an_end_that_did_not_get_into_the_record_is_believed() {
    let cli = Cli::new();
    ended_task_with_a_stale_record(&cli);
    assert_eq!(end_of(&agreed(&cli, "a")), json!(["exited", 3, null, null]));
    assert_eq!(cli.run("logs").text("a").ok()["running"], false);
    assert_eq!(end_of(&cli.stop("a"))[0], "exited");
    assert_eq!(
        cli.run("restart").text("a").ok()["task"]["restart_count"],
        1
    );
    assert_eq!(cli.wait("a")["exit_code"], 3);
}

#[test]
fn an_end_that_got_nowhere_else_is_the_last_event() {
    let cli = Cli::new();
    ended_task_with_a_stale_record(&cli);
    let journal = cli.task_file("a", "events.ndjson");
    let all = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, all.lines().next().unwrap().to_owned() + "\n").unwrap();
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    let expected = [
        "task.status.snapshot",
        "task.started",
        "task.log.line",
        "task.exited",
    ];
    assert_eq!(types(&frames), expected);
    assert_eq!(frames[3]["data"]["exit_code"], 3);
}

#[test]
fn a_torn_end_is_not_believed() {
    let cli = Cli::new();
    ended_task_with_a_stale_record(&cli);
    let end = fs::File::options()
        .write(true)
        .open(cli.task_file("a", "end"))
        .unwrap();
    end.write_all_at(b"#", 40).unwrap();
    assert_eq!(
        end_of(&agreed(&cli, "a")),
        json!(["failed", null, null, "supervisor_lost"])
    );
}

#[test]
fn the_end_of_another_run_is_not_believed() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["exit", "3"]));
    cli.await_no_supervisor("a");
    let old_end = fs::read(cli.task_file("a", "end")).unwrap();
    dead_task(&cli, "a");
    fs::write(cli.task_file("a", "end"), old_end).unwrap();
    assert_eq!(
        end_of(&agreed(&cli, "a")),
        json!(["failed", null, null, "supervisor_lost"])
    );
}

#[test]
fn a_torn_journal_loses_the_torn_line_only() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    let journal = cli.task_file("a", "events.ndjson");
    let mut torn = fs::read(&journal).unwrap();
    torn.extend(b"{\"version\":1,\"number\":2,\"ti");
    fs::write(&journal, torn).unwrap();
    cli.run("restart").text("a").ok();
    cli.stop("a");
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let names: Vec<_> = types(&frames)
        .into_iter()
        .filter(|name| name != "task.log.line")
        .collect();
    let started = names.iter().filter(|name| *name == "task.started").count();
    assert_eq!(
        (started, names.last().unwrap().as_str()),
        (2, "task.killed"),
        "{names:?}"
    );
}

/// Numbers that differ from run to run (a fixed sequence would always try the same moments).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(now.unwrap().as_nanos() as u64 | 1)
    }
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How long one start takes on this machine just now.
fn time_of_a_start(cli: &Cli) -> Duration {
    let begun = Instant::now();
    cli.start(work("first", ["hang"]));
    begun.elapsed()
}

/// After starts of `k0`, `k1`, … were disturbed: each of them is absent or understood, every
/// process belongs to a task, and all ids can be used.
fn check_that_all_is_in_order(cli: &Cli, rounds: usize) {
    let tasks = cli.run("list").payload(json!({ "limit": 100_000 })).ok();
    for task in tasks["tasks"].as_array().unwrap() {
        let status = text(&task["status"]);
        let known = ["running", "exited", "killed", "failed"].contains(&status.as_str());
        // A supervisor may still be at it.
        assert!(
            known || status == "starting" && task["supervised"] == true,
            "{task}"
        );
        assert!(task["reason"] != "record_corrupt", "{task}");
        agreed_or_changing(cli, &text(&task["id"]));
    }
    let all = json!({ "all": true, "grace_ms": 0 });
    let stopped = cli
        .run("stop")
        .payload(all)
        .flags(["--concurrency", "8"])
        .ok();
    assert_eq!(stopped["outcome"], "succeeded");
    cli.await_no_processes();
    let left = cli
        .run("list")
        .payload(json!({ "status": ["starting", "running"] }))
        .ok();
    assert_eq!(left["total"], 0, "{left}");
    let again: Vec<_> = (0..rounds)
        .map(|round| work(&format!("k{round}"), []))
        .collect();
    let flags = ["--wait", "--concurrency", "8"];
    let answer = cli
        .run("start")
        .stdin(json!(again).to_string())
        .flags(flags)
        .ok();
    assert_eq!(answer["success_count"], rounds);
}

fn agreed_or_changing(cli: &Cli, id: &str) {
    let answer = cli.run("status").text(id).output();
    assert!(fields(&answer.ok()).contains(&"task"));
}

#[test]
fn a_caller_may_be_killed_at_any_moment_of_a_start() {
    const ROUNDS: usize = 200;
    let cli = Cli::new();
    let whole = time_of_a_start(&cli).as_micros() as u64;
    let mut dice = Dice::new();
    for round in 0..ROUNDS {
        let directives = if round % 2 == 0 { ["hang"] } else { ["fork"] };
        let call = cli
            .run("start")
            .payload(work(&format!("k{round}"), directives))
            .spawn();
        let moment = Instant::now() + Duration::from_micros(dice.below(whole * 3 / 2));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        call.kill();
    }
    check_that_all_is_in_order(&cli, ROUNDS);
}

#[test]
fn a_supervisor_may_be_killed_at_any_moment_of_a_start() {
    const ROUNDS: usize = 40;
    let cli = Cli::new();
    let mut dice = Dice::new();
    for round in 0..ROUNDS {
        let id = format!("k{round}");
        let call = cli.run("start").payload(work(&id, ["hang"])).spawn();
        let folder = cli.task_file(&id, "");
        // The first process there is the supervisor, whether it has its lock yet or not.
        let supervisor = eventually(|| first_process_in(&cli, &folder), "there is a supervisor");
        let moment = Instant::now() + Duration::from_micros(dice.below(3000));
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        processes::send(supervisor, Signal::SIGKILL);
        let outcome = call.finish();
        if !outcome.status.success() {
            let error = outcome.err("SpawnFailed");
            assert_eq!(error["details"]["step"], "supervisor");
        }
    }
    check_that_all_is_in_order(&cli, ROUNDS);
}

#[test]
fn a_command_that_outlives_the_supervisor_that_could_not_answer_has_begun() {
    let cli = Cli::new();
    let kills = cli.file("kills");
    let shell = format!("[ -e '{kills}' ] && kill -9 $PPID; exec sleep 1000");
    cli.start(script("restarted", &shell));
    cli.touch("kills");
    let started = cli.start(script("started", &shell));
    let restarted = cli.run("restart").text("restarted").ok()["task"].take();
    for task in [started, restarted] {
        // It has got another one, and is on record.
        let stands = ["status", "supervised"].map(|field| task[field].clone());
        assert_eq!(stands, [json!("running"), json!(true)], "{task}");
        let id = task["id"].as_str().unwrap();
        assert_eq!(agreed(&cli, id)["run"], task["run"]);
        assert_eq!(cli.stop(id)["reason"], "stop_requested");
    }
    cli.assert_no_processes();
}

fn first_process_in(cli: &Cli, folder: &std::path::Path) -> Option<i32> {
    let is_there = |&pid: &i32| processes::working_directory(pid).is_some_and(|at| at == folder);
    cli.processes().into_iter().find(is_there)
}

#[test]
fn what_a_killed_caller_left_is_no_task() {
    let cli = Cli::new();
    cli.start_and_wait(work("other", []));
    fs::create_dir(cli.task_file("a", "")).unwrap();
    fs::write(cli.task_file("a", "task.json.new"), "{\"trunc").unwrap();
    cli.run("status").text("a").err("TaskNotFound");
    assert_eq!(cli.list(json!({})), ["other"]);
    assert_eq!(cli.start_and_wait(work("a", ["exit", "2"]))["exit_code"], 2);
}

#[test]
fn a_recorded_start_without_a_supervisor_is_told_as_lost() {
    let cli = Cli::new();
    dead_task(&cli, "a");
    cli.edit_record("a", |record| record["facts"]["state"] = json!("starting"));
    assert_eq!(
        end_of(&agreed(&cli, "a")),
        json!(["failed", null, null, "supervisor_lost"])
    );
    assert_eq!(cli.start_and_wait(work("a", ["exit", "2"]))["exit_code"], 2);
}

#[test]
fn a_command_whose_start_was_never_recorded_is_found() {
    let cli = Cli::new();
    let task = lost_task(&cli, "a", ["hang"]);
    cli.edit_record("a", |record| record["facts"]["state"] = json!("starting"));
    let found = agreed(&cli, "a");
    assert_eq!(
        (&found["status"], &found["supervised"]),
        (&json!("running"), &json!(false))
    );
    assert_eq!(found["pid"], task["pid"]);
    assert_eq!(
        end_of(&cli.stop("a")),
        json!(["killed", null, null, "stop_requested"])
    );
    cli.assert_no_processes();
}
