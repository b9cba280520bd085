//! From `start` to the end: what is executed, how, with what, and what is told of its end.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{
    Cli, end_of, eventually, fields, fixture, pid_of, script, text, types, with, work,
};
use crate::processes;

#[test]
fn a_start_answers_with_the_running_task() {
    let cli = Cli::new();
    let answer = cli.run("start").payload(work("a", ["hang"])).ok();
    let task = &answer["task"];
    assert_eq!(fields(&answer), ["lifecycle", "task"]);
    assert_eq!(
        (&task["id"], &task["status"]),
        (&json!("a"), &json!("running"))
    );
    assert!(processes::is_alive(pid_of(task)));
    assert_eq!(processes::arguments(pid_of(task))[1..], ["hang"]);
    let lifecycle = &answer["lifecycle"];
    assert_eq!(lifecycle["submitted_at"], task["created_at"]);
    assert_eq!(lifecycle["waited"], false);
    assert_eq!(lifecycle["timed_out"], false);
    assert_eq!(lifecycle["status"], "running");
    assert_eq!(lifecycle["terminal_status"], Value::Null);
}

#[test]
fn a_start_with_wait_answers_with_the_end_and_the_last_lines() {
    let cli = Cli::new();
    let work = work("a", ["print", "one", "print", "two", "exit", "3"]);
    let answer = cli.run("start").payload(work).flags(["--wait"]).ok();
    assert_eq!(end_of(&answer["task"]), json!(["exited", 3, null, null]));
    assert_eq!(answer["lifecycle"]["waited"], true);
    assert_eq!(answer["lifecycle"]["timed_out"], false);
    assert_eq!(answer["lifecycle"]["terminal_status"], "exited");
    assert_eq!(answer["logs"]["lines"], json!(["one", "two"]));
}

#[test]
fn a_start_with_wait_succeeds_also_when_the_time_is_over() {
    let cli = Cli::new();
    let call = cli.run("start").payload(work("a", ["print", "up", "hang"]));
    let answer = call.flags(["--wait", "--timeout", "0.3"]).ok();
    assert_eq!(answer["task"]["status"], "running");
    assert_eq!(answer["lifecycle"]["waited"], true);
    assert_eq!(answer["lifecycle"]["timed_out"], true);
    assert_eq!(answer["lifecycle"]["terminal_status"], Value::Null);
    assert_eq!(answer["logs"]["running"], true);
}

#[test]
fn a_start_with_wait_succeeds_also_when_there_is_no_time_at_all() {
    let cli = Cli::new();
    for timeout in ["0", "0.0001", "0.002"] {
        let call = cli.run("start").payload(work("a", ["hang"]));
        let answer = call.flags(["--wait", "--timeout", timeout]).ok();
        assert_eq!(answer["lifecycle"]["timed_out"], true);
        cli.stop("a");
    }
}

#[test]
fn the_exit_code_is_told_as_it_was() {
    let cli = Cli::new();
    for code in [0, 1, 7, 126, 255] {
        let task = cli.start_and_wait(work("a", ["exit", &code.to_string()]));
        assert_eq!(end_of(&task), json!(["exited", code, null, null]));
        assert_eq!(task["pid"], Value::Null);
        assert_eq!(cli.task("a"), task);
    }
}

#[test]
fn the_program_can_exit_as_the_task_did() {
    let cli = Cli::new();
    for (directives, code) in [
        (["exit", "0"], 0),
        (["exit", "42"], 42),
        (["signal", "TERM"], 143),
        (["signal", "KILL"], 137),
    ] {
        let call = cli.run("start").payload(work("a", directives));
        call.flags(["--wait", "--exit-code"]).exits(code);
        cli.run("status")
            .text("a")
            .flags(["--exit-code"])
            .exits(code);
    }
}

#[test]
fn a_signal_that_ended_it_is_told_by_name() {
    let cli = Cli::new();
    let ending = ["TERM", "KILL", "HUP", "INT", "PIPE", "USR1", "ALRM"];
    let dumping_core = ["ABRT", "SEGV", "QUIT", "BUS", "FPE", "ILL", "SYS", "TRAP"];
    for name in ending.into_iter().chain(dumping_core) {
        let task = cli.start_and_wait(work("a", ["signal", name]));
        let signal = format!("SIG{name}");
        assert_eq!(end_of(&task), json!(["killed", null, signal, "signalled"]));
    }
}

