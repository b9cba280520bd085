//! Health probes, what follows from them, and `wait` with `until: "ready"`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, script, text, types, with, work};
use crate::processes;

/// What answers every request with the same status, or, with 0, never.
struct Server {
    port: u16,
    status: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<String>>>,
    /// How many got no answer.
    held: Arc<AtomicUsize>,
}

impl Server {
    fn new(address: &str, status: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = Self {
            port,
            status: Arc::new(AtomicU16::new(status)),
            asked: Arc::default(),
            held: Arc::default(),
        };
        let number_held = Arc::clone(&server.held);
        let (status, asked) = (Arc::clone(&server.status), Arc::clone(&server.asked));
        // Ends with the test program.
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                let (stream, head) = read_head(stream);
                asked.lock().expect("nobody panics").push(head);
                match status.load(Ordering::Relaxed) {
                    0 => {
                        held.push(stream);
                        number_held.store(held.len(), Ordering::Relaxed);
                    }
                    status => answer(stream, status),
                }
            }
        });
        server
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").clone()
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn await_asked(&self, times: usize) {
        eventually(|| self.asked().len() >= times, "it is asked");
    }

    /// A probe of it, in milliseconds: from the end of one to the next.
    fn probe(&self, interval_ms: u64) -> Value {
        let url = format!("http://127.0.0.1:{}/health?full=1", self.port);
        json!({ "type": "http", "url": url, "interval_ms": interval_ms })
    }
}

fn read_head(mut stream: TcpStream) -> (TcpStream, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).expect("requests are text"))
}

fn answer(mut stream: TcpStream, status: u16) {
    let location = "Location: http://127.0.0.1:1/\r\n";
    // Whoever asked may have been killed meanwhile.
    let _ = write!(stream, "HTTP/1.1 {status} So\r\n{location}\r\n");
}

/// A port at which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("it is bound").port()
}

fn hang(id: &str, health: Value) -> Value {
    with(
        work(id, ["print", "up", "hang"]),
        json!({ "health": health }),
    )
}

fn until_ready(id: &str) -> Value {
    json!({ "id": id, "until": "ready" })
}

fn wait_until_ready(cli: &Cli, id: &str) -> Value {
    cli.run("wait").payload(until_ready(id)).ok()
}

/// Each change of health, with what was found wrong.
fn changes(cli: &Cli, id: &str) -> Vec<(String, String)> {
    let payload = json!({ "id": id, "lines": 0 });
    let call = cli.run("events").payload(payload).flags(["--stream"]);
    let frames = call.frames();
    let changes = frames.iter().filter(|it| it["type"] == "task.health");
    let problem = |it: &Value| it["data"]["problem"].as_str().unwrap_or("").to_owned();
    changes
        .map(|it| (text(&it["data"]["health"]), problem(it)))
        .collect()
}

fn words(changes: &[(String, String)]) -> Vec<&str> {
    changes.iter().map(|(health, _)| health.as_str()).collect()
}

fn probes(cli: &Cli) -> Vec<i32> {
    let mut all = cli.processes();
    all.retain(|&pid| {
        let arguments = processes::arguments(pid);
        arguments.get(1).is_some_and(|one| one == "__probe")
    });
    all
}

#[test]
fn a_task_is_ready_when_its_server_answers() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 503);
    let task = cli.start(hang("a", server.probe(600_000)));
    assert_eq!(
        (&task["status"], &task["health"]),
        (&json!("running"), &json!("starting"))
    );
    let call = cli.run("wait").payload(until_ready("a")).spawn();
    // Before it is ready it is asked much more often than afterwards.
    server.await_asked(3);
    assert_eq!(cli.task("a")["health"], "starting");
    server.answers(204);
    let answer = call.finish().ok();
    assert_eq!(answer["task"]["health"], "healthy");
    assert_eq!(answer["status"], "running");
    assert_eq!(answer["logs"]["total_lines"], 1);
    assert_eq!(changes(&cli, "a"), [("healthy".to_owned(), String::new())]);
    let asked = server.asked();
    let head = &asked[0];
    assert!(
        head.starts_with("GET /health?full=1 HTTP/1.1\r\n"),
        "{head}"
    );
    let host = format!("\r\nHost: 127.0.0.1:{}\r\n", server.port);
    assert!(head.contains(&host), "{head}");
    let task = cli.stop("a");
    assert_eq!(task["health"], "none");
    cli.assert_no_processes();
}

