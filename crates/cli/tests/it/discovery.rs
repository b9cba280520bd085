//! What the program tells about itself, held against what it does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Cli, end_of, fields, script, text, with, work};
use crate::json_schema::faults;

const TASK_VERBS: [&str; 15] = [
    "start", "status", "list", "wait", "stop", "restart", "send", "signal", "pause", "resume",
    "recover", "remove", "prune", "logs", "events",
];
const AGENT_COMMANDS: [&str; 4] = [
    "agent list",
    "agent command",
    "agent parse",
    "agent install",
];
const DISCOVERY: [&str; 7] = [
    "doctor",
    "capabilities",
    "schema list",
    "schema show",
    "examples list",
    "examples show",
    "skill",
];

fn every_command() -> impl Iterator<Item = &'static str> {
    let commands = TASK_VERBS.into_iter().chain(AGENT_COMMANDS);
    commands.chain(DISCOVERY)
}

fn texts(array: &Value) -> Vec<String> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(text)
        .collect()
}

fn names(array: &Value) -> Vec<String> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(|entry| text(&entry["name"]))
        .collect()
}

fn sorted<T: Into<String>>(words: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    words.into_iter().map(Into::into).collect()
}

#[test]
fn capabilities_name_every_command() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    assert_eq!(
        told["payload_modes"],
        json!(["inline-json", "@file", "stdin:-"])
    );
    assert_eq!(told["output_modes"], json!(["auto", "inline", "artifact"]));
    assert_eq!(sorted(texts(&told["discovery"])), sorted(DISCOVERY));
    assert_eq!(sorted(names(&told["commands"])), sorted(every_command()));
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert!(!cli.home().exists());
}

#[test]
fn capabilities_name_statuses_errors_and_frames_of_the_contract() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    let statuses = [
        "queued", "starting", "running", "exited", "killed", "failed",
    ];
    assert_eq!(names(&told["statuses"]), statuses);
    let terminal: Vec<_> = told["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["terminal"])
        .collect();
    assert_eq!(terminal, [false, false, false, true, true, true]);
    let errors = [
        "CommandInputError",
        "TaskNotFound",
        "TaskAlreadyRunning",
        "TaskNotRunning",
        "TaskWaitTimedOut",
        "SpawnFailed",
        "ProviderNotInstalled",
        "StoreError",
        "Unsupported",
        "InternalError",
    ];
    assert_eq!(sorted(names(&told["error_types"])), sorted(errors));
    let frames = sorted(texts(&told["event_types"]));
    for known in [
        "task.status.snapshot",
        "task.log.line",
        "task.log.truncated",
        "task.logs.started",
        "task.logs.completed",
        "task.started",
        "task.exited",
        "task.killed",
        "task.failed",
        "task.restarting",
        "task.stop_requested",
        "task.work_dropped",
        "agent.session",
        "agent.text",
        "agent.thinking",
        "agent.tool_start",
        "agent.tool_delta",
        "agent.tool_end",
        "agent.end",
        "agent.crashed",
    ] {
        assert!(frames.contains(known), "{known}");
    }
    assert_eq!(texts(&told["reasons"]["exited"]), ["completed"]);
    for known in ["stop_requested", "signalled"] {
        assert!(
            texts(&told["reasons"]["killed"]).contains(&known.to_owned()),
            "{known}"
        );
    }
    for known in [
        "spawn_failed",
        "supervisor_lost",
        "host_rebooted",
        "record_corrupt",
    ] {
        assert!(
            texts(&told["reasons"]["failed"]).contains(&known.to_owned()),
            "{known}"
        );
    }
}

#[test]
fn every_view_and_stream_that_is_told_is_taken() {
    let cli = Cli::new();
    cli.start_and_wait(with(
        work("a", ["raw", "610d62"]),
        json!({ "stderr": "separate" }),
    ));
    let told = cli.run("capabilities").ok();
    let ask = |field: &str, value: &Value| {
        let request = json!({ "id": "a", field: value });
        cli.run("logs").payload(request).ok()
    };
    for (field, all) in [("view", "log_views"), ("stream", "log_streams")] {
        let default = &told["defaults"][format!("log_{field}")];
        assert_eq!(ask(field, default), cli.run("logs").text("a").ok());
        let schema = schema(&cli, "logs", "input").to_string();
        for value in told[all].as_array().unwrap() {
            ask(field, value);
            assert!(schema.contains(&value.to_string()), "{value}");
        }
    }
    assert_eq!(ask("view", &json!("raw"))["lines"], json!(["a\rb"]));
}