#[test]
fn a_signal_without_a_name_is_told_by_number() {
    let cli = Cli::new();
    let call = cli.run("start").payload(script("a", "kill -40 $$"));
    let answer = call.flags(["--wait", "--timeout", "5"]).ok();
    let end = end_of(&answer["task"]);
    assert_eq!(end, json!(["killed", null, "SIG40", "signalled"]));
}

#[test]
fn a_child_that_dies_of_a_signal_without_a_name_hides_nothing() {
    let cli = Cli::new();
    let go = cli.file("go");
    let shell = format!(
        "(sh -c 'kill -40 $$' &); echo up; while ! test -e {go}; do sleep 0.01; done; exit 3"
    );
    cli.start(script("a", &shell));
    cli.await_line("a", "up");
    cli.touch("go");
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 3, null, null]));
}

#[test]
fn a_signal_from_elsewhere_is_told_as_such() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["hang"]));
    processes::send(pid_of(&task), nix::sys::signal::Signal::SIGKILL);
    let end = end_of(&cli.wait("a"));
    assert_eq!(end, json!(["killed", null, "SIGKILL", "signalled"]));
}

#[test]
fn a_command_gets_its_arguments_verbatim() {
    let cli = Cli::new();
    let arguments = [
        "",
        "two words",
        "it's \"quoted\"",
        "line\nbreak",
        "größe 日本 🦀",
        "$HOME",
        "*",
        "\\",
        "-x",
        "a;b|c&d",
        "\u{1}",
    ];
    let directives: Vec<&str> = arguments.iter().flat_map(|text| ["print", text]).collect();
    let payload = json!({ "id": "a", "command": fixture(), "args": directives });
    let task = cli.start_and_wait(payload);
    assert_eq!(task["exit_code"], 0);
    assert_eq!(
        cli.log("a"),
        arguments.map(|text| format!("{text}\n")).concat()
    );
    assert_eq!(task["args"], json!(directives));
    assert_eq!(task["command"], fixture());
    assert_eq!(task["shell"], Value::Null);
}

#[test]
fn a_script_runs_through_sh() {
    let cli = Cli::new();
    let shell = "cd / && echo \"$0\" | tr s S; echo \"it's\"; false || exit 4";
    let task = cli.start_and_wait(script("a", shell));
    assert_eq!(task["exit_code"], 4);
    assert_eq!(cli.log("a"), "/bin/Sh\nit's\n");
    assert_eq!(
        (&task["shell"], &task["command"]),
        (&json!(shell), &Value::Null)
    );
    assert_eq!(task["args"], json!([]));
}

#[test]
fn it_runs_where_it_is_told_to_or_where_its_caller_is() {
    let cli = Cli::new();
    fs::create_dir_all(cli.file("there/inner")).unwrap();
    let (here, there) = (cli.file(""), cli.file("there"));
    for (workdir, expected) in [
        (json!({}), here.trim_end_matches('/').to_owned()),
        (json!({ "workdir": there }), there.clone()),
        (json!({ "cwd": "there/inner" }), cli.file("there/inner")),
        (json!({ "workdir": "/" }), "/".to_owned()),
    ] {
        let task = cli.start_and_wait(with(work("a", ["cwd"]), workdir));
        assert_eq!(task["workdir"], expected);
        assert_eq!(cli.log("a"), format!("{expected}\n"));
    }
}

#[test]
fn a_command_with_a_slash_is_found_from_the_workdir() {
    let cli = Cli::new();
    fs::create_dir(cli.file("there")).unwrap();
    cli.make_file("there/tool", "755", "#!/bin/sh\necho found\n");
    let payload = json!({ "id": "a", "command": "./tool", "workdir": "there" });
    assert_eq!(cli.start_and_wait(payload)["exit_code"], 0);
    assert_eq!(cli.log("a"), "found\n");
}

