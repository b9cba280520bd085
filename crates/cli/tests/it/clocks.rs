//! Clocks that jump: waiting is measured on the monotonic clock, the wall clock is for records only.

use serde_json::{Value, json};

use crate::harness::{Cli, PROGRAM, end_of, text, with, work};

/// Moves a moment of a record. By years that keep a 29th of February what it is.
fn move_by(moment: &mut Value, years: i32) {
    let before = text(moment);
    let year: i32 = before[..4].parse().expect("a record begins with the year");
    *moment = json!(format!("{}{}", year + years, &before[4..]));
}

/// Makes it look as if the wall clock had been set (back, where this is positive) since the task
/// was started.
fn set_clock_back(cli: &Cli, id: &str, years: i32) {
    cli.edit_record(id, |record| {
        let facts = &mut record["facts"];
        move_by(&mut facts["created_at"], years);
        move_by(&mut facts["state"]["running"]["started_at"], years);
    });
}

#[test]
fn no_duration_is_negative_and_no_end_is_missed_when_the_clock_is_set() {
    for (years, at_least) in [(4, 0), (-4, 4 * 365 * 86_400_000)] {
        let cli = Cli::new();
        for id in ["lost", "watched"] {
            cli.start(work(id, ["print", "x", "hang"]));
        }
        cli.lose_supervisor("lost");
        for id in ["lost", "watched"] {
            set_clock_back(&cli, id, years);
            let task = cli.task(id);
            assert_eq!(task["status"], "running", "{task}");
            assert!(task["duration_ms"].as_i64() >= Some(at_least), "{task}");
        }
        cli.start(work("after", ["print", "x", "hang"]));
        let expected = if years > 0 {
            ["watched", "lost", "after"]
        } else {
            ["after", "watched", "lost"]
        };
        assert_eq!(
            cli.list(json!({})),
            expected,
            "the order is that of created_at"
        );
        for id in ["lost", "watched"] {
            let wait = cli.run("wait").text(id).flags(["--timeout", "0.05"]);
            wait.err("TaskWaitTimedOut");
            let ended = cli.stop(id);
            assert_eq!(ended["reason"], "stop_requested");
            assert!(ended["duration_ms"].as_i64() >= Some(0), "{ended}");
        }
        assert_eq!(cli.run("logs").text("lost").ok()["lines"], json!(["x"]));
    }
}

#[test]
fn a_supervisor_with_a_clock_of_its_own_keeps_its_times() {
    let cli = Cli::new();
    let limit = json!({ "timeout_ms": 300 });
    let payload = with(work("a", ["print", "x", "hang"]), limit).to_string();
    // Its monotonic clock, and that by which the kernel says when it began, are a day ahead of ours.
    let shifted = "exec unshare --time --monotonic 86400 --boottime 86400 --fork \"$@\"";
    let started = cli.shell(shifted, &[PROGRAM, "start", &payload]).ok();
    assert_eq!(started["task"]["status"], "running");
    let ended = cli.wait("a");
    assert_eq!(end_of(&ended)[3], "timed_out");
    let lasted = ended["duration_ms"].as_i64().unwrap();
    assert!((300..60_000).contains(&lasted), "{ended}");
    let again = json!({ "id": "a" }).to_string();
    let restarted = cli.shell(shifted, &[PROGRAM, "restart", &again]).ok();
    assert_eq!(restarted["status"], "running");
    assert_eq!(cli.run("pause").text("a").ok()["task"]["paused"], true);
    assert_eq!(cli.stop("a")["reason"], "stop_requested");
    cli.assert_no_processes();
}