#[test]
fn every_flag_that_is_told_is_taken() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    for command in told["commands"].as_array().unwrap() {
        let mut words: Vec<String> = text(&command["name"])
            .split(' ')
            .map(String::from)
            .collect();
        for flag in texts(&command["flags"]) {
            let value = match flag.as_str() {
                "--output" => Some("auto"),
                "--timeout" => Some("0.5"),
                "--concurrency" => Some("3"),
                _ => None,
            };
            words.push(flag);
            words.extend(value.map(String::from));
        }
        words.push("--help".to_owned());
        let help = cli.arguments(words.iter().map(String::as_str)).ok();
        assert_eq!(help["commands"][0]["name"], command["name"]);
        let flags = texts(&command["flags"]);
        assert!(flags.contains(&"--output".into()) && flags.contains(&"--timeout".into()));
    }
}

#[test]
fn defaults_that_are_told_are_those_that_hold() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    let health = json!({ "type": "command", "command": "true" });
    let watch = json!([{ "name": "w", "pattern": "p" }]);
    let more = json!({ "health": health, "watch": watch, "after": { "ids": ["b"] } });
    cli.start_and_wait(work("b", []));
    let task = cli.start_and_wait(with(work("a", []), more));
    let batch = cli.run("stop").payload(json!({ "all": true })).ok();
    for field in ["stop", "leftovers", "stderr", "stdin", "limits", "restart"] {
        assert_eq!(told["defaults"][field], task[field], "{field}");
    }
    for (field, default) in told["defaults"]["health"].as_object().unwrap() {
        assert_eq!(*default, task["health_probe"][field], "{field}");
    }
    let throttle = &told["defaults"]["watch"]["throttle_ms"];
    assert_eq!(*throttle, task["watch"][0]["throttle_ms"]);
    assert_eq!(told["defaults"]["after"]["on"], task["after"]["on"]);
    assert_eq!(told["defaults"]["concurrency"], batch["concurrency"]);
    assert_eq!(told["defaults"]["timeout_seconds"], 60);
    assert_eq!(told["defaults"]["list_limit"], 200);
    assert_eq!(told["defaults"]["log_lines"], 100);
    assert_eq!(told["defaults"]["log_max_bytes"], 65536);
    assert_eq!(told["defaults"]["log_max_line_bytes"], 4096);
    assert_eq!(told["defaults"]["log_max_matches"], 100);
    for (limit, value) in [
        ("payload_bytes", 16 << 20),
        ("id_length", 64),
        ("list_limit", 1_000_000),
        ("least_log_bytes", 65536),
        ("pattern_bytes", 4 << 20),
        ("searched_line_bytes", 1 << 20),
        ("watched_line_bytes", 64 << 10),
        ("watch_event_line_bytes", 4096),
        ("watch_backlog_bytes", 64 << 20),
        ("watch_last_bytes", 16 << 20),
        ("health_url_bytes", 8000),
        ("start_least_timeout_ms", 10_000),
        ("on_exit_timeout_ms", 30_000),
        ("on_exit_output_bytes", 4096),
        ("line_time_ms", 100),
        ("unfinished_line_ms", 200),
    ] {
        assert_eq!(told["limits"][limit], value, "{limit}");
    }
    assert_eq!(fields(&told["limits"]).len(), 16);
}

#[test]
fn capabilities_tell_of_the_host_what_doctor_finds() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    assert!(!cli.home().exists());
    let found = cli.run("doctor").ok();
    let of_host = told["host"].as_array().unwrap();
    for known in ["pidfd", "limit_memory", "limit_open_files"] {
        assert!(of_host.iter().any(|check| check["id"] == known), "{known}");
    }
    for check in of_host {
        assert!(
            found["checks"].as_array().unwrap().contains(check),
            "{check}"
        );
    }
}