#[test]
fn a_command_without_a_slash_is_found_on_the_path_that_it_gets() {
    let cli = Cli::new();
    fs::create_dir_all(cli.file("bin/decoy/tool")).unwrap();
    cli.make_file("bin/tool", "755", "#!/bin/sh\necho found\n");
    let path = format!("{}:{}", cli.file("bin/decoy"), cli.file("bin"));
    let payload = json!({ "id": "a", "command": "tool", "env": { "PATH": path } });
    assert_eq!(cli.start_and_wait(payload)["exit_code"], 0);
    assert_eq!(cli.log("a"), "found\n");
    let payload = json!({ "id": "b", "command": "sh", "env": { "PATH": path } });
    assert_eq!(
        cli.run("start").payload(payload).err("SpawnFailed")["details"]["step"],
        "exec"
    );
    let payload =
        json!({ "id": "b", "command": "sh", "args": ["-c", "true"], "inherit_env": false });
    assert_eq!(
        cli.start_and_wait(payload)["exit_code"],
        0,
        "found on the default PATH"
    );
}

#[test]
fn env_lies_above_the_env_file_above_what_is_inherited() {
    let cli = Cli::new();
    fs::write(
        cli.file("vars"),
        "# comment\nFILE=file\nexport BOTH='f # x'\nOWN=file\n",
    )
    .unwrap();
    let asked = [
        "env",
        "INHERITED",
        "env",
        "FILE",
        "env",
        "BOTH",
        "env",
        "OWN",
        "env",
        "GONE",
    ];
    let payload = with(
        work("a", asked),
        json!({ "env_file": "vars", "env": { "OWN": "own = \"x\"\nend" } }),
    );
    let call = cli.run("start").payload(payload).flags(["--wait"]);
    call.env("INHERITED", "caller")
        .env("BOTH", "caller")
        .env("OWN", "caller")
        .ok();
    let expected = "INHERITED=caller\nFILE=file\nBOTH=f # x\nOWN=own = \"x\"\nend\nGONE unset\n";
    assert_eq!(cli.log("a"), expected);
}

#[test]
fn nothing_is_inherited_when_that_is_not_wanted() {
    let cli = Cli::new();
    fs::write(cli.file("vars"), "FILE=1\n").unwrap();
    let payload = json!({
        "id": "a", "command": "/usr/bin/env", "inherit_env": false, "env_file": cli.file("vars"),
        "env": { "OWN": "2" },
    });
    let call = cli.run("start").payload(payload).flags(["--wait"]);
    call.env("INHERITED", "caller").ok();
    let log = cli.log("a");
    let mut names: Vec<_> = log
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    let ours = [
        "BACKGROUND_TASKS_HOME",
        "BACKGROUND_TASKS_ID",
        "BACKGROUND_TASKS_RUN",
    ];
    assert_eq!(names, [&ours[..], &["FILE", "OWN"]].concat());
}

#[test]
fn a_command_knows_its_task_and_where_the_tasks_are() {
    let cli = Cli::new();
    let asked = ["env", "BACKGROUND_TASKS_ID", "env", "BACKGROUND_TASKS_HOME"];
    let call = cli
        .run("start")
        .payload(work("a.b", asked))
        .flags(["--wait"]);
    call.env("BACKGROUND_TASKS_ID", "outer")
        .env("BACKGROUND_TASKS_HOME", "home")
        .ok();
    let home = cli.home().display();
    let expected = format!("BACKGROUND_TASKS_ID=a.b\nBACKGROUND_TASKS_HOME={home}\n");
    assert_eq!(cli.log("a.b"), expected);
}

#[test]
fn standard_input_is_at_its_end_at_once() {
    let cli = Cli::new();
    let task = cli.start_and_wait(script("a", "readlink /proc/self/fd/0; cat; echo end"));
    assert_eq!(task["exit_code"], 0);
    assert_eq!(cli.log("a"), "/dev/null\nend\n");
}

