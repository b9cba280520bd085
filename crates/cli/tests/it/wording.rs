//! What somebody reads who got a payload wrong: the field, what it may be, and what was found.

use serde_json::{Value, json};

use crate::harness::{Cli, text};

/// Words of the decoder that mean nothing to whoever wrote the payload.
const JARGON: [&str; 12] = [
    "variant",
    "untagged",
    "u16",
    "u32",
    "u64",
    "i32",
    "usize",
    "sequence",
    "a map",
    "struct",
    "invalid type",
    "another kind",
];

#[track_caller]
fn wrong(cli: &Cli, verb: &str, payload: &Value) -> Value {
    let error = cli
        .run(verb)
        .stdin(payload.to_string())
        .err("CommandInputError");
    let message = text(&error["message"]);
    for word in JARGON {
        assert!(!message.contains(word), "{payload}: {message}");
    }
    error
}

#[test]
fn a_value_that_does_not_fit_is_told_with_what_would() {
    let cli = Cli::new();
    for (fields, field, message) in [
        (
            json!({ "stdin": "file" }),
            "stdin",
            r#"it must be "null", "open", an object {"text": …} or an object {"file": …}, not "file""#,
        ),
        (
            json!({ "stdin": { "text": 5 } }),
            "stdin.text",
            "it must be a string, not 5",
        ),
        (
            json!({ "stdin": { "text": "a", "file": "b" } }),
            "stdin",
            r#"not {"file", "text"}"#,
        ),
        (json!({ "stdin": { "open": true } }), "stdin", "it must be"),
        (json!({ "stdin": {} }), "stdin", "not {}"),
        (
            json!({ "pty": "yes" }),
            "pty",
            r#"it must be true or false or an object {"cols", "rows"}, not "yes""#,
        ),
        (json!({ "pty": [80, 24] }), "pty", "not an array"),
        (
            json!({ "pty": { "cols": -1 } }),
            "pty.cols",
            "it must be a whole number from 1 to 65535, not -1",
        ),
        (
            json!({ "health": { "type": "tcp", "host": "a", "port": "80" } }),
            "health.port",
            r#"it must be a whole number from 1 to 65535, not "80""#,
        ),
        (
            json!({ "health": { "url": "http://a" } }),
            "health.type",
            r#"it is missing; it must be "http", "tcp", "command" or "log""#,
        ),
        (
            json!({ "healthProbe": { "type": "http", "url": 5 } }),
            "healthProbe.url",
            "it must be a string, not 5",
        ),
        (
            json!({ "restartPolicy": { "onFailure": true, "maxRetries": "2" } }),
            "restartPolicy.maxRetries",
            "it must be a whole number",
        ),
        (
            json!({ "restartPolicy": { "onFailure": "yes" } }),
            "restartPolicy.onFailure",
            r#"it must be true or false, not "yes""#,
        ),
        (
            json!({ "queue": { "group": "a", "limit": -1 } }),
            "queue.limit",
            "it must be a whole number from 0, not -1",
        ),
        (json!({ "queue": { "limit": 1 } }), "queue.group", "missing"),
        (
            json!({ "after": { "ids": "a" } }),
            "after.ids",
            r#"it must be an array of strings, not "a""#,
        ),
        (
            json!({ "after": "a" }),
            "after",
            r#"it must be an object {"ids", "on"}, not "a""#,
        ),
        (
            json!({ "owner": 123 }),
            "owner",
            r#"it must be an object {"pid": …}, not 123"#,
        ),
        (json!({ "watch": [["a", "b"]] }), "watch[0]", "not an array"),
        (
            json!({ "watch": [{ "name": "a" }] }),
            "watch[0].pattern",
            "missing",
        ),
        (
            json!({ "limits": { "memory_bytes": "1G" } }),
            "limits.memory_bytes",
            r#"not "1G""#,
        ),
        (
            json!({ "timeout_ms": 1.5 }),
            "timeout_ms",
            "it must be a whole number from 1, not 1.5",
        ),
        (
            json!({ "env": ["A=1"] }),
            "env",
            "it must be an object, not an array",
        ),
    ] {
        let mut payload = fields;
        payload["shell"] = json!("true");
        let error = wrong(&cli, "start", &payload);
        assert_eq!(error["details"]["field"], field, "{payload}");
        let told = text(&error["message"]);
        assert!(told.starts_with(&format!("{field}: ")), "{told}");
        assert!(told.contains(message), "{payload}: {told}");
    }
    let error = wrong(&cli, "logs", &json!({ "id": "a", "since": 5 }));
    assert_eq!(error["message"], "since: it must be a string, not 5");
    assert!(!cli.home().exists());
}

#[test]
fn a_word_that_is_not_known_is_told_with_those_that_are() {
    let cli = Cli::new();
    for (verb, payload, field, allowed, nearest) in [
        (
            "start",
            json!({ "shell": "true", "restart": { "policy": "on-failure" } }),
            "restart.policy",
            json!(["never", "on_failure", "always"]),
            json!("on_failure"),
        ),
        (
            "start",
            json!({ "shell": "true", "after": { "ids": ["a"], "on": "done" } }),
            "after.on",
            json!(["success", "ready", "end"]),
            Value::Null,
        ),
        (
            "start",
            json!({ "shell": "true", "stdin": { "txt": "a" } }),
            "stdin",
            json!(["null", "open", "text", "file"]),
            json!("text"),
        ),
        (
            "wait",
            json!({ "id": "a", "until": "log" }),
            "until",
            json!(["terminal", "ready", "log"]),
            Value::Null,
        ),
        (
            "wait",
            json!({ "id": "a", "until": 5 }),
            "until",
            json!(["terminal", "ready", "log"]),
            Value::Null,
        ),
        (
            "signal",
            json!({ "id": "a", "signal": "USR1", "to": "all" }),
            "to",
            json!(["main", "tree"]),
            Value::Null,
        ),
        (
            "start",
            json!({ "shell": "true", "pty": { "cols": 80, "row": 24 } }),
            "pty.row",
            json!(["cols", "rows"]),
            json!("rows"),
        ),
        (
            "start",
            json!({ "shell": "true", "watch": [{ "name": "a", "patern": "b" }] }),
            "watch[0].patern",
            json!(["name", "pattern", "throttle_ms"]),
            json!("pattern"),
        ),
        (
            "start",
            json!({ "shell": "true", "limits": { "memory": 5 } }),
            "limits.memory",
            json!([
                "cpu_percent",
                "log_bytes",
                "memory_bytes",
                "open_files",
                "processes"
            ]),
            json!("memory_bytes"),
        ),
    ] {
        let error = wrong(&cli, verb, &payload);
        let details = &error["details"];
        assert_eq!(details["field"], field, "{payload}");
        assert_eq!(details["allowed"], allowed, "{payload}");
        assert_eq!(details["nearest"], nearest, "{payload}");
    }
}

#[test]
fn a_watch_is_told_by_its_place() {
    let cli = Cli::new();
    let watch = json!([{ "name": "a", "pattern": "b" }, { "name": "a", "pattern": "c" }]);
    let error = wrong(&cli, "start", &json!({ "shell": "true", "watch": watch }));
    assert_eq!(error["details"]["field"], "watch[1].name");
}
