//! Homes as released versions have left them: `tests/data/homes/VERSION/home.tar.gz`, with what that
//! version said of each task in `expected.json`. They must load for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Cli, text, types, work};

/// The folder of each version.
fn versions() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/homes");
    let entries = fs::read_dir(all).expect("there are homes");
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    assert!(!folders.is_empty());
    folders
}

/// A copy of a home, and what is expected of its tasks.
fn unpacked(version: &Path) -> (Cli, Value) {
    let cli = Cli::new();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--no-same-owner", "--file"])
        .arg(version.join("home.tar.gz"))
        .current_dir(cli.folder());
    assert!(tar.status().is_ok_and(|status| status.success()));
    let expected = fs::read(version.join("expected.json")).expect("it says what is in the home");
    (cli, serde_json::from_slice(&expected).expect("it is JSON"))
}

/// What has become of a task since: nothing outlives a reboot.
fn expected_now(then: &Value) -> Value {
    let mut now = then.clone();
    let status = text(&then["status"]);
    if !["exited", "killed", "failed"].contains(&status.as_str()) {
        now["status"] = json!("failed");
        now["reason"] = json!("host_rebooted");
    }
    now
}

fn assert_is(task: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(task[field], *value, "{field} of {task}");
    }
}

#[test]
fn every_task_of_an_older_version_is_shown_with_its_log_and_its_events() {
    for version in versions() {
        let (cli, expected) = unpacked(&version);
        let expected = expected.as_object().unwrap();
        let listed = cli.run("list").ok();
        assert_eq!(listed["total"], expected.len());
        for task in listed["tasks"].as_array().unwrap() {
            let id = text(&task["id"]);
            let now = expected_now(&expected[&id]);
            assert_is(task, &now);
            assert_is(&cli.task(&id), &now);
            assert_is(&cli.wait(&id), &now);
            let stdout = json!({ "id": id, "stream": "stdout" });
            let inline = ["--output", "inline"];
            let logs = cli.run("logs").payload(stdout).flags(inline).ok();
            let raw = cli.log(&id);
            let last = raw.lines().last().unwrap_or_default();
            let shown = logs["lines"].as_array().unwrap().last();
            assert_eq!(
                shown.map_or("", |line| line.as_str().unwrap()),
                last,
                "{id}"
            );
            let frames = cli.run("events").text(&id).flags(["--follow"]).frames();
            let all = types(&frames);
            assert_eq!(all[0], "task.status.snapshot");
            let end = format!("task.{}", text(&now["status"]));
            assert_eq!(*all.last().unwrap(), end, "{id}: {all:?}");
        }
        let stamped = json!({ "id": "exited", "timestamps": true });
        let stamped = cli.run("logs").payload(stamped).ok();
        let streams: Vec<_> = stamped["lines"].as_array().unwrap().iter().collect();
        assert_eq!(streams.len(), 2);
        assert!(
            streams.iter().all(|line| line["timestamp"].is_string()),
            "{stamped}"
        );
        assert_eq!(cli.task("exited")["env"], json!({ "NAME": "***" }));
        assert_eq!(cli.list(json!({ "tags": ["x", "y"] })), ["exited"]);
        let cut = cli
            .run("logs")
            .text("Capped")
            .flags(["--output", "inline"])
            .ok();
        assert!(cut["truncated_bytes"].as_u64() > Some(0), "{cut}");
        assert_eq!(cut["total_lines"], 4000);
    }
}

#[test]
fn every_task_of_an_older_version_can_go_on_and_be_removed() {
    for version in versions() {
        let (cli, expected) = unpacked(&version);
        for (id, then) in expected.as_object().unwrap() {
            assert_eq!(cli.stop(id)["status"], expected_now(then)["status"], "{id}");
        }
        // The log goes on in the same file, and the numbers count on.
        cli.run("restart").text("exited").ok();
        let ended = cli.wait("exited");
        assert_eq!((&ended["exit_code"], &ended["run"]), (&json!(3), &json!(2)));
        let logs = cli.run("logs").text("exited").ok();
        assert_eq!(logs["total_lines"], 4, "{logs}");
        assert_eq!(cli.log("exited"), "one\none\n");
        // Its input and its environment were kept.
        cli.run("restart").text("succeeded").ok();
        cli.wait("succeeded");
        assert_eq!(cli.log("succeeded"), "given\nvalue\n".repeat(2));
        let anew = json!({ "id": "killed", "shell": "exit 5" });
        assert_eq!(cli.start_and_wait(anew)["exit_code"], 5);
        // What was in the line then keeps nobody waiting now.
        let queued =
            json!({ "id": "next", "shell": "exit 6", "queue": { "group": "g", "limit": 1 } });
        assert_eq!(cli.start_and_wait(queued)["exit_code"], 6);
        cli.run("remove").text("stopped").ok();
        cli.run("status").text("stopped").err("TaskNotFound");
        for id in ["exited", "succeeded", "killed", "next"] {
            cli.await_no_supervisor(id);
        }
        let pruned = cli.run("prune").payload(json!({ "older_than_ms": 0 })).ok();
        assert_eq!(
            pruned["total"],
            expected.as_object().unwrap().len(),
            "{pruned}"
        );
        assert_eq!(cli.list(json!({})), [""; 0]);
        for folder in ["tasks", "logs", "trash"] {
            let left = fs::read_dir(cli.home().join(folder)).unwrap().count();
            assert_eq!(left, 0, "{folder}");
        }
    }
}

#[test]
fn tasks_of_an_older_version_are_recovered() {
    for version in versions() {
        let (cli, _) = unpacked(&version);
        let recovered = cli.run("recover").ok();
        let mut ids: Vec<String> = recovered["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| text(&result["target"]["id"]))
            .collect();
        ids.sort();
        assert_eq!(ids, ["backs-off", "runs"], "{recovered}");
        cli.await_status("runs", "running");
        assert_eq!(cli.task("runs")["run"], 2);
    }
}

/// What somebody has put among the tasks is shown as what cannot be read, hurts no other verb, and can
/// be removed without touching what it leads to.
#[test]
fn what_is_no_folder_among_the_tasks_is_shown_and_removed_like_a_damaged_task() {
    let cli = Cli::new();
    cli.start_and_wait(work("good", ["exit", "0"]));
    let kept = cli.file("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(format!("{kept}/file"), "").unwrap();
    let plant = || {
        let tasks = cli.home().join("tasks");
        std::os::unix::fs::symlink(&kept, tasks.join("link")).unwrap();
        fs::write(tasks.join("file"), "").unwrap();
    };
    plant();
    for id in ["link", "file"] {
        let task = cli.task(id);
        assert_eq!(
            (&task["status"], &task["reason"]),
            (&json!("failed"), &json!("record_corrupt"))
        );
        cli.stop(id);
    }
    let all = || json!({ "all": true });
    assert_eq!(cli.run("stop").payload(all()).ok()["outcome"], "succeeded");
    let dry = cli
        .run("prune")
        .payload(json!({ "keep": 0, "dry_run": true }))
        .ok();
    let wet = cli.run("prune").payload(json!({ "keep": 0 })).ok();
    assert_eq!(dry["removed"], wet["removed"]);
    assert_eq!(wet["removed"].as_array().unwrap().len(), 3);
    plant();
    assert_eq!(
        cli.run("remove").payload(all()).ok()["outcome"],
        "succeeded"
    );
    assert_eq!(cli.list(json!({})), [""; 0]);
    assert!(fs::exists(format!("{kept}/file")).unwrap());
}