#[test]
fn statuses_that_count() {
    let cli = Cli::new();
    for (status, expected, is_ready) in [
        (302, None, true),
        (399, None, true),
        (404, None, false),
        (404, Some(404), true),
        (200, Some(204), false),
    ] {
        let server = Server::new("127.0.0.1", status);
        let mut probe = with(server.probe(5), json!({ "startup_timeout_ms": 600_000 }));
        if let Some(expected) = expected {
            probe["expected_status"] = json!(expected);
        }
        cli.start(hang("a", probe));
        if is_ready {
            wait_until_ready(&cli, "a");
        } else {
            server.await_asked(3);
            assert_eq!(cli.task("a")["health"], "starting", "{status} {expected:?}");
        }
        cli.stop("a");
    }
}

#[test]
fn names_and_both_kinds_of_addresses() {
    let cli = Cli::new();
    for (listens, host) in [
        ("127.0.0.1", "localhost"),
        ("::1", "localhost"),
        ("::1", "[::1]"),
    ] {
        if TcpListener::bind((listens, 0)).is_err() {
            // A machine without IPv6.
            continue;
        }
        let server = Server::new(listens, 200);
        let url = format!("http://{host}:{}", server.port);
        let tcp = json!({ "type": "tcp", "host": host, "port": server.port });
        for probe in [json!({ "type": "http", "url": url }), tcp] {
            cli.start(hang("a", probe));
            wait_until_ready(&cli, "a");
            cli.stop("a");
        }
        assert!(server.asked()[0].starts_with("GET / HTTP/1.1\r\n"));
    }
}

#[test]
fn what_a_probe_cannot_ask_is_refused() {
    let cli = Cli::new();
    for (url, told) in [
        ("https://localhost", "plain http only"),
        ("localhost:80", "not the URL"),
        ("http://a b/", "percent-encoded"),
        ("http://me:secret@localhost/", "no name and password"),
    ] {
        let start = hang("a", json!({ "type": "http", "url": url }));
        let error = cli.run("start").payload(start).err("CommandInputError");
        assert_eq!(error["details"]["field"], "health.url");
        assert!(text(&error["message"]).contains(told), "{error}");
    }
}

#[test]
fn a_port_that_accepts_is_enough_for_tcp() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 0);
    let probe = json!({ "type": "tcp", "host": "localhost", "port": server.port });
    cli.start(hang("a", probe));
    wait_until_ready(&cli, "a");
}

#[test]
fn a_task_that_does_not_get_ready_in_time_fails() {
    let cli = Cli::new();
    let probe = json!({
        "type": "tcp", "host": "127.0.0.1", "port": closed_port(), "startup_timeout_ms": 200,
    });
    cli.start(hang("a", probe.clone()));
    let error = cli
        .run("wait")
        .payload(until_ready("a"))
        .err("TaskNotRunning");
    let task = &error["details"]["task"];
    assert_eq!(
        end_of(task),
        json!(["failed", null, "SIGTERM", "not_ready"])
    );
    let problem = text(&task["problem"]);
    assert!(problem.contains("within 200 ms"), "{problem}");
    assert!(problem.contains("refused"), "{problem}");
    assert_eq!(changes(&cli, "a"), []);
    cli.assert_no_processes();
    // It is started again where that is wanted.
    let restart = json!({ "policy": "on_failure", "max_retries": 1, "delay_ms": 1 });
    cli.start(with(hang("b", probe), json!({ "restart": restart })));
    let task = cli.wait("b");
    assert_eq!(
        end_of(&task),
        json!(["failed", null, "SIGTERM", "restart_limit"])
    );
    assert_eq!(task["run"], 2);
    assert!(text(&task["problem"]).contains("not_ready"), "{task}");
}

#[test]
fn an_unhealthy_task_goes_on_unless_it_may_be_restarted() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 200);
    let probe = with(server.probe(5), json!({ "failure_threshold": 2 }));
    let pid = cli.start(hang("a", probe))["pid"].take();
    wait_until_ready(&cli, "a");
    server.answers(500);
    eventually(|| cli.task("a")["health"] == "unhealthy", "it is unhealthy");
    server.answers(200);
    eventually(|| cli.task("a")["health"] == "healthy", "it recovers");
    let task = cli.task("a");
    assert_eq!((&task["pid"], &task["run"]), (&pid, &json!(1)));
    let changes = changes(&cli, "a");
    assert_eq!(words(&changes), ["healthy", "unhealthy", "healthy"]);
    assert_eq!(changes[1].1, "it answered with 500");
    cli.stop("a");
}