#[test]
fn capabilities_name_what_flags_are_and_how_commands_answer() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    let known = sorted(names(&told["flags"]));
    let taken = told["commands"].as_array().unwrap().iter();
    assert_eq!(
        known,
        taken.flat_map(|command| texts(&command["flags"])).collect()
    );
    for command in told["commands"].as_array().unwrap() {
        let streams = texts(&command["flags"]).contains(&"--stream".to_owned());
        let expected = match (streams, command["name"] == "agent parse") {
            (_, true) => json!(["ndjson"]),
            (true, _) => json!(["document", "ndjson"]),
            (false, _) => json!(["document"]),
        };
        assert_eq!(command["output"], expected, "{command}");
    }
    let health = ["none", "starting", "healthy", "unhealthy"];
    assert_eq!(told["health"], json!(health));
    assert_eq!(
        told["defaults"]["wait"],
        json!({ "mode": "all", "until": "terminal" })
    );
    assert_eq!(told["defaults"]["if_running"], "error");
}

#[test]
fn a_doctor_finds_a_healthy_host_healthy() {
    let cli = Cli::new();
    let told = cli.run("doctor").ok();
    assert_eq!(told["status"], "ok");
    assert_eq!(told["home"], cli.home().to_str().unwrap());
    for check in told["checks"].as_array().unwrap() {
        assert_eq!(fields(check), ["fix", "id", "observed", "ok", "required"]);
        assert!(!text(&check["observed"]).is_empty());
        assert_eq!(check["fix"].is_null(), check["ok"] == true, "{check}");
        assert!(check["ok"] == true || check["required"] == false, "{check}");
    }
    cli.start_and_wait(work("a", []));
    cli.run("doctor").ok();
    let left: Vec<_> = fs::read_dir(cli.home())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    let known = ["tasks", "logs", "locks", "trash"];
    assert!(
        left.iter()
            .all(|name| known.iter().any(|known| name == *known)),
        "{left:?}"
    );
}

fn schema(cli: &Cli, command: &str, part: &str) -> Value {
    let answer = cli
        .run("schema show")
        .payload(json!({ "name": command, "part": part }))
        .ok();
    assert_eq!(answer["command"], command);
    assert_eq!(
        answer["schema_id"],
        format!("background-tasks.{}.{part}/v1", command.replace(' ', "."))
    );
    let schema = answer["schema"].clone();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    schema
}

