//! Commands that run in a terminal.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, script, text, with};
use crate::processes;

fn shown(id: &str, shell: &str) -> Value {
    with(script(id, shell), json!({ "pty": true }))
}

fn type_in(cli: &Cli, id: &str, keys: &str) -> Value {
    let payload = json!({ "id": id, "text": keys });
    cli.run("send").payload(payload).ok()
}

/// How many descriptors of a process lead to a terminal or to the input of a task.
fn of_terminals(pid: i32) -> usize {
    let open = processes::descriptors(pid);
    let is_one = |at: &str| at.contains("ptmx") || at.contains("/pts/") || at.ends_with("/stdin");
    open.iter()
        .filter(|(_, at)| is_one(&at.to_string_lossy()))
        .count()
}

#[test]
fn it_is_a_terminal_in_every_respect() {
    let cli = Cli::new();
    let tests = "test -t 0 && test -t 1 && test -t 2 && echo three; echo controls >/dev/tty; \
        stty size; echo $TERM; ps -o tpgid= -p $$ | grep -qw $$ && echo foreground";
    let payload = with(
        shown("a", tests),
        json!({ "pty": { "cols": 100, "rows": 30 } }),
    );
    let call = cli.run("start").payload(payload).env("TERM", "dumb");
    let task = call.flags(["--wait"]).ok()["task"].take();
    assert_eq!(task["pty"], json!({ "cols": 100, "rows": 30 }));
    assert_eq!(
        cli.log("a"),
        "three\r\ncontrols\r\n30 100\r\nxterm-256color\r\nforeground\r\n"
    );
    let own = json!({ "env": { "TERM": "vt100" } });
    let task = cli.start_and_wait(with(shown("b", "stty size; echo $TERM"), own));
    assert_eq!(task["pty"], json!({ "cols": 80, "rows": 24 }));
    assert_eq!(cli.log("b"), "24 80\r\nvt100\r\n");
    let limits = json!({ "limits": { "open_files": 64 } });
    cli.start_and_wait(with(
        shown("c", "ulimit -n; echo controls >/dev/tty"),
        limits,
    ));
    assert_eq!(cli.log("c"), "64\r\ncontrols\r\n");
}

#[test]
fn a_program_that_cannot_be_executed_is_told_and_leaves_nothing() {
    let cli = Cli::new();
    let payload = json!({ "id": "a", "command": "/no/such", "pty": true });
    let error = cli.run("start").payload(payload).err("SpawnFailed");
    assert_eq!(error["details"]["step"], "exec");
    cli.run("status").text("a").err("TaskNotFound");
}