#[test]
fn an_unhealthy_task_with_a_restart_policy_is_restarted() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 200);
    let restart = json!({ "policy": "on_failure", "delay_ms": 1 });
    cli.start(with(
        hang("a", server.probe(5)),
        json!({ "restart": restart }),
    ));
    wait_until_ready(&cli, "a");
    server.answers(500);
    eventually(|| cli.task("a")["run"] == 2, "it is started again");
    server.answers(200);
    let task = wait_until_ready(&cli, "a");
    assert_eq!(task["task"]["run"], 2);
    let call = cli.run("events").payload(json!({ "id": "a", "lines": 0 }));
    let frames = call.flags(["--stream"]).frames();
    let expected = [
        "task.started",
        "task.health",
        "task.health",
        "task.stop_requested",
        "task.restarting",
        "task.started",
        "task.health",
    ];
    assert_eq!(types(&frames)[1..], expected);
    assert_eq!(frames[4]["data"]["reason"], "unhealthy");
    assert_eq!(frames[5]["data"]["reason"], "unhealthy");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn a_probe_has_its_time_and_then_the_next_follows() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 0);
    let probe = with(server.probe(1), json!({ "timeout_ms": 100 }));
    cli.start(hang("a", probe));
    let mut most = 0;
    eventually(
        || {
            most = most.max(probes(&cli).len());
            server.asked().len() >= 5
        },
        "it is asked again and again",
    );
    assert_eq!(most, 1);
    server.answers(200);
    wait_until_ready(&cli, "a");
    server.answers(0);
    eventually(|| cli.task("a")["health"] == "unhealthy", "it is unhealthy");
    let changes = changes(&cli, "a");
    assert_eq!(changes[1].1, "it gave no answer within 100 ms");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn neither_a_stop_nor_an_end_waits_for_a_probe() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 0);
    let endless = json!({ "timeout_ms": 600_000, "startup_timeout_ms": 600_000 });
    let probe = with(server.probe(1), endless);
    cli.start(hang("a", probe.clone()));
    server.await_asked(1);
    let begun = Instant::now();
    let task = cli.stop("a");
    assert_eq!(
        end_of(&task),
        json!(["killed", null, "SIGTERM", "stop_requested"])
    );
    cli.assert_no_processes();
    let go = cli.file("go");
    let start = work("b", ["wait-file", &go, "exit", "3"]);
    cli.start(with(start, json!({ "health": probe })));
    server.await_asked(2);
    cli.touch("go");
    assert_eq!(end_of(&cli.wait("b")), json!(["exited", 3, null, null]));
    // The end is on record before the probe is ended.
    cli.await_no_processes();
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_task_that_ends_before_it_is_ready_fails_the_wait_at_once() {
    let cli = Cli::new();
    let go = cli.file("go");
    let start = work(
        "a",
        ["wait-file", &go, "print", "no such module", "exit", "1"],
    );
    let probe = json!({ "type": "tcp", "host": "127.0.0.1", "port": closed_port() });
    cli.start(with(start, json!({ "health": probe })));
    let call = cli.run("wait").payload(until_ready("a")).spawn();
    call.await_asleep();
    cli.touch("go");
    let error = call.finish().err("TaskNotRunning");
    let details = &error["details"];
    assert_eq!(end_of(&details["task"]), json!(["exited", 1, null, null]));
    assert_eq!(details["logs"]["lines"], json!(["no such module"]));
    assert_eq!(details["retryable"], false);
    assert!(!text(&details["cursor"]).is_empty());
    // Asked afterwards the answer is the same.
    let again = cli
        .run("wait")
        .payload(until_ready("a"))
        .err("TaskNotRunning");
    assert_eq!(again["details"]["logs"]["lines"], details["logs"]["lines"]);
}

#[test]
fn a_task_without_a_probe_is_ready_when_it_runs() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let answer = wait_until_ready(&cli, "a");
    assert_eq!(answer["task"]["health"], "none");
    let cursor = json!({ "id": "a", "until": "ready", "cursor": answer["logs"]["cursor"] });
    cli.run("wait").payload(cursor).err("CommandInputError");
    cli.run("wait")
        .payload(until_ready("b"))
        .err("TaskNotFound");
}