#[test]
fn every_verb_has_a_schema_of_what_it_takes_and_what_it_answers() {
    let cli = Cli::new();
    let listed = cli.run("schema list").ok();
    let listed: Vec<_> = listed["schemas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["command"]))
        .collect();
    for verb in TASK_VERBS {
        assert!(listed.contains(&verb.to_owned()), "{verb}");
        let by_name = cli.run("schema show").text(verb).ok();
        assert_eq!(by_name["schema"], schema(&cli, verb, "input"));
        schema(&cli, verb, "output");
    }
    assert!(!cli.home().exists());
}

#[test]
fn discovery_has_schemas_too() {
    let cli = Cli::new();
    let told = cli.run("capabilities").ok();
    for command in told["commands"].as_array().unwrap() {
        let name = text(&command["name"]);
        assert_eq!(schema(&cli, &name, "input")["type"], "object", "{name}");
    }
    for (command, name) in [
        ("capabilities", None),
        ("schema list", None),
        ("examples list", None),
        ("schema show", Some("start")),
        ("examples show", Some("start")),
    ] {
        let call = cli.run(command);
        let call = match name {
            Some(name) => call.text(name),
            None => call,
        };
        check_answer(&cli, command, &call.ok());
    }
}

#[test]
fn what_does_not_exist_is_told_with_what_does() {
    let cli = Cli::new();
    for command in ["schema show", "examples show"] {
        let error = cli.run(command).text("nope").err("CommandInputError");
        let available = texts(&error["details"]["available"]);
        for verb in TASK_VERBS {
            assert_eq!(
                available.iter().filter(|name| *name == verb).count(),
                1,
                "{verb}"
            );
        }
        cli.run(command).err("CommandInputError");
    }
}

#[test]
fn the_schema_of_a_payload_names_the_fields_that_are_taken() {
    let cli = Cli::new();
    for verb in TASK_VERBS {
        let error = cli
            .run(verb)
            .payload(json!({ "no such field": 1 }))
            .err("CommandInputError");
        let allowed = sorted(texts(&error["details"]["allowed"]));
        let schema = schema(&cli, verb, "input");
        let object = match schema.get("anyOf").and_then(Value::as_array) {
            Some(forms) => forms
                .iter()
                .find(|form| form.get("properties").is_some())
                .unwrap()
                .clone(),
            None => schema,
        };
        // One that takes nothing has no properties.
        let taken = object.get("properties").map(fields).unwrap_or_default();
        assert_eq!(sorted(taken), allowed, "{verb}");
    }
}

#[test]
fn a_misspelt_field_about_an_agent_is_told_with_the_right_one() {
    let cli = Cli::new();
    let agent = json!({ "provider": "mock", "prompt": "p" });
    for (command, payload, field, nearest) in [
        ("start", json!({ "agnet": agent }), "agnet", "agent"),
        (
            "start",
            json!({ "agent": { "provider": "mock", "promt": "p" } }),
            "agent.promt",
            "prompt",
        ),
        (
            "send",
            json!({ "id": "a", "promt": "p" }),
            "promt",
            "prompt",
        ),
        (
            "agent command",
            json!({ "agent": agent, "workdr": "/" }),
            "workdr",
            "workdir",
        ),
    ] {
        let error = cli.run(command).payload(payload).err("CommandInputError");
        assert_eq!(error["details"]["field"], field, "{error}");
        assert_eq!(error["details"]["nearest"], nearest, "{error}");
    }
    let nothing = json!({ "agent": null });
    let error = cli.run("start").payload(nothing).err("CommandInputError");
    assert_eq!(error["details"]["field"], "agent", "{error}");
    assert!(text(&error["message"]).contains("it must be an object"));
    assert!(!cli.home().exists());
}

/// The data of an answer, held against the schema of the command's answers.
fn check_answer(cli: &Cli, verb: &str, data: &Value) {
    let found = faults(data, &schema(cli, verb, "output"));
    assert!(found.is_empty(), "{verb}: {found:#?}\n{data}");
}

#[test]
fn answers_are_as_their_schemas_say() {
    let cli = Cli::new();
    let more = json!({ "env": { "A": "1" }, "tags": ["x"], "parent_session_id": "s", "name": "n" });
    let directives = ["print", "one", "raw", "74", "hang"];
    check_answer(
        &cli,
        "start",
        &cli.run("start")
            .payload(with(work("a", directives), more))
            .ok(),
    );
    cli.await_line("a", "t");
    for verb in ["status", "events", "logs", "restart"] {
        check_answer(&cli, verb, &cli.run(verb).text("a").ok());
    }
    check_answer(
        &cli,
        "logs",
        &cli.run("logs")
            .text("a")
            .flags(["--output", "artifact"])
            .ok(),
    );
    for (verb, more) in [
        ("logs", json!({ "timestamps": true, "head": 1, "lines": 1 })),
        (
            "logs",
            json!({ "grep": "^one$", "context": 1, "timestamps": true }),
        ),
        ("events", json!({ "cursors": {}, "view": "raw" })),
        ("wait", json!({ "until": { "log": "^one$" } })),
    ] {
        let request = with(json!({ "id": "a" }), more);
        check_answer(&cli, verb, &cli.run(verb).payload(request).ok());
    }
    let until = json!({ "tag": "x", "mode": "any", "until": { "log": "one" } });
    check_answer(&cli, "wait", &cli.run("wait").payload(until).ok());
    check_answer(&cli, "stop", &cli.run("stop").text("a").ok());
    check_answer(&cli, "wait", &cli.run("wait").text("a").ok());
    check_answer(
        &cli,
        "wait",
        &cli.run("wait").payload(json!({ "tag": "x" })).ok(),
    );
    check_answer(
        &cli,
        "stop",
        &cli.run("stop").payload(json!({ "tag": "x" })).ok(),
    );
    let waited = cli
        .run("start")
        .payload(script("b", "exit 3"))
        .flags(["--wait"])
        .ok();
    check_answer(&cli, "start", &waited);
    let batch = json!([work("c", []), { "command": "/no/such/program" }]);
    check_answer(&cli, "start", &cli.run("start").payload(batch).exits(1));
    check_answer(&cli, "restart", &cli.run("restart").text("[\"b\"]").ok());
    cli.start(work("lost", ["hang"]));
    cli.lose_supervisor("lost");
    cli.start_and_wait(work("damaged", []));
    fs::write(cli.task_file("damaged", "task.json"), "").unwrap();
    check_answer(&cli, "list", &cli.run("list").ok());
    check_answer(
        &cli,
        "list",
        &cli.run("list").payload(json!({ "limit": 1 })).ok(),
    );
    check_answer(&cli, "events", &cli.run("events").text("lost").ok());
    check_answer(&cli, "doctor", &cli.run("doctor").ok());
}

/// Every file of `examples/`, in an order in which they can be run: those that start tasks
/// first, those that end them last.
fn examples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let example = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        (name, example)
    };
    let mut all: Vec<(String, Value)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| read(entry.unwrap().path()))
        .collect();
    let order = [
        "start", "send", "status", "list", "logs", "events", "wait", "pause", "resume", "recover",
        "signal", "restart", "stop", "remove", "prune",
    ];
    let order: Vec<&str> = order
        .into_iter()
        .chain(AGENT_COMMANDS)
        .chain(DISCOVERY)
        .collect();
    all.sort_by_key(|(name, example)| {
        let command = text(&example["command"]);
        (
            order
                .iter()
                .position(|known| *known == command)
                .expect("a known command"),
            name.clone(),
        )
    });
    all
}

