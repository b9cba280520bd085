//! `"stderr": "separate"`: two logs that live and go together.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, with, work};

/// Both streams in turn, then an end.
const BOTH: [&str; 10] = [
    "print", "out", "eprint", "err", "raw", "6f", "eprint", "err", "exit", "3",
];

fn separate(payload: Value) -> Value {
    with(payload, json!({ "stderr": "separate" }))
}

fn stderr_log(cli: &Cli) -> PathBuf {
    cli.home().join("logs/a.stderr.log")
}

/// Both logs.
fn logs(cli: &Cli) -> (String, String) {
    (cli.log("a"), cli.log("a.stderr"))
}

/// Another run, to its end.
fn restart(cli: &Cli) {
    cli.run("restart").payload(json!({ "id": "a" })).ok();
    cli.wait("a");
}

fn both(out: &str, err: &str) -> (String, String) {
    (out.to_owned(), err.to_owned())
}

#[test]
fn each_stream_has_a_log_that_holds_its_bytes() {
    let cli = Cli::new();
    let task = cli.start_and_wait(separate(work("a", BOTH)));
    assert_eq!(logs(&cli), both("out\no", "err\nerr\n"));
    assert_eq!(
        (&task["stderr"], &task["exit_code"]),
        (&json!("separate"), &json!(3))
    );
    assert_eq!(task["stderr_log_path"], stderr_log(&cli).to_str().unwrap());
    let public = fs::metadata(stderr_log(&cli)).unwrap();
    let second = fs::metadata(cli.task_file("a", "log.stderr")).unwrap();
    assert_eq!((public.ino(), public.mode() & 0o777), (second.ino(), 0o600));
}

#[test]
fn one_log_takes_both_unless_told() {
    let cli = Cli::new();
    for more in [
        json!({}),
        json!({ "stderr": "merge" }),
        json!({ "stderr": null }),
    ] {
        let task = cli.start_and_wait(with(work("a", BOTH), more));
        assert_eq!(cli.log("a"), "out\nerr\noerr\n");
        assert_eq!(
            (&task["stderr"], &task["stderr_log_path"]),
            (&json!("merge"), &Value::Null)
        );
        assert!(!stderr_log(&cli).exists());
    }
}

#[test]
fn a_restart_goes_on_with_both() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    let before = fs::metadata(stderr_log(&cli)).unwrap().ino();
    restart(&cli);
    assert_eq!(logs(&cli), both("out\noout\no", "err\nerr\nerr\nerr\n"));
    // Removed by hand under its public name, it is given back.
    fs::remove_file(stderr_log(&cli)).unwrap();
    restart(&cli);
    assert_eq!(cli.log("a.stderr").len(), 24);
    assert_eq!(fs::metadata(stderr_log(&cli)).unwrap().ino(), before);
}

#[test]
fn a_task_that_is_started_anew_has_new_logs() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    let before = fs::metadata(stderr_log(&cli)).unwrap().ino();
    let old = fs::File::open(stderr_log(&cli)).unwrap();
    cli.start_and_wait(separate(work("a", ["eprint", "new"])));
    assert_eq!(logs(&cli), both("", "new\n"));
    assert_ne!(fs::metadata(stderr_log(&cli)).unwrap().ino(), before);
    assert_eq!(old.metadata().unwrap().len(), 8);
}

#[test]
fn a_task_that_is_started_anew_without_it_has_one_log() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    let task = cli.start_and_wait(work("a", ["eprint", "new"]));
    assert_eq!(cli.log("a"), "new\n");
    assert_eq!(task["stderr_log_path"], Value::Null);
    assert!(!stderr_log(&cli).exists());
    assert!(!cli.task_file("a", "log.stderr").exists());
}

#[test]
fn a_start_that_fails_leaves_both_as_they_were() {
    let cli = Cli::new();
    let nothing = separate(json!({ "id": "a", "command": "/nowhere" }));
    cli.run("start").payload(nothing.clone()).err("SpawnFailed");
    assert!(!stderr_log(&cli).exists());
    assert!(!cli.task_file("a", "").exists());
    cli.start_and_wait(separate(work("a", BOTH)));
    cli.run("start").payload(nothing).err("SpawnFailed");
    assert_eq!(logs(&cli), both("out\no", "err\nerr\n"));
    assert!(!cli.task_file("a", "log.stderr.next").exists());
}

#[test]
fn what_was_planted_in_its_place_is_refused() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    let target = cli.file("target");
    fs::write(&target, "precious").unwrap();
    fs::remove_file(stderr_log(&cli)).unwrap();
    symlink(&target, stderr_log(&cli)).unwrap();
    let refused = cli
        .run("start")
        .payload(separate(work("a", BOTH)))
        .err("StoreError");
    assert!(refused.to_string().contains("a.stderr.log"), "{refused}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(stderr_log(&cli).is_symlink());
}

#[test]
fn events_stand_at_their_places_in_both() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    let last = || {
        let journal = fs::read_to_string(cli.task_file("a", "events.ndjson")).ok()?;
        let last: Value = serde_json::from_str(journal.lines().last()?).ok()?;
        (last["type"] == "task.exited").then_some(last)
    };
    let end = eventually(last, "the end is in the journal");
    assert_eq!(
        (&end["log_offset"], &end["stderr_offset"]),
        (&json!(5), &json!(8))
    );
}

#[test]
fn an_unknown_way_is_refused() {
    let cli = Cli::new();
    for wrong in ["both", "Separate", ""] {
        let payload = with(work("a", []), json!({ "stderr": wrong }));
        let error = cli.run("start").payload(payload).err("CommandInputError");
        assert_eq!(error["details"]["field"], "stderr", "{error}");
    }
}

#[test]
fn the_log_that_is_pointed_to_is_that_of_the_stream_that_was_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(separate(work("a", BOTH)));
    for (stream, path, size) in [
        ("all", "logs/a.log", 5),
        ("stdout", "logs/a.log", 5),
        ("stderr", "logs/a.stderr.log", 8),
    ] {
        let request = json!({ "id": "a", "stream": stream, "lines": 1 });
        let artifact = cli.run("logs").payload(request).ok()["artifact"].clone();
        assert_eq!(artifact["relative_path"], path, "{stream}");
        assert_eq!(artifact["size_bytes"], size, "{stream}");
        assert_eq!(
            artifact["absolute_path"],
            cli.home().join(path).to_str().unwrap()
        );
    }
}