#[test]
fn several_tasks_get_ready() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 503);
    cli.start(hang("a", server.probe(5)));
    cli.start(work("b", ["hang"]));
    let both = |mode: &str| json!({ "ids": ["a", "b", "a"], "mode": mode, "until": "ready" });
    let answer = cli.run("wait").payload(both("any")).ok();
    assert_eq!(answer["outcome"], "partial");
    assert_eq!(answer["pending"], json!(["a"]));
    assert_eq!(answer["tasks"][0]["id"], "b");
    let late = cli
        .run("wait")
        .payload(both("all"))
        .flags(["--timeout", "0.1"]);
    let error = late.err("TaskWaitTimedOut");
    assert_eq!(error["details"]["pending"], json!(["a"]));
    let one = cli
        .run("wait")
        .payload(until_ready("a"))
        .flags(["--timeout", "0.1"]);
    let error = one.err("TaskWaitTimedOut");
    assert_eq!(error["details"]["task"]["health"], "starting");
    assert!(!text(&error["details"]["cursor"]).is_empty());
    let call = cli.run("wait").payload(both("all")).spawn();
    call.await_asleep();
    server.answers(200);
    let answer = call.finish().ok();
    assert_eq!(answer["outcome"], "reached");
    assert_eq!(answer["pending"], json!([]));
    // One that is over spoils it for all, not for any.
    cli.stop("b");
    let error = cli.run("wait").payload(both("all")).err("TaskNotRunning");
    assert_eq!(error["details"]["task"]["id"], "b");
    cli.run("wait").payload(both("any")).ok();
    cli.stop("a");
    cli.run("wait").payload(both("any")).err("TaskNotRunning");
}

