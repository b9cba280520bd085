//! Tasks that run after others: when, in which order, and what becomes of them if those fail.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, script, text, with, work};
use crate::processes;

fn after(ids: &[&str], on: &str) -> Value {
    json!({ "after": { "ids": ids, "on": on } })
}

fn noted(cli: &Cli, id: &str) -> Value {
    work(id, ["note", &cli.file("notes")])
}

fn notes(cli: &Cli) -> Vec<String> {
    let notes = fs::read_to_string(cli.file("notes")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

#[test]
fn a_batch_comes_up_in_the_right_order_however_it_is_written() {
    let cli = Cli::new();
    let lasting = |id| work(id, ["note", &cli.file("notes"), "hang"]);
    let batch = json!([
        with(noted(&cli, "tests"), after(&["server", "assets"], "ready")),
        with(lasting("server"), after(&["migrate"], "success")),
        with(noted(&cli, "migrate"), after(&["db"], "ready")),
        with(noted(&cli, "assets"), after(&["migrate"], "end")),
        lasting("db"),
    ]);
    let answer = cli.run("start").payload(batch).ok();
    let results = answer["results"].as_array().unwrap();
    for (result, id) in results[..4]
        .iter()
        .zip(["tests", "server", "migrate", "assets"])
    {
        assert_eq!(result["target"]["id"], id);
        assert_eq!(result["data"]["task"]["status"], "queued");
        assert_eq!(result["data"]["task"]["queue_position"], Value::Null);
    }
    assert_eq!(results[4]["data"]["task"]["status"], "running");
    assert_eq!(cli.wait("tests")["exit_code"], 0);
    // All have the same form, so they sort as they happened.
    let at = |id: &str, field: &str| text(&cli.task(id)[field]);
    let begun = |id: &str| at(id, "started_at");
    assert!(begun("db") <= begun("migrate"));
    for id in ["server", "assets"] {
        assert!(at("migrate", "exited_at") <= begun(id), "{id}");
        assert!(begun(id) <= begun("tests"), "{id}");
    }
    eventually(|| notes(&cli).len() == 5, "all have begun");
}

#[test]
fn success_is_exit_code_0_and_an_end_is_any() {
    let cli = Cli::new();
    let go = cli.file("go");
    cli.start(work("fails", ["wait-file", &go, "exit", "3"]));
    cli.start(with(
        noted(&cli, "picky"),
        json!({ "after": { "ids": ["fails"] } }),
    ));
    cli.start(with(noted(&cli, "ready"), after(&["picky"], "ready")));
    cli.start(with(
        noted(&cli, "cleanup"),
        after(&["picky", "fails"], "end"),
    ));
    assert_eq!(
        cli.task("picky")["after"],
        json!({ "ids": ["fails"], "on": "success" })
    );
    assert_eq!(cli.task("cleanup")["status"], "queued");
    cli.touch("go");
    assert_eq!(cli.wait("cleanup")["exit_code"], 0);
    for (id, because) in [
        ("picky", "fails, which exited with code 3"),
        ("ready", "picky, which failed (dependency_failed)"),
    ] {
        let task = cli.wait(id);
        assert_eq!(task["status"], "failed");
        assert_eq!(task["reason"], "dependency_failed");
        assert_eq!(task["problem"], format!("it was to run after {because}"));
        assert_eq!(task["pid"], Value::Null);
    }
    assert_eq!(notes(&cli), ["cleanup"]);
    // What is there already is not waited for.
    cli.start(with(noted(&cli, "later"), after(&["cleanup"], "success")));
    assert_eq!(cli.wait("later")["exit_code"], 0);
}

#[test]
fn what_can_never_begin_is_refused_before_anything_is_touched() {
    let cli = Cli::new();
    let refused = |payload: Value| cli.run("start").payload(payload).err("CommandInputError");
    let unknown = json!([
        noted(&cli, "a"),
        with(noted(&cli, "b"), after(&["a", "nobody"], "end"))
    ]);
    let error = refused(unknown);
    assert_eq!(error["details"]["index"], 1);
    assert_eq!(error["details"]["field"], "after.ids");
    assert!(text(&error["message"]).contains("nobody"));
    let cycle = json!([
        noted(&cli, "x"),
        with(noted(&cli, "b"), after(&["a"], "end")),
        with(noted(&cli, "a"), after(&["x", "b"], "end")),
    ]);
    let error = refused(cycle);
    assert_eq!(error["details"]["index"], 1);
    assert!(text(&error["message"]).contains("b after a after b"));
    let error = refused(with(noted(&cli, "a"), after(&["nobody"], "end")));
    assert_eq!(error["details"].get("index"), None);
    assert!(!cli.home().exists());
}

#[test]
fn a_cycle_by_way_of_a_task_that_waits_already_is_refused() {
    let cli = Cli::new();
    cli.start(work("first", ["hang"]));
    cli.start(with(noted(&cli, "waits"), after(&["first"], "end")));
    let again = with(work("first", ["hang"]), after(&["waits"], "end"));
    let again = with(again, json!({ "if_running": "restart" }));
    let error = cli.run("start").payload(again).err("CommandInputError");
    assert!(text(&error["message"]).contains("first after waits after first"));
    assert_eq!(cli.task("first")["status"], "running");
}

#[test]
fn a_start_that_comes_to_nothing_counts_as_not_succeeded() {
    let cli = Cli::new();
    // There was one before, and it did succeed.
    cli.start_and_wait(script("db", "true"));
    let batch = json!([
        with(noted(&cli, "server"), after(&["db"], "success")),
        with(noted(&cli, "cleanup"), after(&["db"], "end")),
        { "id": "db", "command": "/no/such/program" },
    ]);
    let answer = cli.run("start").payload(batch).flags(["--wait"]).exits(1);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[2]["error"]["type"], "SpawnFailed");
    let server = &results[0]["data"]["task"];
    assert_eq!(server["reason"], "dependency_failed");
    assert!(text(&server["problem"]).contains("db, which could not be started"));
    assert_eq!(results[1]["data"]["task"]["exit_code"], 0);
    assert_eq!(notes(&cli), ["cleanup"]);
    // Once it is there, a restart looks again.
    cli.start_and_wait(script("db", "true"));
    cli.run("restart").payload(json!({ "id": "server" })).ok();
    assert_eq!(cli.wait("server")["exit_code"], 0);
}

#[test]
fn a_restart_does_not_wait_again_for_what_has_been_there() {
    let cli = Cli::new();
    cli.start(script("seed", "true"));
    cli.start(with(noted(&cli, "server"), after(&["seed"], "success")));
    cli.wait("server");
    cli.run("remove").payload(json!({ "id": "seed" })).ok();
    let restarted = cli.run("restart").payload(json!({ "id": "server" })).ok();
    assert_eq!(restarted["status"], "running");
    cli.wait("server");
    assert_eq!(notes(&cli), ["server", "server"]);
}

#[test]
fn a_lost_dependency_is_one_that_failed() {
    let cli = Cli::new();
    cli.start(work("db", ["hang"]));
    cli.start(with(noted(&cli, "server"), after(&["db"], "success")));
    cli.start(with(noted(&cli, "cleanup"), after(&["db"], "end")));
    let main = i32::try_from(cli.task("db")["pid"].as_i64().unwrap()).unwrap();
    let waiting = cli.supervisor("server");
    cli.await_rest("server");
    let slept = processes::times_slept(waiting);
    cli.lose_supervisor("db");
    let looked = || processes::times_slept(waiting) > slept && processes::is_asleep(waiting);
    eventually(looked, "server has looked");
    // Its command lives on.
    assert_eq!(cli.task("server")["status"], "queued");
    processes::send(main, nix::sys::signal::Signal::SIGKILL);
    let server = cli.wait("server");
    assert_eq!(server["reason"], "dependency_failed");
    assert!(text(&server["problem"]).contains("db, which failed (supervisor_lost)"));
    assert_eq!(cli.wait("cleanup")["exit_code"], 0);
}

#[test]
fn who_waits_for_others_stands_in_no_line_yet() {
    let cli = Cli::new();
    let queue = json!({ "queue": { "group": "g", "limit": 1 } });
    cli.start(work("db", ["wait-file", &cli.file("go")]));
    let both = with(noted(&cli, "server"), after(&["db"], "success"));
    let server = cli.start(with(both, queue.clone()));
    assert_eq!(server["queue_position"], Value::Null);
    let other = cli.run("start").payload(with(noted(&cli, "other"), queue));
    assert_eq!(other.flags(["--wait"]).ok()["task"]["exit_code"], 0);
    cli.touch("go");
    cli.wait("server");
    assert_eq!(notes(&cli), ["other", "server"]);
}

#[test]
fn waiting_can_be_stopped_restarted_and_lost() {
    let cli = Cli::new();
    cli.start(work("db", ["wait-file", &cli.file("go")]));
    for id in ["stopped", "restarted", "lost"] {
        cli.start(with(noted(&cli, id), after(&["db"], "success")));
    }
    let stopped = cli.stop("stopped");
    assert_eq!(stopped["reason"], "stop_requested");
    let restarted = cli
        .run("restart")
        .payload(json!({ "id": "restarted" }))
        .ok();
    assert_eq!(restarted["status"], "queued");
    cli.lose_supervisor("lost");
    assert_eq!(cli.task("lost")["reason"], "supervisor_lost");
    // Nobody waits for the one that is started anew meanwhile but as it is then.
    cli.run("restart").payload(json!({ "id": "db" })).ok();
    cli.touch("go");
    assert_eq!(cli.wait("restarted")["exit_code"], 0);
    assert_eq!(notes(&cli), ["restarted"]);
}

#[test]
fn what_was_waited_for_is_forgotten_by_a_start_that_waits_for_nobody() {
    let cli = Cli::new();
    cli.start(work("db", ["hang"]));
    cli.start(with(noted(&cli, "server"), after(&["db"], "success")));
    cli.lose_supervisor("server");
    assert!(cli.task_file("server", "after.json").exists());
    cli.start_and_wait(noted(&cli, "server"));
    assert!(!cli.task_file("server", "after.json").exists());
}

#[test]
fn a_removed_dependency_has_ended_but_not_succeeded() {
    let cli = Cli::new();
    cli.start(work("db", ["hang"]));
    let queue = json!({ "queue": { "group": "g", "limit": 1 } });
    cli.start(with(work("busy", ["wait-file", &cli.file("go")]), queue));
    cli.start(with(
        noted(&cli, "server"),
        after(&["db", "busy"], "success"),
    ));
    cli.stop("db");
    let server = cli.wait("server");
    assert!(text(&server["problem"]).contains("db, which was killed by SIGTERM (stop_requested)"));
    cli.run("remove").payload(json!({ "id": "db" })).ok();
    cli.run("restart").payload(json!({ "id": "server" })).ok();
    let server = cli.wait("server");
    assert!(text(&server["problem"]).contains("db, which has been removed"));
}

#[test]
fn what_has_succeeded_may_be_cleared_away_while_others_are_waited_for() {
    let cli = Cli::new();
    cli.start_and_wait(work("built", []));
    cli.start(work("db", ["wait-file", &cli.file("go")]));
    cli.start(with(
        noted(&cli, "server"),
        after(&["built", "db"], "success"),
    ));
    let supervisor = cli.supervisor("server");
    eventually(|| processes::is_asleep(supervisor), "it has looked");
    cli.run("remove").payload(json!({ "id": "built" })).ok();
    cli.touch("go");
    assert_eq!(cli.wait("server")["exit_code"], 0);
}
