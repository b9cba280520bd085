//! What a command reads: nothing, a text, a file, or what is sent to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Background, Cli, eventually, script, text, with, work};
use crate::processes;

fn reading(id: &str, shell: &str, stdin: Value) -> Value {
    with(script(id, shell), json!({ "stdin": stdin }))
}

fn open(id: &str, shell: &str) -> Value {
    reading(id, shell, json!("open"))
}

/// A script that does something once a file is there.
fn once(cli: &Cli, file: &str, then: &str) -> String {
    let file = cli.file(file);
    format!("while [ ! -e '{file}' ]; do sleep 0.01; done; {then}")
}

fn send(cli: &Cli, id: &str, line: &str) -> Value {
    let payload = json!({ "id": id, "text": line });
    cli.run("send").payload(payload).ok()
}

fn eof(cli: &Cli, id: &str) -> Value {
    let payload = json!({ "id": id, "eof": true });
    cli.run("send").payload(payload).ok()
}

/// Waits until a sender waits for the reader of a task.
fn await_full(cli: &Cli, id: &str, sending: &Background) {
    let fifo = cli.task_file(id, "stdin");
    let pid = sending.pid();
    let has_opened = || {
        let open = processes::descriptors(pid);
        open.iter().any(|(_, at)| *at == fifo)
    };
    eventually(
        || has_opened() && processes::is_asleep(pid),
        "the FIFO is full",
    );
}

#[track_caller]
fn refused(cli: &Cli, payload: Value, kind: &str, reason: &str) -> Value {
    let error = cli.run("send").payload(payload).err(kind);
    assert_eq!(error["details"]["reason"], reason, "{error}");
    error
}

#[test]
fn nothing_is_read_unless_asked() {
    let cli = Cli::new();
    let task = cli.start_and_wait(script("a", "readlink /proc/self/fd/0; cat; echo end"));
    assert_eq!(task["stdin"], "null");
    assert_eq!(cli.log("a"), "/dev/null\nend\n");
}

#[test]
fn a_text_is_read_to_its_end_and_told_to_nobody() {
    let cli = Cli::new();
    let secret = "hunter2 é\n";
    let payload = reading("a", "cat; echo end", json!({ "text": secret }));
    let task = cli.run("start").stdin(payload.to_string()).ok()["task"].take();
    assert_eq!(task["stdin"], json!({ "text": "***" }));
    cli.wait("a");
    assert_eq!(cli.log("a"), format!("{secret}end\n"));
    for name in ["task.json", "events.ndjson"] {
        let content = fs::read_to_string(cli.task_file("a", name)).unwrap();
        assert!(!content.contains("hunter2"), "{name}: {content}");
    }
    let kept = fs::metadata(cli.task_file("a", "stdin.text")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    // Each run reads it from its beginning.
    cli.run("restart").text("a").ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), format!("{secret}end\n").repeat(2));
}

#[test]
fn a_long_text_is_neither_in_the_record_nor_in_the_way() {
    let cli = Cli::new();
    let long = "0123456789abcde\n".repeat(1 << 18);
    let payload = reading("a", "wc -c; cat", json!({ "text": long }));
    let answer = cli
        .run("start")
        .stdin(payload.to_string())
        .flags(["--wait"]);
    assert_eq!(answer.ok()["task"]["status"], "exited");
    assert_eq!(cli.log("a").trim(), (4 << 20).to_string());
    assert!(fs::metadata(cli.task_file("a", "task.json")).unwrap().len() < 4096);
    // A command that does not read it is not kept from ending.
    let payload = reading("b", "exit 3", json!({ "text": long }));
    let answer = cli
        .run("start")
        .stdin(payload.to_string())
        .flags(["--wait"]);
    assert_eq!(answer.ok()["task"]["exit_code"], 3);
}

#[test]
fn the_text_of_a_start_that_fails_leaves_the_earlier_one_as_it_was() {
    let cli = Cli::new();
    cli.start_and_wait(reading("a", "cat", json!({ "text": "first" })));
    cli.await_no_supervisor("a");
    let failing = json!({ "id": "a", "command": "/no/such", "stdin": { "text": "second" } });
    cli.run("start").payload(failing).err("SpawnFailed");
    let folder = cli.task_file("a", "");
    let names = fs::read_dir(folder).unwrap();
    let texts = names
        .filter(|name| {
            let name = name.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with("stdin")
        })
        .count();
    assert_eq!(texts, 1, "only that of the earlier one");
    cli.run("restart").text("a").ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "firstfirst");
    // One without a text takes the earlier one away.
    cli.await_no_supervisor("a");
    cli.start_and_wait(script("a", "cat"));
    assert!(!cli.task_file("a", "stdin.text").exists());
}

