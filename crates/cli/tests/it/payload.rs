//! What is typed and what becomes of it. Nothing that was misunderstood is ever acted upon.

use std::fs;
use std::os::unix::ffi::OsStringExt;

use background_tasks_core::request::{self, Request};
use background_tasks_core::{Error, ErrorKind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::harness::{Cli, fields, text, with, work};

const LIMIT: usize = 16 << 20;

/// A payload that must be refused without a trace; returns the error.
#[track_caller]
fn refused(verb: &str, payload: &str) -> Value {
    let cli = Cli::new();
    let error = cli.run(verb).stdin(payload).err("CommandInputError");
    assert_eq!(error["details"]["retryable"], false);
    assert!(!cli.home().exists(), "{verb} {payload} made a home");
    error
}

#[test]
fn a_payload_may_be_inline_in_a_file_or_on_standard_input() {
    let cli = Cli::new();
    let payload = work("a", []).to_string();
    fs::write(cli.file("p.json"), &payload).unwrap();
    let at_path = format!("@{}", cli.file("p.json"));
    for call in [
        cli.run("start").text(payload.clone()),
        cli.run("start").text("@p.json"),
        cli.run("start").text(at_path),
        cli.run("start").stdin(payload.clone()),
        cli.run("start").stdin(format!("\n\t {payload}\r\n")),
        cli.run("start").stdin(format!("\u{feff}{payload}")),
    ] {
        assert_eq!(call.flags(["--wait"]).ok()["task"]["id"], "a");
    }
}

#[test]
fn flags_stand_before_or_behind_the_payload() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    cli.arguments(["wait", "a", "--timeout", "0"])
        .err("TaskWaitTimedOut");
    cli.arguments(["wait", "--timeout", "0", "a"])
        .err("TaskWaitTimedOut");
    cli.arguments(["wait", "--timeout=0", "{\"id\":\"a\"}"])
        .err("TaskWaitTimedOut");
}

#[test]
fn a_word_or_a_string_stands_for_a_task() {
    let cli = Cli::new();
    cli.start_and_wait(work("bg_demo", []));
    cli.start_and_wait(work("7up", []));
    cli.start_and_wait(work("nullable", []));
    for (typed, id) in [
        ("bg_demo", "bg_demo"),
        ("\"bg_demo\"", "bg_demo"),
        (" \"bg_demo\" ", "bg_demo"),
        ("7up", "7up"),
        ("nullable", "nullable"),
    ] {
        for verb in ["status", "wait", "logs", "events", "stop"] {
            assert_eq!(
                cli.run(verb).text(typed).ok()["task_id"],
                id,
                "{verb} {typed}"
            );
        }
    }
    assert_eq!(
        cli.run("status").stdin("\"bg_demo\"").ok()["task_id"],
        "bg_demo"
    );
    assert_eq!(
        cli.run("restart").text("bg_demo").ok()["task_id"],
        "bg_demo"
    );
}

#[test]
fn text_that_is_json_is_json() {
    for verb in ["status", "wait", "stop", "restart", "logs", "events"] {
        for typed in ["123", "1.5", "1e3", "true", "false", "null"] {
            let cli = Cli::new();
            cli.run(verb).text(typed).err("CommandInputError");
        }
    }
}

#[test]
fn a_word_stands_for_nothing_where_no_task_is_meant() {
    let cli = Cli::new();
    for verb in ["start", "list", "doctor", "capabilities"] {
        cli.run(verb).text("word").err("CommandInputError");
        cli.run(verb).text("\"word\"").err("CommandInputError");
    }
    assert!(!cli.home().exists());
}

#[test]
fn a_payload_that_cannot_be_read_is_told_by_its_path() {
    let cli = Cli::new();
    for path in ["gone.json", "/no/such/folder/p.json", ".", ""] {
        let call = cli.run("start").text(format!("@{path}"));
        let error = call.err("CommandInputError");
        assert_eq!(error["details"]["path"], path, "{error}");
    }
    assert!(!cli.home().exists());
}

#[test]
fn malformed_json_is_told_by_its_place() {
    for payload in [
        "{\"command\":",
        "{\"command\": \"true\",}",
        "{command: true}",
        "{\"command\": \"true\"} {}",
        "{\"command\": \"\\x\"}",
        "[{\"command\": \"true\"}",
        "{\"command\": 'true'}",
        "\u{1}",
        "{",
    ] {
        let error = refused("start", payload);
        assert!(error["details"]["line"].is_u64(), "{error}");
        assert!(error["details"]["column"].is_u64(), "{error}");
    }
    refused("start", "");
    refused("start", " \n ");
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let cli = Cli::new();
    cli.run("status")
        .stdin(b"{\"id\":\"\xff\"}".to_vec())
        .err("CommandInputError");
    let argument = std::ffi::OsString::from_vec(b"{\"id\":\"\xff\"}".to_vec());
    cli.run("status").text(argument).err("CommandInputError");
}

