//! No prompt is lost, and none is said twice, whatever becomes of the run that it is for.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::agents::{agent_of, assert_runs, is_terminal, mock, send, texts, told};
use crate::harness::{Cli, eventually, pid_of, types, with};
use crate::processes;

fn lose_all(cli: &Cli, id: &str) {
    let pid = pid_of(&cli.task(id));
    cli.lose_supervisor(id);
    processes::send(pid, Signal::SIGKILL);
    eventually(|| processes::has_ended(pid), "the command is gone");
}

/// The next run of a lost task is on record, and its command has not been executed yet.
fn announce_second_run(cli: &Cli, id: &str) {
    cli.edit_record(id, |record| {
        let facts = &mut record["facts"];
        (facts["run"], facts["work"]) = (json!(2), json!(2));
        facts["run_token"] = json!("0123456789abcdef");
        facts["state"] = json!("starting");
    });
}

#[test]
fn a_prompt_is_said_whose_run_had_been_announced_when_the_supervisor_was_lost() {
    let cli = Cli::new();
    cli.start(mock("a", "hang"));
    send(&cli, "a", "say two");
    send(&cli, "a", "say three");
    lose_all(&cli, "a");
    announce_second_run(&cli, "a");
    send(&cli, "a", "say four");
    assert_eq!(cli.wait("a")["run"], 4);
    let frames = told(&cli, "a");
    assert_runs(&frames, 4);
    assert_eq!(texts(&frames), ["two", "three", "four"]);
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
}

/// A task whose folder of work is about to go.
fn placed(cli: &Cli, prompt: &str) -> Value {
    let workdir = cli.file("work");
    fs::create_dir(&workdir).unwrap();
    with(mock("a", prompt), json!({ "workdir": workdir }))
}

#[test]
fn a_prompt_whose_run_cannot_be_executed_was_not_given() {
    let cli = Cli::new();
    cli.start_and_wait(placed(&cli, "say one"));
    fs::remove_dir(cli.file("work")).unwrap();
    let again = json!({ "id": "a", "prompt": "say two" });
    cli.run("send").payload(again.clone()).err("SpawnFailed");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
    fs::create_dir(cli.file("work")).unwrap();
    cli.run("send").payload(again).ok();
    cli.wait("a");
    assert_eq!(texts(&told(&cli, "a")), ["one", "two"]);
}

#[test]
fn a_run_that_cannot_be_executed_ends_and_the_next_prompt_has_its_own() {
    let cli = Cli::new();
    cli.start(placed(&cli, "hang"));
    send(&cli, "a", "say two");
    send(&cli, "a", "say three");
    fs::remove_dir(cli.file("work")).unwrap();
    processes::send(pid_of(&cli.task("a")), Signal::SIGKILL);
    let task = cli.wait("a");
    assert_eq!(
        (&task["status"], &task["reason"], &task["run"]),
        (&json!("failed"), &json!("spawn_failed"), &json!(3))
    );
    let frames = told(&cli, "a");
    assert_eq!(frames.iter().filter(|it| is_terminal(it)).count(), 3);
    assert_runs(&frames, 3);
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
}

#[test]
fn stop_drops_the_prompts_of_a_conversation_of_which_nothing_is_left() {
    let cli = Cli::new();
    cli.start(mock("a", "hang"));
    send(&cli, "a", "say two");
    lose_all(&cli, "a");
    assert_eq!(agent_of(&cli, "a")["queued"], 1);
    cli.stop("a");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
    let events = cli.run("events").text("a").flags(["--stream"]).frames();
    let dropped = types(&events)
        .into_iter()
        .filter(|it| it == "task.work_dropped");
    assert_eq!(dropped.count(), 1, "{events:?}");
    cli.stop("a");
    send(&cli, "a", "say three");
    cli.wait("a");
    assert_eq!(texts(&told(&cli, "a")), ["three"]);
}

#[test]
fn a_queued_prompt_is_said_whose_supervisor_was_lost() {
    let cli = Cli::new();
    let queued = |id: &str, prompt: &str| {
        with(
            mock(id, prompt),
            json!({ "queue": { "group": "g", "limit": 1 } }),
        )
    };
    cli.start(queued("holds", "hang"));
    cli.start(queued("a", "say one"));
    cli.lose_supervisor("a");
    cli.stop("holds");
    send(&cli, "a", "say two");
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 2);
    assert_eq!(texts(&frames), ["one", "two"]);
    // One that was stopped there had its end, and is not said later.
    cli.start(queued("holds", "hang"));
    cli.start(queued("b", "say one"));
    cli.stop("b");
    assert_eq!(
        told(&cli, "b").iter().filter(|it| is_terminal(it)).count(),
        1
    );
    cli.stop("holds");
    send(&cli, "b", "say two");
    cli.wait("b");
    assert_eq!(texts(&told(&cli, "b")), ["two"]);
}

#[test]
fn a_restart_leaves_the_end_of_a_run_whose_supervisor_was_lost_as_it_was() {
    let cli = Cli::new();
    cli.start(mock("a", "say one\nsleep 300"));
    cli.lose_supervisor("a");
    eventually(|| cli.task("a")["status"] == "failed", "it is over");
    let before = told(&cli, "a");
    cli.run("restart").text("a").ok();
    cli.wait("a");
    let after = told(&cli, "a");
    assert_runs(&after, 2);
    let end = |frames: &[Value]| {
        let end = frames.iter().find(|it| is_terminal(it)).unwrap();
        (end["type"].clone(), end["data"].clone())
    };
    assert_eq!(end(&before), end(&after));
}

#[test]
fn runs_that_could_not_be_executed_are_read_with_their_prompts() {
    let cli = Cli::new();
    cli.start(placed(&cli, "hang"));
    send(&cli, "a", "say two");
    fs::remove_dir(cli.file("work")).unwrap();
    processes::send(pid_of(&cli.task("a")), Signal::SIGKILL);
    cli.wait("a");
    let view = json!({ "id": "a", "view": "text" });
    let shown = cli.run("logs").payload(view).ok();
    let shown = shown.to_string();
    assert!(shown.contains("say two"), "{shown}");
    assert!(!shown.contains("(run "), "{shown}");
}

#[test]
fn a_prompt_that_was_about_to_be_said_waits_until_stop_drops_it() {
    let cli = Cli::new();
    for id in ["stopped", "sent"] {
        cli.start(mock(id, "hang"));
        send(&cli, id, "say two");
        lose_all(&cli, id);
        announce_second_run(&cli, id);
        assert_eq!(agent_of(&cli, id)["queued"], 1);
    }
    cli.stop("stopped");
    assert_eq!(agent_of(&cli, "stopped")["queued"], 0);
    for (id, said) in [("stopped", vec!["three"]), ("sent", vec!["two", "three"])] {
        send(&cli, id, "say three");
        cli.wait(id);
        assert_eq!(texts(&told(&cli, id)), said);
    }
}