#[test]
fn values_of_variables_are_shown_only_when_asked_for() {
    let cli = Cli::new();
    let payload = with(
        work("a", ["hang"]),
        json!({ "env": { "TOKEN": "hunter2" } }),
    );
    let mut answers = vec![cli.run("start").payload(payload).ok()];
    answers.push(cli.run("list").ok());
    answers.push(cli.run("events").text("a").ok());
    answers.push(cli.run("logs").text("a").ok());
    answers.push(cli.run("restart").text("a").ok());
    answers.push(
        cli.run("wait")
            .text("a")
            .flags(["--timeout", "0"])
            .err("TaskWaitTimedOut"),
    );
    answers.push(cli.run("stop").text("a").ok());
    assert!(!json!(answers).to_string().contains("hunter2"));
    assert_eq!(cli.task("a")["env"], json!({ "TOKEN": "***" }));
    let revealed = cli
        .run("status")
        .payload(json!({ "id": "a", "reveal_env": true }))
        .ok();
    assert_eq!(revealed["task"]["env"], json!({ "TOKEN": "hunter2" }));
}

#[test]
fn values_that_were_inherited_or_read_from_a_file_are_never_stored() {
    let cli = Cli::new();
    fs::write(cli.file("vars"), "FROM_FILE=file-secret\n").unwrap();
    let payload = with(
        work("a", ["print", "up", "hang"]),
        json!({ "env_file": "vars" }),
    );
    cli.run("start")
        .payload(payload)
        .env("INHERITED", "caller-secret")
        .ok();
    cli.await_line("a", "up");
    let holds_a_secret = |path: &Path| {
        let content = fs::read(path).unwrap_or_default();
        let content = String::from_utf8_lossy(&content);
        content.contains("file-secret") || content.contains("caller-secret")
    };
    let files = regular_files(cli.home());
    assert!(files.iter().any(|path| path.ends_with("task.json")));
    let told: Vec<_> = files.iter().filter(|path| holds_a_secret(path)).collect();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(cli.task("a")["env"], json!({}));
    assert_eq!(cli.task("a")["env_file"], cli.file("vars"));
}

fn regular_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => regular_files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn every_field_of_the_record_is_there_and_null_without_a_value() {
    let cli = Cli::new();
    let task = cli.start(json!({ "command": "sleep", "args": ["1000"] }));
    let expected = [
        "args",
        "command",
        "created_at",
        "duration_ms",
        "env",
        "exit_code",
        "exited_at",
        "health",
        "id",
        "log_path",
        "name",
        "notify_on_exit",
        "parent_session_id",
        "pid",
        "reason",
        "restart_count",
        "shell",
        "signal",
        "started_at",
        "status",
        "supervised",
        "tags",
        "updated_at",
        "workdir",
    ];
    let promised: HashSet<_> = expected.into_iter().collect();
    let given: HashSet<_> = fields(&task).into_iter().collect();
    assert!(
        promised.is_subset(&given),
        "{:?}",
        promised.difference(&given)
    );
    let nulls = [
        "name",
        "shell",
        "reason",
        "exit_code",
        "signal",
        "exited_at",
        "parent_session_id",
    ];
    for name in nulls {
        assert_eq!(task[name], Value::Null, "{name}");
    }
    let empty = (
        &json!([]),
        &json!({}),
        &json!("none"),
        &json!(0),
        &json!(false),
        &json!(true),
    );
    let found = (&task["tags"], &task["env"], &task["health"]);
    assert_eq!((empty.0, empty.1, empty.2), found);
    let found = (
        &task["restart_count"],
        &task["notify_on_exit"],
        &task["supervised"],
    );
    assert_eq!((empty.3, empty.4, empty.5), found);
    let log = cli.home().join("logs").join(text(&task["id"]) + ".log");
    assert_eq!(task["log_path"], log.to_str().unwrap());
}

#[test]
fn what_was_asked_for_stands_in_the_record() {
    let cli = Cli::new();
    let asked = json!({
        "name": "A name", "tags": ["x", "y"], "parent_session_id": "s", "notify_on_exit": true,
        "inherit_env": false, "stop": { "signal": "int", "grace_ms": 7 }, "leftovers": "wait",
    });
    let task = cli.start(with(work("a", ["hang"]), asked.clone()));
    for (name, value) in asked.as_object().unwrap() {
        let expected = if name == "stop" {
            json!({ "signal": "SIGINT", "grace_ms": 7 })
        } else {
            value.clone()
        };
        assert_eq!(task[name], expected, "{name}");
    }
}

