//! The home: where it is, who may read it, and what is refused as one.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Call, Cli, inherit_nothing, text, with, work};

/// A call of each verb that looks or changes.
fn each_verb(cli: &Cli) -> Vec<Call> {
    let named = ["status", "wait", "stop", "restart", "logs", "events"];
    let mut calls: Vec<_> = named.map(|verb| cli.run(verb).text("a")).into();
    calls.push(cli.run("list"));
    calls.push(cli.run("start").payload(work("a", [])));
    calls.push(cli.run("stop").payload(json!({ "all": true })));
    calls
}

/// Whatever is asked for is a `StoreError` that names the home.
fn is_refused(cli: &Cli, home: &str) {
    for call in each_verb(cli) {
        let error = call.env("BACKGROUND_TASKS_HOME", home).err("StoreError");
        assert!(text(&error["details"]["path"]).starts_with(home), "{error}");
    }
    let doctor = cli.run("doctor").env("BACKGROUND_TASKS_HOME", home).ok();
    assert_eq!(doctor["status"], "failed");
    let check = &doctor["checks"][0];
    assert_eq!(
        (&check["id"], &check["ok"]),
        (&json!("home"), &json!(false))
    );
    assert!(!text(&check["fix"]).is_empty());
}

#[test]
fn a_file_is_no_home() {
    let cli = Cli::new();
    fs::write(cli.file("file"), "kept").unwrap();
    is_refused(&cli, &cli.file("file"));
    assert_eq!(fs::read(cli.file("file")).unwrap(), b"kept");
}

#[test]
fn a_home_that_cannot_be_made_is_told() {
    let cli = Cli::new();
    fs::write(cli.file("file"), "").unwrap();
    for home in ["/proc/no/home", &cli.file("file/home")] {
        let start = cli.run("start").payload(work("a", []));
        let error = start.env("BACKGROUND_TASKS_HOME", home).err("StoreError");
        assert!(!text(&error["details"]["path"]).is_empty());
        assert!(error["details"]["errno_name"].is_string(), "{error}");
    }
}

#[test]
fn a_home_that_others_may_write_to_is_refused() {
    let cli = Cli::new();
    for mode in [0o777, 0o720, 0o702, 0o1777] {
        let home = cli.file(&format!("home-{mode:o}"));
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(mode)).unwrap();
        is_refused(&cli, &home);
        assert!(
            fs::read_dir(&home).unwrap().next().is_none(),
            "nothing was made in it"
        );
    }
}