#[test]
fn a_command_asks_with_what_the_task_has() {
    let cli = Cli::new();
    let check = r#"test -e ready && test "$BACKGROUND_TASKS_ID $WHO" = "a me" && echo noise"#;
    let probe = json!({ "type": "command", "command": "sh", "args": ["-c", check] });
    let probe = with(probe, json!({ "interval_ms": 5 }));
    cli.start(with(hang("a", probe), json!({ "env": { "WHO": "me" } })));
    let call = cli.run("wait").payload(until_ready("a")).spawn();
    call.await_asleep();
    cli.touch("ready");
    call.finish().ok();
    std::fs::remove_file(cli.file("ready")).expect("it is there");
    eventually(|| cli.task("a")["health"] == "unhealthy", "it is unhealthy");
    let changes = changes(&cli, "a");
    assert_eq!(changes[1].1, "it exited with code 1");
    assert_eq!(cli.log("a"), "up\n");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
    let cli = Cli::new();
    let check = "echo $$ >>asked; sleep 1000 & sleep 1000";
    let probe = json!({ "type": "command", "command": "sh", "args": ["-c", check] });
    let times = json!({ "interval_ms": 1, "timeout_ms": 200, "startup_timeout_ms": 600_000 });
    cli.start(hang("a", with(probe, times)));
    let asked = || std::fs::read_to_string(cli.file("asked")).unwrap_or_default();
    eventually(
        || asked().lines().count() >= 4,
        "it is asked again and again",
    );
    let sleeping = cli.processes().into_iter().filter(|&pid| {
        let arguments = processes::arguments(pid);
        arguments == ["sleep", "1000"]
    });
    assert!(sleeping.count() <= 2);
    assert_eq!(cli.task("a")["status"], "running");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn a_command_that_is_not_there_is_a_failure() {
    let cli = Cli::new();
    let probe =
        json!({ "type": "command", "command": "no-such-program", "startup_timeout_ms": 50 });
    cli.start(hang("a", probe));
    let task = cli.wait("a");
    assert_eq!(task["reason"], "not_ready");
    let problem = text(&task["problem"]);
    assert!(problem.contains("no-such-program"), "{problem}");
}

#[test]
fn a_line_makes_a_task_ready_in_each_run() {
    let cli = Cli::new();
    let go = cli.file("go");
    let start = work(
        "a",
        [
            "print",
            "up",
            "wait-file",
            &go,
            "eprint",
            "listening on 1",
            "hang",
        ],
    );
    let probe = json!({ "type": "log", "pattern": r"listening on \d+$" });
    let more = json!({ "health": probe, "stderr": "separate" });
    cli.start(with(start, more));
    cli.await_line("a", "up");
    assert_eq!(cli.task("a")["health"], "starting");
    let call = cli.run("wait").payload(until_ready("a")).spawn();
    call.await_asleep();
    cli.touch("go");
    assert_eq!(call.finish().ok()["task"]["health"], "healthy");
    std::fs::remove_file(&go).expect("it is there");
    cli.run("restart").text("a").ok();
    eventually(|| cli.log("a") == "up\nup\n", "the next run prints");
    // What the run before has written does not count.
    assert_eq!(cli.task("a")["health"], "starting");
    cli.touch("go");
    wait_until_ready(&cli, "a");
    assert_eq!(changes(&cli, "a").len(), 2);
    cli.stop("a");
}

#[test]
fn a_line_that_does_not_come_is_not_waited_for() {
    let cli = Cli::new();
    let probe = json!({ "type": "log", "pattern": "never", "startup_timeout_ms": 100 });
    cli.start(hang("a", probe));
    assert_eq!(cli.wait("a")["reason"], "not_ready");
}

#[test]
fn what_a_probe_leaves_behind_goes_with_the_task() {
    let cli = Cli::new();
    let check = "test -e left || { touch left; setsid sleep 1000 & }";
    let probe = json!({ "type": "command", "command": "sh", "args": ["-c", check] });
    cli.start(hang("a", probe));
    wait_until_ready(&cli, "a");
    let left = || {
        let sleeps = |&pid: &i32| processes::arguments(pid) == ["sleep", "1000"];
        cli.processes().into_iter().find(sleeps)
    };
    eventually(left, "something was left behind");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn probes_go_on_while_a_task_waits_for_what_its_command_left() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!(
        "({} wait-file {go} print up hang) & exit 0",
        crate::harness::fixture()
    );
    let probe = json!({ "type": "log", "pattern": "^up$" });
    let more = json!({ "leftovers": "wait", "health": probe });
    cli.start(with(script("a", &shell), more));
    eventually(|| cli.task("a")["pid"].is_null(), "its command has ended");
    assert_eq!(cli.task("a")["status"], "running");
    cli.touch("go");
    wait_until_ready(&cli, "a");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn a_probe_does_not_outlive_a_supervisor_that_is_killed() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 200);
    let probe = with(server.probe(1), json!({ "timeout_ms": 600_000 }));
    cli.start(hang("a", probe));
    wait_until_ready(&cli, "a");
    server.answers(0);
    eventually(|| server.held() == 1, "one gets no answer");
    assert_eq!(probes(&cli).len(), 1);
    cli.lose_supervisor("a");
    eventually(|| probes(&cli).is_empty(), "the probe ends");
    // The last word holds while nobody asks.
    let task = cli.task("a");
    assert_eq!(
        (&task["health"], &task["supervised"]),
        (&json!("healthy"), &json!(false))
    );
    wait_until_ready(&cli, "a");
    assert_eq!(cli.stop("a")["status"], "killed");
    cli.assert_no_processes();
}

#[test]
fn who_waits_is_told_of_the_end_of_a_task_whose_supervisor_is_lost() {
    let cli = Cli::new();
    let probe = json!({ "type": "log", "pattern": "never" });
    let pid = cli.start(hang("a", probe))["pid"].as_i64();
    let call = cli.run("wait").payload(until_ready("a")).spawn();
    call.await_asleep();
    cli.lose_supervisor("a");
    let pid = i32::try_from(pid.expect("it runs")).expect("pids are small");
    processes::send(pid, nix::sys::signal::Signal::SIGKILL);
    let error = call.finish().err("TaskNotRunning");
    assert_eq!(error["details"]["task"]["reason"], "supervisor_lost");
}