#[test]
fn times_are_utc_with_milliseconds_and_in_order() {
    let cli = Cli::new();
    let task = cli.start_and_wait(work("a", ["sleep", "300"]));
    let moments = ["created_at", "started_at", "exited_at"].map(|name| text(&task[name]));
    for moment in &moments {
        let shape: String = moment
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    }
    assert!(moments.is_sorted(), "{moments:?}");
    assert!(task["updated_at"].as_str() >= Some(moments[2].as_str()));
    let lived = task["duration_ms"].as_u64().unwrap();
    // Counted from when the command was seen to run.
    assert!((150..30_000).contains(&lived), "{lived}");
}

#[test]
fn generated_ids_differ() {
    let cli = Cli::new();
    let start = || text(&cli.start(json!({ "command": "true" }))["id"]);
    let ids: HashSet<String> = (0..5).map(|_| start()).collect();
    assert_eq!(ids.len(), 5);
    for id in ids {
        let digits = id.strip_prefix("bg_").expect("the prefix");
        assert!(
            digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
}

#[test]
fn an_id_that_differs_only_in_case_is_refused() {
    let cli = Cli::new();
    for (first, second) in [("abc", "ABC"), ("Upper", "upper"), ("miXed", "Mixed")] {
        cli.start_and_wait(work(first, []));
        let error = cli
            .run("start")
            .payload(work(second, []))
            .err("CommandInputError");
        assert!(text(&error["message"]).contains(first), "{error}");
        assert_eq!(cli.start_and_wait(work(first, []))["status"], "exited");
        cli.run("status")
            .payload(json!({ "id": second }))
            .err("TaskNotFound");
    }
    assert_eq!(cli.list(json!({})).len(), 3);
}

#[test]
fn a_running_id_is_refused_reused_or_replaced_as_asked() {
    let cli = Cli::new();
    let first = cli.start(work("a", ["hang"]));
    let error = cli
        .run("start")
        .payload(work("a", ["hang"]))
        .err("TaskAlreadyRunning");
    assert_eq!(error["details"]["id"], "a");
    let again = |if_running: &str| with(work("a", ["hang"]), json!({ "if_running": if_running }));
    cli.run("start")
        .payload(again("error"))
        .err("TaskAlreadyRunning");
    assert_eq!(cli.start(again("reuse"))["pid"], first["pid"]);
    let replaced = cli.start(again("restart"));
    assert_ne!(replaced["pid"], first["pid"]);
    assert!(!processes::is_alive(pid_of(&first)));
    assert_eq!(
        replaced["restart_count"], 0,
        "it is a new task, not another run"
    );
}

#[test]
fn if_running_means_nothing_when_it_does_not_run() {
    let cli = Cli::new();
    for if_running in ["reuse", "restart"] {
        for _ in 0..2 {
            let payload = with(
                work("a", ["exit", "1"]),
                json!({ "if_running": if_running }),
            );
            assert_eq!(cli.start_and_wait(payload)["exit_code"], 1);
        }
    }
}

#[test]
fn a_terminal_id_is_started_anew_with_a_fresh_log_and_history() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "old", "exit", "1"]));
    cli.run("restart").text("a").ok();
    let old = cli.wait("a");
    assert_eq!(old["restart_count"], 1);
    let old_log = fs::metadata(cli.home().join("logs/a.log")).unwrap();
    let new = cli.start_and_wait(work("a", ["print", "new"]));
    assert_eq!(end_of(&new), json!(["exited", 0, null, null]));
    assert_eq!((&new["restart_count"], &new["run"]), (&json!(0), &json!(1)));
    assert!(new["created_at"].as_str() > old["created_at"].as_str());
    assert_eq!(cli.log("a"), "new\n");
    assert_ne!(
        fs::metadata(cli.home().join("logs/a.log")).unwrap().ino(),
        old_log.ino()
    );
    let frames = cli.run("events").text("a").flags(["--stream"]).frames();
    let expected = [
        "task.status.snapshot",
        "task.started",
        "task.log.line",
        "task.exited",
    ];
    assert_eq!(types(&frames), expected);
}

