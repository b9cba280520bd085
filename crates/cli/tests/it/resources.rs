//! What a task uses: all of its processes, and nobody else's.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, fields, fixture, script, with, work};

fn resources(cli: &Cli, id: &str) -> Value {
    let asked = json!({ "id": id, "resources": true });
    cli.run("status").payload(asked).ok()["task"]["resources"].take()
}

#[test]
fn they_are_told_only_when_asked_for() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    assert!(cli.task("a").get("resources").is_none());
    assert!(cli.run("list").ok()["tasks"][0].get("resources").is_none());
    let told = resources(&cli, "a");
    assert_eq!(
        fields(&told),
        ["cpu_ms", "memory_bytes", "ports", "processes"]
    );
    assert!(told["memory_bytes"].as_u64().unwrap() > 4096, "{told}");
    assert_eq!(
        (&told["processes"], &told["ports"]),
        (&json!(1), &json!([]))
    );
}

#[test]
fn every_process_counts_wherever_it_has_gone() {
    let cli = Cli::new();
    cli.start(work(
        "a",
        ["fork", "forks", "2", "daemon", "print", "up", "hang"],
    ));
    cli.await_line("a", "up");
    assert_eq!(resources(&cli, "a")["processes"], 5);
    cli.lose_supervisor("a");
    assert_eq!(resources(&cli, "a")["processes"], 5);
    // The next supervisor is not their parent.
    cli.run("pause").text("a").ok();
    assert_eq!(cli.task("a")["supervised"], true);
    let told = resources(&cli, "a");
    assert_eq!(told["processes"], 5);
    assert!(told["memory_bytes"].as_u64().unwrap() > 4096, "{told}");
}

#[test]
fn a_stop_in_vain_names_the_processes_of_a_lost_supervisor() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["ignore", "TERM", "print", "up", "hang"]));
    cli.await_line("a", "up");
    cli.lose_supervisor("a");
    let stop = json!({ "id": "a", "grace_ms": 600_000 });
    let call = cli.run("stop").payload(stop).flags(["--timeout", "0.5"]);
    let error = call.err("TaskWaitTimedOut");
    assert_eq!(error["details"]["pids"], json!([task["pid"]]));
}

#[test]
fn a_task_of_a_task_counts_for_itself() {
    let cli = Cli::new();
    let start = format!(
        "'{}' start '{{\"id\": \"inner\", \"command\": \"sleep\", \"args\": [\"600\"]}}' >/dev/null; echo up; sleep 600; :",
        crate::harness::PROGRAM
    );
    cli.start(script("outer", &start));
    cli.await_line("outer", "up");
    eventually(
        || resources(&cli, "outer")["processes"] == 2,
        "the shell and its sleep",
    );
    assert_eq!(resources(&cli, "inner")["processes"], 1);
}

#[test]
fn processor_time_of_children_that_have_ended_counts() {
    let cli = Cli::new();
    let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    cli.start(script(
        "a",
        &format!("sh -c '{burn}'; echo up; sleep 600; :"),
    ));
    cli.await_line("a", "up");
    let told = resources(&cli, "a");
    assert!(told["cpu_ms"].as_u64().unwrap() >= 50, "{told}");
}

#[test]
fn listening_ports_are_told_and_connections_are_not() {
    let cli = Cli::new();
    // In a child of the shell, with another listener beside it that is none of the task's.
    let _other = TcpListener::bind("127.0.0.1:0").unwrap();
    cli.start(script(
        "a",
        &format!("'{}' listen 127.0.0.1 listen 127.0.0.1 hang; :", fixture()),
    ));
    eventually(|| cli.log("a").lines().count() == 2, "it listens");
    let mut ports: Vec<u16> = cli
        .log("a")
        .lines()
        .map(|line| line.strip_prefix("port ").unwrap().parse().unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(resources(&cli, "a")["ports"], json!(ports));
}

#[test]
fn listeners_over_ipv6_are_told() {
    let cli = Cli::new();
    if TcpListener::bind("[::1]:0").is_err() {
        // Nothing can listen over IPv6 here.
        return;
    }
    cli.start(work("a", ["listen", "::1", "hang"]));
    eventually(|| cli.log("a").ends_with('\n'), "it listens");
    let port: u16 = cli
        .log("a")
        .trim()
        .strip_prefix("port ")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(resources(&cli, "a")["ports"], json!([port]));
}

#[test]
fn a_task_that_has_ended_uses_nothing() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    assert_eq!(resources(&cli, "a"), Value::Null);
    let lost = cli.start(work("lost", ["hang"]));
    cli.lose_supervisor("lost");
    let pid = crate::harness::pid_of(&lost);
    crate::processes::send(pid, nix::sys::signal::Signal::SIGKILL);
    eventually(|| crate::processes::has_ended(pid), "it is dead");
    assert_eq!(resources(&cli, "lost"), Value::Null);
}

#[test]
fn a_list_tells_of_each() {
    let cli = Cli::new();
    cli.start_and_wait(work("ended", []));
    cli.start(with(
        work("runs", ["fork", "print", "up", "hang"]),
        json!({ "tags": ["x"] }),
    ));
    cli.await_line("runs", "up");
    let answer = cli.run("list").payload(json!({ "resources": true })).ok();
    assert_eq!(answer["tasks"][0]["resources"]["processes"], 2);
    assert_eq!(answer["tasks"][1]["resources"], Value::Null);
    assert!(answer["tasks"][1].get("resources").is_some());
}