#[test]
fn what_is_sent_is_typed_and_echoed() {
    let cli = Cli::new();
    cli.start(shown("a", "echo ready; exec cat"));
    cli.await_line("a", "ready");
    assert_eq!(type_in(&cli, "a", "one\n")["written_bytes"], 4);
    // Echoed, then printed.
    eventually(|| cli.log("a") == "ready\r\none\r\none\r\n", "it is typed");
    let payload = json!({ "id": "a", "text": "two", "eof": true });
    let answer = cli.run("send").payload(payload).ok();
    assert_eq!(
        (&answer["written_bytes"], &answer["eof"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(cli.wait("a")["exit_code"], 0);
    assert!(
        cli.log("a").starts_with("ready\r\none\r\none\r\ntwotwo"),
        "{:?}",
        cli.log("a")
    );
}

#[test]
fn the_end_alone_ends_cat_and_interrupt_is_a_key() {
    let cli = Cli::new();
    cli.start(shown("a", "exec cat"));
    let end = json!({ "id": "a", "eof": true });
    cli.run("send").payload(end).ok();
    assert_eq!(cli.wait("a")["exit_code"], 0);
    cli.start(shown("b", "echo ready; exec cat"));
    cli.await_line("b", "ready");
    type_in(&cli, "b", "\u{3}");
    assert_eq!(cli.wait("b")["signal"], "SIGINT");
}

#[test]
fn all_that_was_shown_is_in_the_log_when_the_end_is_told() {
    let cli = Cli::new();
    for round in 0..10 {
        let id = format!("a{round}");
        cli.start_and_wait(shown(&id, "seq 1 3000; printf last"));
        let expected: String = (1..=3000).map(|n| format!("{n}\r\n")).collect();
        assert!(cli.log(&id) == format!("{expected}last"), "round {round}");
    }
    cli.start_and_wait(shown("much", "seq 1 300000"));
    let log = cli.log("much");
    assert_eq!(log.lines().count(), 300_000);
    let in_order = log.lines().zip(1..).all(|(line, n)| line == n.to_string());
    assert!(in_order);
}

#[test]
fn leftovers_that_keep_the_terminal_do_not_delay_the_end() {
    let cli = Cli::new();
    let task = cli.start_and_wait(shown(
        "a",
        "trap '' HUP; yes >/dev/tty & echo started; exit 5",
    ));
    assert_eq!(task["exit_code"], 5);
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
}

#[test]
fn a_command_that_writes_without_pause_can_be_stopped_and_typed_to() {
    let cli = Cli::new();
    let limits = json!({ "limits": { "log_bytes": 1 << 20 } });
    cli.start(with(shown("a", "exec yes"), limits.clone()));
    let length = || fs::metadata(cli.task_file("a", "log")).unwrap().len();
    eventually(|| length() > 1 << 20, "it writes");
    assert_eq!(cli.task("a")["status"], "running");
    assert_eq!(cli.stop("a")["reason"], "stop_requested");
    cli.start(with(shown("b", "exec yes"), limits));
    type_in(&cli, "b", "\u{3}");
    assert_eq!(cli.wait("b")["signal"], "SIGINT");
    cli.assert_no_processes();
}

#[test]
fn what_a_terminal_has_no_room_for_waits() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!(
        "stty -echo; echo ready; while [ ! -e '{go}' ]; do sleep 0.01; done; head -c 1048576 | wc -c"
    );
    cli.start(shown("a", &shell));
    cli.await_line("a", "ready");
    let data = "fedcba987654321\n".repeat(1 << 16);
    let payload = json!({ "id": "a", "text": data }).to_string();
    let call = cli
        .run("send")
        .stdin(payload.clone())
        .flags(["--timeout", "0.3"]);
    let error = call.err("TaskWaitTimedOut");
    let written = error["details"]["written_bytes"].as_u64().unwrap();
    assert!(0 < written && written < 1 << 20, "{written}");
    cli.await_rest("a");
    let at = usize::try_from(written).unwrap();
    let rest = json!({ "id": "a", "text": data[at..] }).to_string();
    let sending = cli.run("send").stdin(rest).spawn();
    sending.await_asleep();
    cli.touch("go");
    sending.finish().ok();
    cli.wait("a");
    assert_eq!(cli.log("a").lines().last().unwrap().trim(), "1048576");
}

#[test]
fn the_terminal_is_given_back_when_the_run_has_ended() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!("stty size; while [ ! -e '{go}' ]; do sleep 0.01; done");
    let again = json!({ "restart": { "policy": "always", "delay_ms": 60000 } });
    cli.start(with(shown("a", &shell), again));
    let supervisor = cli.supervisor("a");
    // Its side, and both ends of the FIFO.
    assert_eq!(of_terminals(supervisor), 3);
    cli.touch("go");
    eventually(|| cli.task("a")["next_start_at"].is_string(), "it waits");
    assert_eq!(cli.supervisor("a"), supervisor);
    eventually(|| of_terminals(supervisor) == 0, "the terminal is released");
    fs::remove_file(&go).unwrap();
    cli.run("restart").text("a").ok();
    eventually(
        || cli.log("a") == "24 80\r\n24 80\r\n",
        "the next run has one too",
    );
}

#[test]
fn a_command_that_closes_its_terminal_goes_on() {
    let cli = Cli::new();
    let shell = "exec </dev/null >/dev/null 2>&1; sleep 0.2; echo back >/dev/tty; exec sleep 60";
    cli.start(shown("a", shell));
    cli.await_line("a", "back");
    assert_eq!(cli.task("a")["status"], "running");
}

#[test]
fn with_its_supervisor_the_terminal_hangs_up() {
    let cli = Cli::new();
    cli.start(shown("a", "exec sleep 600"));
    let main = i32::try_from(cli.task("a")["pid"].as_i64().unwrap()).unwrap();
    cli.lose_supervisor("a");
    eventually(|| processes::has_ended(main), "it gets SIGHUP");
    let task = cli.task("a");
    assert_eq!(
        (&task["status"], text(&task["reason"])),
        (&json!("failed"), "supervisor_lost".into())
    );
    cli.start(shown(
        "b",
        "trap '' HUP; echo ready; while :; do sleep 0.01; done",
    ));
    cli.await_line("b", "ready");
    cli.lose_supervisor("b");
    let keys = json!({ "id": "b", "text": "x\n" });
    let error = cli.run("send").payload(keys).err("TaskNotRunning");
    assert_eq!(error["details"]["reason"], "supervisor_lost");
    cli.stop("b");
    cli.assert_no_processes();
}

#[test]
fn a_resting_terminal_costs_nothing() {
    let cli = Cli::new();
    cli.start(shown("a", "echo ready; exec cat"));
    cli.await_line("a", "ready");
    cli.await_rest("a");
    type_in(&cli, "a", "one\n");
    cli.await_line("a", "one");
    cli.await_rest("a");
}