#[test]
fn a_home_that_others_may_read_is_allowed() {
    let cli = Cli::new();
    fs::create_dir(cli.home()).unwrap();
    fs::set_permissions(cli.home(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(cli.start_and_wait(work("a", []))["status"], "exited");
}

#[test]
fn a_home_of_someone_else_is_refused() {
    let cli = Cli::new();
    let home = if nix::unistd::geteuid().is_root() {
        let home = cli.file("foreign");
        fs::create_dir(&home).unwrap();
        let nobody = (
            nix::unistd::Uid::from_raw(65534),
            nix::unistd::Gid::from_raw(65534),
        );
        nix::unistd::chown(Path::new(&home), Some(nobody.0), Some(nobody.1)).unwrap();
        home
    } else {
        "/".to_owned()
    };
    is_refused(&cli, &home);
}

#[test]
fn without_any_place_for_a_home_there_is_an_error() {
    let cli = Cli::new();
    // Only verbs that do not write: were a home found after all, it would be a real one.
    for call in [
        cli.run("list"),
        cli.run("status").text("a"),
        cli.run("logs").text("a"),
    ] {
        let call = call
            .without_env("BACKGROUND_TASKS_HOME")
            .without_env("HOME");
        let error = call.err("StoreError");
        assert!(text(&error["message"]).contains("HOME"), "{error}");
    }
    let call = cli
        .run("list")
        .env("BACKGROUND_TASKS_HOME", "")
        .env("HOME", "");
    call.err("StoreError");
}

#[test]
fn the_home_is_found_by_the_environment() {
    let cli = Cli::new();
    let at = |call: Call| {
        let call = call.payload(with(work("a", []), json!({ "if_running": "reuse" })));
        PathBuf::from(text(&call.flags(["--wait"]).ok()["task"]["log_path"]))
    };
    let start = || {
        cli.run("start")
            .without_env("BACKGROUND_TASKS_HOME")
            .env("HOME", cli.file("user"))
    };
    fs::create_dir(cli.file("user")).unwrap();
    let below = |name: &str| PathBuf::from(cli.file(name)).join("background-tasks/logs/a.log");
    assert_eq!(at(start()), below("user/.local/state"));
    assert_eq!(
        at(start().env("XDG_STATE_HOME", cli.file("state"))),
        below("state")
    );
    assert_eq!(
        at(start().env("XDG_STATE_HOME", "relative")),
        below("user/.local/state")
    );
    let own = start()
        .env("XDG_STATE_HOME", cli.file("state"))
        .env("BACKGROUND_TASKS_HOME", "own");
    assert_eq!(at(own), PathBuf::from(cli.file("own/logs/a.log")));
    let mode = fs::metadata(cli.file("own")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn any_path_can_be_a_home() {
    let cli = Cli::new();
    fs::create_dir_all(cli.file("real")).unwrap();
    symlink(cli.file("real"), cli.file("link")).unwrap();
    for home in [
        "with space",
        "größe-日本",
        "line\nbreak",
        "deep/er/and/deeper",
        "link",
        "quote'\"",
        "-x",
    ] {
        let home = cli.file(home);
        let run = |verb: &str| cli.run(verb).env("BACKGROUND_TASKS_HOME", &home);
        run("start")
            .payload(work("a", ["env", "BACKGROUND_TASKS_HOME", "hang"]))
            .ok();
        let task = run("restart").text("a").ok();
        assert_eq!(task["task"]["log_path"], format!("{home}/logs/a.log"));
        assert_eq!(run("stop").text("a").ok()["status"], "killed");
    }
}

/// Every path below a folder with its mode.
fn modes_below(folder: &Path) -> Vec<(PathBuf, u32, bool)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        all.push((
            entry.path(),
            meta.permissions().mode() & 0o7777,
            meta.is_dir(),
        ));
        if meta.is_dir() {
            all.extend(modes_below(&entry.path()));
        }
    }
    all
}

#[test]
fn only_the_owner_may_enter_and_read_whatever_the_umask_says() {
    for umask in ["umask 000", "umask 077", "umask 022"] {
        let cli = Cli::new();
        let payload = work("a", ["print", "x", "hang"]);
        cli.run("start").payload(payload).after(umask).ok();
        cli.run("restart").text("a").after(umask).ok();
        cli.run("stop").text("a").after(umask).ok();
        cli.run("start")
            .payload(work("a", ["hang"]))
            .after(umask)
            .ok();
        cli.run("start")
            .payload(json!({ "command": "/no/such/program" }))
            .after(umask)
            .err("SpawnFailed");
        cli.run("doctor").after(umask).ok();
        let all = modes_below(cli.home());
        assert!(all.iter().any(|(path, ..)| path.ends_with("tasks/a/live")));
        for (path, mode, is_folder) in all {
            let expected = if is_folder { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{umask}: {}", path.display());
        }
        let home = fs::metadata(cli.home()).unwrap().permissions().mode();
        assert_eq!(home & 0o7777, 0o700, "{umask}");
    }
}

#[test]
fn a_log_is_never_written_through_a_planted_link() {
    let cli = Cli::new();
    cli.start_and_wait(work("other", []));
    fs::write(cli.file("victim"), "kept").unwrap();
    symlink(cli.file("victim"), cli.home().join("logs/a.log")).unwrap();
    let error = cli
        .run("start")
        .payload(work("a", ["print", "x"]))
        .err("StoreError");
    assert!(
        text(&error["details"]["path"]).ends_with("logs/a.log"),
        "{error}"
    );
    assert_eq!(fs::read(cli.file("victim")).unwrap(), b"kept");
    assert!(!cli.task_file("a", "").exists());
}

#[test]
fn a_log_that_was_replaced_by_a_link_is_not_followed() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "x"]));
    cli.await_no_supervisor("a");
    fs::write(cli.file("victim"), "secret\n").unwrap();
    fs::remove_file(cli.home().join("logs/a.log")).unwrap();
    symlink(cli.file("victim"), cli.home().join("logs/a.log")).unwrap();
    cli.run("start")
        .payload(work("a", ["print", "y"]))
        .err("StoreError");
    let restarted = cli.run("restart").text("a").output();
    if restarted.status.success() {
        cli.wait("a");
    }
    fs::remove_file(cli.task_file("a", "log")).unwrap();
    let logs = cli.run("logs").text("a").output();
    assert!(!String::from_utf8_lossy(&logs.stdout).contains("secret"));
    assert_eq!(fs::read(cli.file("victim")).unwrap(), b"secret\n");
}