/// What a task consists of for its readers.
fn essence(cli: &Cli, id: &str) -> Vec<(Vec<u8>, u64)> {
    let files = ["task.json", "events.ndjson", "log"].map(|name| cli.task_file(id, name));
    let log = cli.home().join(format!("logs/{id}.log"));
    let read = |path: &std::path::PathBuf| {
        let inode = fs::metadata(path).unwrap().ino();
        let is_record = path.ends_with("task.json");
        (fs::read(path).unwrap(), if is_record { 0 } else { inode })
    };
    files.iter().chain([&log]).map(read).collect()
}

#[test]
fn a_failed_start_of_a_known_id_leaves_record_log_and_history_as_they_were() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "kept", "exit", "3"]));
    cli.await_no_supervisor("a");
    let (before, shown) = (essence(&cli, "a"), cli.run("events").text("a").ok());
    for failing in [
        json!({ "id": "a", "command": "/no/such/program" }),
        json!({ "id": "a", "command": "true", "workdir": "/no/such/folder" }),
        json!({ "id": "a", "command": "true", "env_file": "/no/such/file" }),
    ] {
        cli.run("start").payload(failing).err("SpawnFailed");
        cli.await_no_supervisor("a");
        assert!(before == essence(&cli, "a"), "a file has changed");
    }
    assert_eq!(end_of(&cli.task("a")), json!(["exited", 3, null, null]));
    let again = cli.run("events").text("a").ok();
    assert_eq!(
        types(shown["frames"].as_array().unwrap()),
        types(again["frames"].as_array().unwrap())
    );
    assert_eq!(shown["total"], again["total"]);
    let mut names: Vec<_> = fs::read_dir(cli.task_file("a", ""))
        .unwrap()
        .flatten()
        .collect();
    names.retain(|entry| entry.file_name().to_string_lossy().contains(".new"));
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_failed_start_of_a_new_id_leaves_nothing() {
    let cli = Cli::new();
    for failing in [
        json!({ "id": "a", "command": "/no/such/program" }),
        json!({ "command": "/no/such/program" }),
        json!({ "id": "b", "command": "true", "workdir": "/no/such/folder" }),
    ] {
        cli.run("start").payload(failing).err("SpawnFailed");
    }
    let is_empty = |name: &str| {
        fs::read_dir(cli.home().join(name))
            .unwrap()
            .next()
            .is_none()
    };
    eventually(|| is_empty("trash"), "what was made is deleted");
    assert!(is_empty("tasks") && is_empty("logs"));
    cli.run("status").text("a").err("TaskNotFound");
    assert_eq!(cli.start_and_wait(work("a", ["exit", "2"]))["exit_code"], 2);
}

/// Starts what cannot be executed and returns `[step, errno_name, subject]` and the message.
fn failure(cli: &Cli, payload: Value) -> (Value, String) {
    let error = cli.run("start").payload(payload).err("SpawnFailed");
    let details = &error["details"];
    assert!(
        details["errno"].is_i64() || details["errno"].is_string(),
        "{error}"
    );
    assert_eq!(details["retryable"], false, "{error}");
    let told = json!([details["step"], details["errno_name"], details["subject"]]);
    (told, text(&error["message"]))
}

#[test]
fn a_failed_start_names_the_step_and_the_errno() {
    let cli = Cli::new();
    let plain = cli.make_file("plain", "644", "x");
    let folder = cli.file("");
    let gone = cli.file("gone");
    for (payload, step, errno, subject) in [
        (
            json!({ "command": "no-such-program-here", "env": { "PATH": "/bin" } }),
            "exec",
            "ENOENT",
            "no-such-program-here",
        ),
        (json!({ "command": gone }), "exec", "ENOENT", gone.as_str()),
        (json!({ "command": plain }), "exec", "EACCES", &plain),
        (json!({ "command": folder }), "exec", "EACCES", &folder),
        (
            json!({ "command": format!("{plain}/x") }),
            "exec",
            "ENOTDIR",
            &format!("{plain}/x"),
        ),
        (
            json!({ "command": "true", "workdir": gone }),
            "workdir",
            "ENOENT",
            &gone,
        ),
        (
            json!({ "command": "true", "workdir": plain }),
            "workdir",
            "ENOTDIR",
            &plain,
        ),
        (
            json!({ "command": "true", "env_file": gone }),
            "env_file",
            "ENOENT",
            &gone,
        ),
        (
            json!({ "command": "true", "env_file": folder }),
            "env_file",
            "EISDIR",
            &folder,
        ),
        (
            json!({ "shell": "true", "workdir": gone }),
            "workdir",
            "ENOENT",
            &gone,
        ),
    ] {
        let (told, message) = failure(&cli, payload);
        assert_eq!(told, json!([step, errno, subject]), "{message}");
        assert!(message.contains(errno), "{message}");
    }
}