#[test]
fn only_objects_are_requests() {
    for payload in ["null", "true", "7", "\"text\"", "1e999"] {
        refused("start", payload);
    }
    for payload in [r#"["a"]"#, r#"["a", false]"#] {
        refused("status", payload);
        refused("wait", payload);
        refused("logs", payload);
    }
    refused("list", "[]");
    refused("doctor", "[]");
    for nulls in 0..30 {
        let mut item = vec![json!("a"), json!("a name"), json!("true")];
        item.resize(3 + nulls, Value::Null);
        refused("start", &json!([item]).to_string());
    }
    refused("stop", r#"[["a"]]"#);
    refused("restart", r#"[["a"]]"#);
    refused("start", r#"{"command": "true", "stop": ["SIGINT", 5]}"#);
}

#[test]
fn json_that_is_nested_too_deeply_is_refused() {
    for verb in ["start", "status"] {
        refused(verb, &"[".repeat(100_000));
        refused(verb, &"{\"stop\":".repeat(100_000));
        refused(
            verb,
            &format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)),
        );
    }
}

#[test]
fn a_payload_of_16_mib_is_read_and_not_a_byte_more() {
    let cli = Cli::new();
    let exact = |length: usize| {
        let body = r#"{"tag":""}"#;
        format!("{{\"tag\":\"{}\"}}", "x".repeat(length - body.len()))
    };
    fs::write(cli.file("fits"), exact(LIMIT)).unwrap();
    fs::write(cli.file("too-large"), exact(LIMIT + 1)).unwrap();
    assert_eq!(cli.run("list").text("@fits").ok()["total"], 0);
    assert_eq!(cli.run("list").stdin(exact(LIMIT)).ok()["total"], 0);
    for call in [
        cli.run("list").text("@too-large"),
        cli.run("list").stdin(exact(LIMIT + 1)),
    ] {
        let error = call.err("CommandInputError");
        assert!(text(&error["message"]).contains("16 MiB"), "{error}");
        assert_eq!(error["details"]["max_bytes"], LIMIT);
    }
}

#[test]
fn an_endless_payload_is_not_read_to_its_end() {
    let cli = Cli::new();
    cli.run("start").text("@/dev/zero").err("CommandInputError");
    cli.run("start")
        .text("-")
        .after("exec </dev/zero")
        .err("CommandInputError");
}

#[test]
fn an_unknown_field_is_told_with_the_nearest_and_all_that_are_known() {
    for (verb, payload, field, nearest) in [
        (
            "start",
            json!({ "command": "true", "workdr": "/" }),
            "workdr",
            json!("workdir"),
        ),
        (
            "start",
            json!({ "comand": "true" }),
            "comand",
            json!("command"),
        ),
        (
            "start",
            json!({ "command": "true", "parentSessionID": "s" }),
            "parentSessionID",
            json!("parent_session_id"),
        ),
        (
            "start",
            json!({ "command": "true", "zzzzzz": 1 }),
            "zzzzzz",
            Value::Null,
        ),
        (
            "start",
            json!({ "command": "true", "stop": { "grace": 1 } }),
            "stop.grace",
            json!("grace_ms"),
        ),
        (
            "start",
            json!({ "command": "true", "pty": { "cols": 80, "row": 24 } }),
            "pty.row",
            json!("rows"),
        ),
        (
            "start",
            json!({ "command": "true", "stdin": { "txt": "a" } }),
            "stdin",
            json!("text"),
        ),
        (
            "start",
            json!({ "command": "true", "watch": [{ "name": "a", "pattern": "a", "throttle": 1 }] }),
            "watch[0].throttle",
            json!("throttle_ms"),
        ),
        (
            "start",
            json!({ "command": "true", "healthProbe": { "type": "tcp", "hos": "a" } }),
            "healthProbe.hos",
            json!("host"),
        ),
        (
            "status",
            json!({ "id": "a", "reveal": true }),
            "reveal",
            Value::Null,
        ),
        (
            "logs",
            json!({ "id": "a", "line": 5 }),
            "line",
            json!("lines"),
        ),
        (
            "stop",
            json!({ "id": "a", "signa": "INT" }),
            "signa",
            json!("signal"),
        ),
        (
            "list",
            json!({ "statu": "running" }),
            "statu",
            json!("status"),
        ),
    ] {
        let details = &refused(verb, &payload.to_string())["details"];
        assert_eq!(details["field"], field);
        if !nearest.is_null() {
            assert_eq!(details["nearest"], nearest, "{field}");
        }
        let allowed = details["allowed"].as_array().expect("allowed is an array");
        assert!(!allowed.is_empty());
        assert!(nearest.is_null() || allowed.contains(&nearest), "{field}");
    }
}

#[test]
fn a_known_field_with_a_wrong_value_is_not_called_unknown() {
    for (payload, field) in [
        (json!({ "healthProbe": { "url": "http://a" } }), "health"),
        (json!({ "restartPolicy": { "onFailure": 1 } }), "restart"),
        (
            json!({ "stdin": { "file": "a" }, "pty": { "cols": 1 }, "env": { "ANY": "a" }, "args": 5 }),
            "args",
        ),
    ] {
        let payload = with(payload, json!({ "command": "true" }));
        let error = refused("start", &payload.to_string());
        let told = text(&error["details"]["field"]);
        assert!(told.starts_with(field), "{error}");
        assert!(!text(&error["message"]).contains("unknown"), "{error}");
    }
}

#[test]
fn an_unknown_field_outranks_what_else_is_wrong() {
    let error = refused("start", r#"{"id": "../x", "command": 7, "zzz": 1}"#);
    assert!(
        ["zzz", "id", "command"].contains(&text(&error["details"]["field"]).as_str()),
        "{error}"
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    for (payload, field) in [
        (json!({ "command": 7 }), "command"),
        (json!({ "command": "true", "args": "x" }), "args"),
        (json!({ "command": "true", "args": [1] }), "args"),
        (json!({ "command": "true", "env": { "A": 1 } }), "env"),
        (json!({ "command": "true", "env": [] }), "env"),
        (json!({ "command": "true", "tags": "x" }), "tags"),
        (
            json!({ "command": "true", "notify_on_exit": "yes" }),
            "notify_on_exit",
        ),
        (
            json!({ "command": "true", "stop": { "grace_ms": -1 } }),
            "stop.grace_ms",
        ),
        (
            json!({ "command": "true", "stop": { "grace_ms": 1.5 } }),
            "stop.grace_ms",
        ),
        (
            json!({ "command": "true", "stop": { "signal": "SIGNOPE" } }),
            "stop.signal",
        ),
        (
            json!({ "command": "true", "stop": { "signal": "0" } }),
            "stop.signal",
        ),
        (
            json!({ "command": "true", "leftovers": "keep" }),
            "leftovers",
        ),
        (
            json!({ "command": "true", "if_running": "kill" }),
            "if_running",
        ),
    ] {
        let error = refused("start", &payload.to_string());
        let named = text(&error["details"]["field"]);
        assert!(named.starts_with(field), "{payload}: {error}");
        assert!(
            text(&error["message"]).contains(field),
            "{payload}: {error}"
        );
    }
}

#[test]
fn a_field_that_is_given_twice_is_refused() {
    refused("start", r#"{"command": "true", "command": "false"}"#);
    refused(
        "start",
        r#"{"command": "true", "workdir": "/", "cwd": "/tmp"}"#,
    );
    refused(
        "start",
        r#"{"command": "true", "parent_session_id": "a", "parentSessionId": "b"}"#,
    );
    refused("status", r#"{"id": "a", "id": "b"}"#);
    refused("stop", r#"{"id": "a", "grace_ms": 1, "graceMs": 2}"#);
}

#[test]
fn spellings_of_earlier_clients_are_read() {
    let cli = Cli::new();
    let payload = json!({
        "id": "a", "command": "sleep", "args": ["1000"], "parentSessionId": "s1", "notifyOnExit": true,
        "cwd": "/", "inheritEnv": true, "stop": { "graceMs": 5 }, "ifRunning": "reuse",
        "envFile": "/dev/null",
    });
    let task = cli.start(payload);
    assert_eq!(
        (&task["parent_session_id"], &task["notify_on_exit"]),
        (&json!("s1"), &json!(true))
    );
    assert_eq!(
        (&task["workdir"], &task["stop"]["grace_ms"]),
        (&json!("/"), &json!(5))
    );
    assert_eq!(cli.list(json!({ "parentSessionId": "s1" })), ["a"]);
    cli.run("status")
        .payload(json!({ "id": "a", "revealEnv": true }))
        .ok();
    cli.run("logs")
        .payload(json!({ "id": "a", "maxBytes": 5, "maxLineBytes": 5 }))
        .ok();
    let wait = cli.run("wait").payload(json!({ "parentSessionId": "s1" }));
    wait.flags(["--timeout", "0"]).err("TaskWaitTimedOut");
    let stop = cli
        .run("stop")
        .payload(json!({ "parentSessionId": "s1", "graceMs": 7 }))
        .ok();
    assert_eq!(stop["total"], 1);
}

const BAD_IDS: [&str; 14] = [
    "", ".", "..", "../x", "a/b", "/a", "-x", "_x", "a b", "a\0b", "é", "a\n", "x.stderr",
    "X.StdErr",
];

#[test]
fn what_is_no_id_is_refused_before_a_file_is_touched() {
    let too_long = "x".repeat(65);
    for id in BAD_IDS.into_iter().chain([too_long.as_str()]) {
        refused("start", &json!({ "id": id, "command": "true" }).to_string());
        for verb in ["status", "wait", "stop", "restart", "logs", "events"] {
            refused(verb, &json!({ "id": id }).to_string());
        }
        refused("wait", &json!({ "ids": ["a", id] }).to_string());
        refused("list", &json!({ "ids": ["a", id] }).to_string());
    }
    for word in ["../x", "a/b", ".", "é"] {
        Cli::new().run("status").text(word).err("CommandInputError");
    }
}

#[test]
fn whatever_is_an_id_can_be_one() {
    let cli = Cli::new();
    let longest = "x".repeat(64);
    for id in [
        "0",
        "a",
        "A.b-c_9",
        "a..b",
        "x.stderr.log",
        "stderr",
        "task.json",
        longest.as_str(),
    ] {
        assert_eq!(cli.start_and_wait(work(id, ["print", "x"]))["id"], id);
        assert_eq!(
            cli.run("logs").payload(json!({ "id": id })).ok()["lines"],
            json!(["x"])
        );
    }
}

#[test]
fn nothing_to_execute_is_refused() {
    for payload in [
        json!({}),
        json!({ "command": "" }),
        json!({ "shell": "" }),
        json!({ "args": ["x"] }),
        json!({ "command": "true", "shell": "true" }),
        json!({ "shell": "true", "args": ["x"] }),
        json!({ "command": null }),
        json!({ "command": "true", "workdir": "" }),
        json!({ "command": "true", "env_file": "" }),
        json!({ "command": "true", "tags": [""] }),
    ] {
        refused("start", &payload.to_string());
    }
}

#[test]
fn what_no_process_can_be_given_is_refused() {
    for (field, payload) in [
        ("command", json!({ "command": "a\0b" })),
        ("shell", json!({ "shell": "echo a\0b" })),
        (
            "args",
            json!({ "command": "true", "args": ["fine", "a\0b"] }),
        ),
        ("workdir", json!({ "command": "true", "workdir": "/a\0b" })),
        (
            "env_file",
            json!({ "command": "true", "env_file": "/a\0b" }),
        ),
        ("env", json!({ "command": "true", "env": { "A": "a\0b" } })),
        ("env", json!({ "command": "true", "env": { "A\0B": "x" } })),
        ("env", json!({ "command": "true", "env": { "A=B": "x" } })),
        ("env", json!({ "command": "true", "env": { "": "x" } })),
    ] {
        let error = refused("start", &payload.to_string());
        assert_eq!(error["details"]["field"], field, "{payload}");
    }
}

#[test]
fn tasks_must_be_named_in_exactly_one_way() {
    for payload in [
        json!({}),
        json!({ "id": "a", "tag": "x" }),
        json!({ "id": "a", "ids": ["a"] }),
        json!({ "ids": ["a"], "tags": ["x"] }),
        json!({ "ids": [] }),
        json!({ "mode": "any" }),
        json!({ "ids": ["a"], "mode": "most" }),
        json!({ "id": "a", "until": "never" }),
    ] {
        refused("wait", &payload.to_string());
    }
    for payload in [
        json!({}),
        json!({ "id": "a", "all": true }),
        json!({ "all": false }),
        json!({ "signal": "INT" }),
    ] {
        refused("stop", &payload.to_string());
    }
}

#[test]
fn what_is_asked_for_is_null_when_it_is_null() {
    let cli = Cli::new();
    let nulls = json!({
        "name": null, "args": null, "shell": null, "workdir": null, "env": null, "tags": null,
        "parent_session_id": null, "notify_on_exit": null, "stop": null, "if_running": null,
    });
    let task = cli.start_and_wait(with(json!({ "id": "a", "command": "true" }), nulls));
    assert_eq!(
        (&task["status"], &task["tags"]),
        (&json!("exited"), &json!([]))
    );
}

#[test]
fn verbs_without_a_payload_take_an_empty_one() {
    let cli = Cli::new();
    for verb in [
        "list",
        "doctor",
        "capabilities",
        "schema list",
        "examples list",
    ] {
        cli.run(verb).ok();
        cli.run(verb).text("{}").ok();
        cli.run(verb).stdin("{}").ok();
    }
    for verb in ["doctor", "capabilities", "schema list", "examples list"] {
        let error = cli
            .run(verb)
            .payload(json!({ "x": 1 }))
            .err("CommandInputError");
        assert_eq!(error["details"]["field"], "x");
    }
}

/// The errors of decoding have a shape that every surface relies on.
fn check_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::CommandInputError);
    let details = error.details();
    assert!(
        details["hint"]
            .as_str()
            .is_some_and(|hint| !hint.is_empty())
    );
    assert_eq!(details["retryable"], false);
    assert!(!error.to_string().is_empty());
}

fn check_decoding<R: Request>(payload: &[u8]) {
    if let Err(error) = request::decode::<R>(payload) {
        check_error(&error);
    }
    if let Err(error) = request::decode_batch::<R>(payload) {
        check_error(&error);
    }
}

fn check_all(payload: &[u8]) {
    check_decoding::<request::Start>(payload);
    check_decoding::<request::Status>(payload);
    check_decoding::<request::List>(payload);
    check_decoding::<request::Wait>(payload);
    check_decoding::<request::Stop>(payload);
    check_decoding::<request::Restart>(payload);
    check_decoding::<request::Logs>(payload);
    check_decoding::<request::Events>(payload);
}

/// JSON in which names and values that mean something are likely.
fn any_json() -> impl Strategy<Value = Value> {
    let words = || {
        prop::sample::select(vec![
            "id", "ids", "command", "shell", "args", "env", "env_file", "stop", "signal",
            "grace_ms", "tags", "tag", "mode", "until", "status", "lines", "limit", "after", "all",
            "workdir", "cwd", "running", "any", "terminal", "SIGTERM", "a", "../x", "",
        ])
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        let name = prop_oneof![4 => words().prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..8)
                .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_confuse_a_decoder(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        check_all(&payload);
    }

    #[test]
    fn no_json_confuses_a_decoder(payload in any_json()) {
        check_all(payload.to_string().as_bytes());
    }

    #[test]
    fn cut_json_confuses_no_decoder(payload in any_json(), cut in any::<prop::sample::Index>()) {
        let whole = payload.to_string();
        check_all(&whole.as_bytes()[..cut.index(whole.len())]);
    }

    #[test]
    fn an_unknown_field_is_always_named(name in "[a-z_]{1,20}") {
        let payload = json!({ name.clone(): 1 }).to_string();
        let known = ["id", "resources", "reveal_env"];
        if let Err(error) = request::decode::<request::Status>(payload.as_bytes())
            && !known.contains(&name.as_str())
        {
            prop_assert_eq!(&error.details()["field"], &json!(name));
            prop_assert_eq!(&error.details()["allowed"], &json!(known));
        }
    }

    #[test]
    fn ids_are_what_the_contract_says(id in prop_oneof!["[A-Za-z0-9._-]{0,70}", any::<String>()]) {
        let mut characters = id.chars();
        let first = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
        let rest = characters.all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let reserved = id.to_ascii_lowercase().ends_with(".stderr");
        let is_id = first && rest && id.len() <= 64 && !reserved;
        let payload = json!({ "id": id }).to_string();
        prop_assert_eq!(request::decode::<request::Status>(payload.as_bytes()).is_ok(), is_id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_payload_gets_one_envelope(payload in any_json(), at in any::<prop::sample::Index>()) {
        let cli = Cli::new();
        let verbs = ["status", "list", "logs", "events", "restart", "schema show", "doctor"];
        let verb = verbs[at.index(verbs.len())];
        let outcome = cli.run(verb).stdin(payload.to_string()).output();
        let (one, other) = (&outcome.stdout, &outcome.stderr);
        // A batch in which all has failed is an answer, too.
        let document = if one.is_empty() { other } else { one };
        let envelope: Value = serde_json::from_slice(document).expect("one JSON document");
        prop_assert!(fields(&envelope).contains(&"command"));
        prop_assert_eq!(one.len() + other.len(), document.len());
    }
}

#[test]
fn a_value_of_another_kind_is_told_with_its_field() {
    let cli = Cli::new();
    for (field, value) in [
        ("stderr", json!(true)),
        ("leftovers", json!(1)),
        ("if_running", json!(false)),
    ] {
        let payload = json!({ "shell": "true", field: value });
        let error = cli.run("start").payload(payload).err("CommandInputError");
        assert_eq!(error["details"]["field"], field, "{error}");
    }
}