#[test]
fn other_planted_links_are_not_followed_either() {
    let cli = Cli::new();
    cli.start_and_wait(work("real", ["exit", "3"]));
    cli.await_no_supervisor("real");
    symlink(cli.task_file("real", ""), cli.home().join("tasks/linked")).unwrap();
    cli.run("start")
        .payload(work("linked", []))
        .err("StoreError");
    fs::write(cli.file("victim"), "kept").unwrap();
    symlink(cli.file("victim"), cli.home().join("locks/locked.lock")).unwrap();
    cli.run("start")
        .payload(work("locked", []))
        .err("StoreError");
    let record = cli.task_file("real", "task.json");
    fs::rename(&record, cli.file("record")).unwrap();
    symlink(cli.file("record"), &record).unwrap();
    assert_eq!(cli.task("real")["reason"], "record_corrupt");
    assert_eq!(
        cli.start_and_wait(work("real", ["exit", "4"]))["exit_code"],
        4
    );
    assert!(fs::symlink_metadata(&record).unwrap().is_file());
    assert_eq!(fs::read(cli.file("victim")).unwrap(), b"kept");
}

#[test]
fn a_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    cli.await_no_supervisor("a");
    let plant = |path: &Path| {
        fs::remove_file(path).ok();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        assert!(fs::metadata(path).unwrap().file_type().is_fifo());
    };
    plant(&cli.home().join("logs/b.log"));
    cli.run("start").payload(work("b", [])).err("StoreError");
    for name in ["events.ndjson", "end", "want.json", "task.json"] {
        // The run that a restart has begun is over.
        cli.await_no_supervisor("a");
        plant(&cli.task_file("a", name));
        for verb in ["status", "events", "stop", "logs", "restart"] {
            cli.run(verb).text("a").output();
        }
    }
}

#[test]
fn a_start_without_enough_descriptors_is_told_and_leaves_nothing() {
    let cli = Cli::new();
    cli.start_and_wait(work("other", []));
    for limit in 5..64 {
        let call = cli.run("start").payload(work("a", ["hang"]));
        let call = call.before_exec(inherit_nothing);
        let outcome = call.after(&format!("ulimit -n {limit}")).output();
        if outcome.status.success() {
            cli.stop("a");
            return;
        }
        let envelope: Value = serde_json::from_slice(&outcome.stderr).unwrap();
        let kind = text(&envelope["error"]["type"]);
        assert!(
            ["StoreError", "SpawnFailed"].contains(&kind.as_str()),
            "{limit}: {outcome:?}"
        );
        let details = outcome.err(&kind)["details"].take();
        assert_eq!(
            (&details["errno_name"], &details["retryable"]),
            (&json!("EMFILE"), &json!(true))
        );
        assert!(!cli.task_file("a", "").exists(), "{limit}");
        assert_eq!(cli.commands(), [0; 0], "{limit}");
    }
    panic!("64 descriptors are not enough");
}

#[test]
fn a_home_can_be_removed_while_nothing_runs() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", []));
    cli.await_no_supervisor("a");
    fs::remove_dir_all(cli.home()).unwrap();
    cli.run("status").text("a").err("TaskNotFound");
    assert_eq!(cli.list(json!({})), [""; 0]);
    assert_eq!(cli.start_and_wait(work("a", ["exit", "2"]))["exit_code"], 2);
}

#[test]
fn parts_of_a_home_that_are_missing_are_made_again() {
    let cli = Cli::new();
    for part in ["locks", "trash"] {
        cli.start_and_wait(work("a", []));
        cli.await_no_supervisor("a");
        let _ = fs::remove_dir_all(cli.home().join(part));
        let fresh = format!("after-{part}");
        assert_eq!(
            cli.start_and_wait(work(&fresh, ["print", "x"]))["exit_code"],
            0,
            "{part}"
        );
        assert_eq!(
            cli.run("logs").payload(json!({ "id": fresh })).ok()["lines"],
            json!(["x"])
        );
    }
}