#[test]
fn arguments_that_the_kernel_refuses_are_a_failed_exec() {
    let cli = Cli::new();
    let payload = json!({ "command": "true", "args": ["x".repeat(200 << 10)] });
    let call = cli.run("start").stdin(payload.to_string());
    let error = call.err("SpawnFailed");
    assert_eq!(error["details"]["errno_name"], "E2BIG");
    assert_eq!(error["details"]["step"], "exec");
}

#[test]
fn a_missing_interpreter_is_not_told_as_a_missing_program() {
    let cli = Cli::new();
    let path = cli.make_file("tool", "755", "#!/no/such/interpreter\n");
    let (told, message) = failure(&cli, json!({ "command": path }));
    assert_eq!(told, json!(["exec", "ENOENT", path]));
    assert!(message.contains("interpreter"), "{message}");
    assert!(!message.contains("No such file"), "{message}");
}

#[test]
fn a_file_that_is_no_program_is_told_as_such() {
    let cli = Cli::new();
    let path = cli.make_file("tool", "755", "echo no shebang\n");
    let (told, message) = failure(&cli, json!({ "command": path }));
    assert_eq!(told, json!(["exec", "ENOEXEC", path]));
    assert!(message.contains("#!"), "{message}");
}

#[test]
fn a_malformed_env_file_is_told_by_line_and_without_its_values() {
    let cli = Cli::new();
    let path = cli.make_file("vars", "600", "GOOD=1\n\nsecret-without-equals\n");
    let (told, message) = failure(&cli, json!({ "command": "true", "env_file": path }));
    assert_eq!(told, json!(["env_file", "EINVAL", path]));
    assert!(
        message.contains("line 3") && !message.contains("secret"),
        "{message}"
    );
}

#[test]
fn all_output_is_in_the_log_in_the_order_in_which_it_was_written() {
    let cli = Cli::new();
    let directives = [
        "print", "o1", "eprint", "e1", "print", "o2", "eprint", "e2", "raw", "00ff0d61",
    ];
    cli.start_and_wait(work("a", directives));
    let log = fs::read(cli.home().join("logs/a.log")).unwrap();
    assert_eq!(log, b"o1\ne1\no2\ne2\n\x00\xff\ra");
    let same = fs::metadata(cli.task_file("a", "log")).unwrap().ino();
    assert_eq!(
        fs::metadata(cli.home().join("logs/a.log")).unwrap().ino(),
        same
    );
}

#[test]
fn many_short_lives_end_as_they_should() {
    let cli = Cli::new();
    let many: Vec<Value> = (0..50)
        .map(|n| work(&format!("t{n}"), ["exit", &n.to_string()]))
        .collect();
    let flags = ["--wait", "--concurrency", "10"];
    let answer = cli.run("start").payload(json!(many)).flags(flags).ok();
    for (n, result) in answer["results"].as_array().unwrap().iter().enumerate() {
        let end = end_of(&result["data"]["task"]);
        assert_eq!(end, json!(["exited", n, null, null]));
    }
}

#[test]
fn an_env_file_that_is_none_is_refused_at_once_with_the_reason() {
    let cli = Cli::new();
    let fifo = cli.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let latin = cli.file("latin");
    fs::write(&latin, b"A=1\nB=caf\xe9\n").unwrap();
    let reasons = [
        (fifo, "regular file"),
        ("/dev/zero".to_owned(), "line 1 holds a NUL"),
        (latin, "line 2"),
    ];
    for (file, reason) in reasons {
        let payload = json!({ "id": "a", "command": "true", "env_file": file });
        let error = cli.run("start").payload(payload).err("SpawnFailed");
        assert_eq!(error["details"]["step"], "env_file");
        assert!(text(&error["message"]).contains(reason), "{error}");
        cli.run("status").text("a").err("TaskNotFound");
    }
}