#[test]
fn a_file_is_read_anew_by_each_run() {
    let cli = Cli::new();
    fs::write(cli.file("input"), "one\n").unwrap();
    // Relative to the caller.
    let task = cli.start_and_wait(reading("a", "cat", json!({ "file": "input" })));
    assert_eq!(task["stdin"], json!({ "file": cli.file("input") }));
    fs::write(cli.file("input"), "two\n").unwrap();
    cli.run("restart").text("a").ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "one\ntwo\n");
}

#[test]
fn a_file_that_cannot_be_read_is_a_step_of_its_own() {
    let cli = Cli::new();
    fs::create_dir(cli.file("folder")).unwrap();
    nix::unistd::mkfifo(cli.file("fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (file, errno) in [
        ("missing", "ENOENT"),
        ("folder", "EISDIR"),
        ("fifo", "EINVAL"),
    ] {
        let payload = reading("a", "cat", json!({ "file": file }));
        let error = cli.run("start").payload(payload).err("SpawnFailed");
        let details = &error["details"];
        assert_eq!(details["step"], "stdin", "{error}");
        assert_eq!(details["errno_name"], errno, "{error}");
        assert_eq!(details["subject"], cli.file(file), "{error}");
    }
    cli.run("status").text("a").err("TaskNotFound");
}

#[test]
fn what_is_sent_is_read_until_the_end_is_sent() {
    let cli = Cli::new();
    cli.start(open(
        "a",
        "while read line; do echo \"<$line>\"; done; echo end",
    ));
    assert_eq!(send(&cli, "a", "one\n")["written_bytes"], 4);
    cli.await_line("a", "<one>");
    send(&cli, "a", "tw");
    send(&cli, "a", "o\n");
    cli.await_line("a", "<two>");
    assert_eq!(cli.task("a")["status"], "running");
    let answer = cli
        .run("send")
        .payload(json!({ "id": "a", "text": "three\n", "eof": true }))
        .ok();
    assert_eq!(
        (&answer["written_bytes"], &answer["eof"]),
        (&json!(6), &json!(true))
    );
    assert_eq!(cli.wait("a")["exit_code"], 0);
    assert_eq!(cli.log("a"), "<one>\n<two>\n<three>\nend\n");
}

#[test]
fn any_bytes_can_be_sent() {
    let cli = Cli::new();
    cli.start(open("a", "od -An -tx1"));
    let payload = json!({ "id": "a", "base64": "AP+ACg==", "eof": true });
    assert_eq!(cli.run("send").payload(payload).ok()["written_bytes"], 4);
    cli.wait("a");
    assert_eq!(cli.log("a").trim(), "00 ff 80 0a");
    let wrong = json!({ "id": "a", "base64": "!" });
    let error = cli.run("send").payload(wrong).err("CommandInputError");
    assert_eq!(error["details"]["field"], "base64");
}

#[test]
fn each_reason_why_nothing_can_be_sent_is_told() {
    let cli = Cli::new();
    let to = |id: &str| json!({ "id": id, "text": "x\n" });
    cli.run("send").payload(to("nobody")).err("TaskNotFound");
    cli.start(work("null", ["hang"]));
    let error = refused(&cli, to("null"), "CommandInputError", "not_open");
    assert!(text(&error["details"]["hint"]).contains("\"stdin\": \"open\""));
    cli.start_and_wait(open("ended", "exit 0"));
    refused(&cli, to("ended"), "TaskNotRunning", "ended");
    cli.start(open("deaf", "exec <&-; echo deaf; sleep 60"));
    cli.await_line("deaf", "deaf");
    refused(&cli, to("deaf"), "TaskNotRunning", "input_closed");
    cli.start(open("full", "cat; echo end; sleep 60"));
    eof(&cli, "full");
    // At once, whether the command has seen it or not.
    refused(&cli, to("full"), "TaskNotRunning", "eof_sent");
    cli.await_line("full", "end");
    let again = json!({ "id": "full", "eof": true });
    refused(&cli, again, "TaskNotRunning", "eof_sent");
    let waiting = json!({ "policy": "always", "delay_ms": 60000 });
    cli.start(with(
        open("waiting", "exit 0"),
        json!({ "restart": waiting }),
    ));
    cli.await_status("waiting", "starting");
    refused(&cli, to("waiting"), "TaskNotRunning", "not_started");
}

#[test]
fn a_slow_reader_gets_all_of_a_mebibyte() {
    let cli = Cli::new();
    cli.start(open("a", &once(&cli, "go", "cksum")));
    let data = "fedcba987654321\n".repeat(1 << 16);
    let payload = json!({ "id": "a", "text": data, "eof": true });
    let sending = cli.run("send").stdin(payload.to_string()).spawn();
    await_full(&cli, "a", &sending);
    cli.touch("go");
    assert_eq!(sending.finish().ok()["written_bytes"], 1 << 20);
    cli.wait("a");
    let expected = cli.start_and_wait(reading("b", "cksum", json!({ "text": "" })));
    assert_eq!(expected["status"], "exited");
    fs::write(cli.file("data"), &data).unwrap();
    cli.start_and_wait(reading("c", "cksum", json!({ "file": "data" })));
    assert_eq!(cli.log("a"), cli.log("c"));
    assert_ne!(cli.log("a"), cli.log("b"));
}

#[test]
fn a_full_pipe_is_waited_for_no_longer_than_told() {
    let cli = Cli::new();
    cli.start(open("a", &once(&cli, "go", "wc -c")));
    let data = "x".repeat(1 << 20);
    let payload = json!({ "id": "a", "text": data, "eof": true }).to_string();
    let call = cli.run("send").stdin(payload).flags(["--timeout", "0.2"]);
    let error = call.err("TaskWaitTimedOut");
    let written = error["details"]["written_bytes"].as_u64().unwrap();
    assert!(0 < written && written < 1 << 20, "{written}");
    assert_eq!(error["details"]["retryable"], true);
    // Its end was not sent either.
    cli.touch("go");
    assert_eq!(send(&cli, "a", "rest")["written_bytes"], 4);
    eof(&cli, "a");
    cli.wait("a");
    assert_eq!(cli.log("a").trim(), (written + 4).to_string());
}

#[test]
fn a_sender_whose_reader_ends_is_told_how_much_was_written() {
    let cli = Cli::new();
    cli.start(open("a", &once(&cli, "go", "exit 0")));
    let payload = json!({ "id": "a", "text": "x".repeat(1 << 20) });
    let sending = cli.run("send").stdin(payload.to_string()).spawn();
    await_full(&cli, "a", &sending);
    cli.touch("go");
    let error = sending.finish().err("TaskNotRunning");
    assert!(
        error["details"]["written_bytes"].as_u64().unwrap() > 0,
        "{error}"
    );
}

#[test]
fn senders_take_turns() {
    let cli = Cli::new();
    cli.start(open("a", "cat"));
    // Longer than what a pipe takes in one piece, and than what it holds.
    let block = |name: char| format!("{}\n", name.to_string().repeat(100_000));
    let names = ['a', 'b', 'c', 'd', 'e', 'f'];
    let senders: Vec<_> = (names.iter())
        .map(|&name| {
            let payload = json!({ "id": "a", "text": block(name) });
            cli.run("send").stdin(payload.to_string()).spawn()
        })
        .collect();
    for sender in senders {
        assert_eq!(sender.finish().ok()["written_bytes"], 100_001);
    }
    for number in 0..20 {
        send(&cli, "a", &format!("{number}\n"));
    }
    eof(&cli, "a");
    cli.wait("a");
    let log = cli.log("a");
    let mut lines: Vec<&str> = log.lines().collect();
    let numbers = lines.split_off(names.len());
    assert_eq!(
        numbers,
        (0..20).map(|it| it.to_string()).collect::<Vec<_>>()
    );
    lines.sort_unstable();
    let blocks: Vec<String> = names.iter().map(|&name| block(name)).collect();
    assert!(
        lines
            .iter()
            .zip(&blocks)
            .all(|(line, block)| *line == block.trim_end())
    );
}

#[test]
fn each_run_has_an_open_input_of_its_own() {
    let cli = Cli::new();
    let policy = json!({ "policy": "always", "delay_ms": 1 });
    let payload = with(open("a", "echo run; cat"), json!({ "restart": policy }));
    cli.start(payload);
    send(&cli, "a", "one\n");
    cli.await_line("a", "one");
    eof(&cli, "a");
    let second = || cli.task("a")["run"] == 2 && cli.task("a")["status"] == "running";
    eventually(second, "it is started again by itself");
    send(&cli, "a", "two\n");
    cli.await_line("a", "two");
    cli.run("restart").text("a").ok();
    send(&cli, "a", "three\n");
    cli.await_line("a", "three");
    assert_eq!(cli.log("a"), "run\none\nrun\ntwo\nrun\nthree\n");
    cli.stop("a");
    assert!(!cli.task_file("a", "stdin").exists());
}

#[test]
fn an_open_input_costs_nothing_while_nobody_sends() {
    let cli = Cli::new();
    cli.start(open("a", "cat"));
    let supervisor = cli.supervisor("a");
    send(&cli, "a", "one\n");
    cli.await_line("a", "one");
    cli.await_rest("a");
    let open = processes::descriptors(supervisor);
    let of_input = |name: &str| {
        let path = cli.task_file("a", name);
        open.iter().filter(|(_, at)| *at == path).count()
    };
    assert_eq!((of_input("stdin"), of_input("stdin.end")), (1, 2));
    // The command has the other end, and nothing else of it.
    let main = i32::try_from(cli.task("a")["pid"].as_i64().unwrap()).unwrap();
    let fifo = cli.task_file("a", "stdin");
    let its: Vec<i32> = (processes::descriptors(main).into_iter())
        .filter_map(|(number, at)| (at == fifo).then_some(number))
        .collect();
    assert_eq!(its, [0]);
}

#[test]
fn a_lost_supervisor_ends_the_input() {
    let cli = Cli::new();
    cli.start(open("a", "cat; echo end; sleep 60"));
    send(&cli, "a", "one\n");
    cli.await_line("a", "one");
    cli.lose_supervisor("a");
    cli.await_line("a", "end");
    let to = json!({ "id": "a", "text": "two\n" });
    refused(&cli, to, "TaskNotRunning", "supervisor_lost");
    cli.run("restart").text("a").ok();
    send(&cli, "a", "three\n");
    cli.await_line("a", "three");
}

#[test]
fn whoever_attends_to_a_lost_task_opens_its_input_again() {
    let cli = Cli::new();
    let again = once(&cli, "go", "exec cat");
    cli.start(open("a", &format!("cat; echo end; {again}")));
    send(&cli, "a", "one\n");
    cli.await_line("a", "one");
    cli.lose_supervisor("a");
    cli.await_line("a", "end");
    cli.run("pause").text("a").ok();
    cli.run("resume").text("a").ok();
    cli.touch("go");
    send(&cli, "a", "two\n");
    cli.await_line("a", "two");
    assert_eq!(cli.task("a")["status"], "running");
    eof(&cli, "a");
    cli.wait("a");
    assert_eq!(cli.log("a"), "one\nend\ntwo\n");
}

#[test]
fn a_sender_that_is_killed_lets_others_go_on() {
    let cli = Cli::new();
    cli.start(open("a", &once(&cli, "go", "tail -n 1")));
    let payload = json!({ "id": "a", "text": "x".repeat(1 << 20) });
    let sending = cli.run("send").stdin(payload.to_string()).spawn();
    await_full(&cli, "a", &sending);
    let pid = sending.pid();
    let next = json!({ "id": "a", "text": "\nlast\n", "eof": true });
    let next = cli.run("send").payload(next).spawn();
    next.await_asleep();
    processes::send(pid, Signal::SIGKILL);
    cli.touch("go");
    next.finish().ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "last\n");
}

#[test]
fn what_is_planted_in_place_of_the_input_is_not_written_to() {
    let cli = Cli::new();
    cli.start(open("a", "cat"));
    let fifo = cli.task_file("a", "stdin");
    fs::write(cli.file("victim"), "kept").unwrap();
    fs::remove_file(&fifo).unwrap();
    std::os::unix::fs::symlink(cli.file("victim"), &fifo).unwrap();
    let to = || json!({ "id": "a", "text": "x\n" });
    cli.run("send").payload(to()).err("StoreError");
    fs::remove_file(&fifo).unwrap();
    fs::hard_link(cli.file("victim"), &fifo).unwrap();
    cli.run("send").payload(to()).err("StoreError");
    assert_eq!(fs::read_to_string(cli.file("victim")).unwrap(), "kept");
}