/// A folder with a stand-in for the CLI that the examples start, before everything else on the PATH.
fn with_a_claude(cli: &Cli) -> OsString {
    let folder = cli.folder().join("bin");
    fs::create_dir(&folder).unwrap();
    let result = r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s"}"#;
    let script = format!("#!/bin/sh\ncat >/dev/null\necho '{result}'\n");
    cli.make_file("bin/claude", "755", &script);
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder).chain(std::env::split_paths(&others));
    std::env::join_paths(all).unwrap()
}

#[test]
fn every_example_works_in_a_fresh_home() {
    let cli = Cli::new();
    let path = with_a_claude(&cli);
    for (name, example) in examples() {
        let flags = texts(&example["flags"]);
        let call = cli
            .run(&text(&example["command"]))
            .payload(example["payload"].clone());
        let call = call.env("PATH", &path);
        let outcome = call.flags(flags.iter().map(String::as_str)).output();
        assert!(outcome.status.success(), "{name}: {outcome:?}");
        match example["command"] == "agent parse" {
            // Nothing is on its standard input.
            true => assert!(outcome.stdout.is_empty(), "{outcome:?}"),
            false => drop(outcome.ok()),
        }
    }
}

#[test]
fn every_example_is_as_the_schema_of_its_command_says() {
    let cli = Cli::new();
    for (name, example) in examples() {
        let schema = schema(&cli, &text(&example["command"]), "input");
        let payload = &example["payload"];
        let items = payload
            .as_array()
            .map_or(std::slice::from_ref(payload), Vec::as_slice);
        for item in items {
            assert_eq!(faults(item, &schema), [""; 0], "{name}");
        }
    }
}

#[test]
fn examples_are_served_as_they_are() {
    let cli = Cli::new();
    let all = examples();
    let listed = cli.run("examples list").ok();
    assert_eq!(
        sorted(names(&listed["examples"])),
        sorted(all.iter().map(|(name, _)| name.clone()))
    );
    for verb in every_command() {
        let mut shown = cli.run("examples show").text(verb).ok();
        assert_eq!(shown["command"], verb);
        let shown = shown["examples"].as_array_mut().unwrap();
        assert!(!shown.is_empty());
        for one in shown {
            let name = text(&one.as_object_mut().unwrap().remove("name").unwrap());
            let stored = &all.iter().find(|(known, _)| *known == name).unwrap().1;
            assert_eq!(one, stored);
        }
    }
    for (name, stored) in &all {
        let shown = cli.run("examples show").text(name).ok();
        assert_eq!(shown["command"], stored["command"]);
        let examples = shown["examples"].as_array().unwrap();
        assert_eq!(examples.len(), 1);
        assert_eq!(examples[0]["name"], **name);
    }
}