#[test]
fn a_paused_task_is_not_asked() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 200);
    let probe = with(server.probe(1), json!({ "timeout_ms": 600_000 }));
    cli.start(hang("a", probe));
    wait_until_ready(&cli, "a");
    server.answers(0);
    eventually(|| server.held() == 1, "one gets no answer");
    cli.run("pause").text("a").ok();
    // The one that waits is dropped, and none follows.
    eventually(|| probes(&cli).is_empty(), "the probe ends");
    let asked = server.asked().len();
    for _ in 0..10 {
        assert_eq!(cli.task("a")["health"], "healthy");
    }
    assert_eq!(server.asked().len(), asked);
    server.answers(200);
    cli.run("resume").text("a").ok();
    server.await_asked(asked + 2);
    assert_eq!(words(&changes(&cli, "a")), ["healthy"]);
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn a_new_supervisor_goes_on_asking() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 200);
    let probe = with(server.probe(5), json!({ "failure_threshold": 2 }));
    cli.start(hang("a", probe));
    wait_until_ready(&cli, "a");
    let go = cli.file("go");
    let start = work(
        "b",
        ["print", "up", "wait-file", &go, "print", "done", "hang"],
    );
    let log = json!({ "type": "log", "pattern": "^up$" });
    cli.start(with(
        start.clone(),
        json!({ "id": "c", "health": { "type": "log", "pattern": "done" } }),
    ));
    cli.start(with(start, json!({ "health": log })));
    wait_until_ready(&cli, "b");
    for id in ["a", "b", "c"] {
        cli.lose_supervisor(id);
    }
    cli.touch("go");
    cli.await_line("c", "done");
    server.answers(500);
    cli.run("recover").ok();
    // A line from the time without a supervisor counts, and one that has matched is not looked for.
    wait_until_ready(&cli, "c");
    assert_eq!(words(&changes(&cli, "b")), ["healthy"]);
    eventually(|| cli.task("a")["health"] == "unhealthy", "it is unhealthy");
    assert_eq!(words(&changes(&cli, "a")), ["healthy", "unhealthy"]);
    for id in ["a", "b", "c"] {
        assert_eq!(cli.stop(id)["status"], "killed");
    }
    cli.assert_no_processes();
}

#[test]
fn a_prompt_makes_a_task_ready() {
    let cli = Cli::new();
    let probe = json!({ "type": "log", "pattern": "^login: $" });
    let start = script("a", "echo up; printf 'login: '; exec sleep 1000");
    cli.start(with(start.clone(), json!({ "health": probe })));
    wait_until_ready(&cli, "a");
    cli.stop("a");
    let apart = json!({ "health": probe, "pty": true });
    cli.start(with(start, apart));
    wait_until_ready(&cli, "a");
    cli.stop("a");
    // What is gone on with is no prompt.
    let go = cli.file("go");
    let shell = format!(
        "printf 'login: '; printf 'wait'; {} wait-file {go} print up hang",
        crate::harness::fixture()
    );
    cli.start(with(script("b", &shell), json!({ "health": probe })));
    let call = cli.run("wait").payload(until_ready("b"));
    call.flags(["--timeout", "0.5"]).err("TaskWaitTimedOut");
    cli.stop("b");
}

#[test]
fn a_line_is_found_before_it_is_freed() {
    let cli = Cli::new();
    let probe = json!({ "type": "log", "pattern": "^up$" });
    let start = script("a", "echo up; seq 100000; exec sleep 1000");
    let limits = json!({ "log_bytes": 65536 });
    cli.start(with(start, json!({ "health": probe, "limits": limits })));
    wait_until_ready(&cli, "a");
    cli.stop("a");
}

#[test]
fn a_new_supervisor_asks_before_it_gives_up() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 503);
    let probe = with(server.probe(5), json!({ "startup_timeout_ms": 1000 }));
    cli.start(hang("a", probe));
    cli.lose_supervisor("a");
    server.answers(200);
    let is_late = || cli.task("a")["duration_ms"].as_u64() > Some(1000);
    eventually(is_late, "its time to get ready is over");
    assert_eq!(cli.task("a")["health"], "starting");
    cli.run("recover").ok();
    wait_until_ready(&cli, "a");
    cli.stop("a");
    cli.assert_no_processes();
}

#[test]
fn what_runs_after_a_healthy_task_begins_when_it_is() {
    let cli = Cli::new();
    let server = Server::new("127.0.0.1", 503);
    cli.start(hang("a", server.probe(5)));
    let after = json!({ "after": { "ids": ["a"], "on": "ready" } });
    cli.start(with(work("b", ["exit", "0"]), after));
    server.await_asked(3);
    assert_eq!(cli.task("b")["status"], "queued");
    server.answers(200);
    assert_eq!(end_of(&cli.wait("b")), json!(["exited", 0, null, null]));
    cli.stop("a");
}