#[test]
fn help_and_version_are_documents_for_programs() {
    let cli = Cli::new();
    for words in [&["help"][..], &["--help"], &["-h"], &[]] {
        let help = cli.arguments(words.iter().copied()).ok();
        let commands = names(&help["commands"]);
        assert_eq!(sorted(commands), sorted(every_command()));
    }
    for words in [&["version"][..], &["--version"], &["-V"]] {
        let version = cli.arguments(words.iter().copied()).ok();
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    }
    for words in [
        &["help", "schema", "show"][..],
        &["schema", "show", "--help"],
        &["schema", "show", "-h"],
    ] {
        let help = cli.arguments(words.iter().copied()).ok();
        assert_eq!(help["commands"][0]["name"], "schema show");
    }
    assert!(!cli.home().exists());
}

#[test]
fn wrong_usage_is_told_like_any_other_error() {
    let cli = Cli::new();
    for words in [
        &["nosuch"][..],
        &["strat"],
        &["--nosuch"],
        &["--timeout", "5", "status"],
        &["schema"],
        &["schema", "nosuch"],
        &["start", "{}", "{}"],
        &["start", "{}", "--nosuch"],
        &["start", "{}", "--concurrency", "0"],
        &["start", "{}", "--concurrency", "-1"],
        &["start", "{}", "--concurrency", "x"],
        &["start", "{}", "--timeout"],
        &["start", "{}", "--timeout", "-1"],
        &["start", "{}", "--timeout", "NaN"],
        &["start", "{}", "--timeout", "soon"],
        &["logs", "a", "--output", "paper"],
        &["list", "--follow"],
        &["status", "-x"],
        &["doctor", "--exit-code"],
        &[""],
    ] {
        let error = cli
            .arguments(words.iter().copied())
            .err("CommandInputError");
        assert_eq!(error["details"]["retryable"], false, "{words:?}");
        let message = text(&error["message"]);
        assert!(
            !message.contains('\n') && !message.starts_with("error:"),
            "{message}"
        );
    }
    assert!(!cli.home().exists());
}

#[test]
fn an_unknown_command_is_told_the_nearest() {
    let cli = Cli::new();
    for (typed, nearest) in [
        ("strat", "start"),
        ("lst", "list"),
        ("log", "logs"),
        ("event", "events"),
    ] {
        let outcome = cli.arguments([typed]).output();
        let envelope: Value = serde_json::from_slice(&outcome.stderr).unwrap();
        assert_eq!(envelope["command"], typed);
        let error = outcome.err("CommandInputError");
        assert_eq!(error["details"]["nearest"], nearest);
        assert!(texts(&error["details"]["available"]).contains(&nearest.to_owned()));
    }
}

#[test]
fn an_answer_that_cannot_be_printed_is_an_error() {
    let cli = Cli::new();
    for call in [
        cli.run("list"),
        cli.run("capabilities"),
        cli.run("start").payload(work("a", ["hang"])),
    ] {
        let outcome = call.after("exec >/dev/full").output();
        let envelope: Value = serde_json::from_slice(&outcome.stderr).unwrap();
        let kind = text(&envelope["error"]["type"]);
        assert!(
            ["InternalError", "StoreError"].contains(&kind.as_str()),
            "{kind}"
        );
        outcome.err(&kind);
    }
    cli.start_and_wait(work("b", ["print", "x"]));
    let stream = cli.run("events").text("b").flags(["--stream"]);
    assert_eq!(
        stream.after("exec >/dev/full").output().status.code(),
        Some(1)
    );
}

#[test]
fn missing_standard_descriptors_are_no_trouble() {
    let cli = Cli::new();
    let closed = "exec <&- >&- 2>&-";
    let call = cli.run("start").payload(work("a", ["fds", "exit", "3"]));
    assert!(call.after(closed).output().status.success());
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 3, null, null]));
    assert_eq!(cli.log("a"), "");
    let call = cli.run("start").payload(work("b", ["hang"]));
    call.after("exec <&-").ok();
    assert_eq!(cli.stop("b")["status"], "killed");
}
