use serde_json::{Value, json};

use super::{Outcome, Parser, Provider, counts, data, end, frames, last, log, run};

fn init() -> Value {
    json!({"type": "init", "timestamp": "t", "session_id": "g-1", "model": "gemini-x"})
}

fn result(more: Value) -> Value {
    let mut line = json!({"type": "result", "timestamp": "t", "status": "success",
        "stats": {"total_tokens": 9, "input_tokens": 6, "output_tokens": 3, "cached": 2}});
    let Value::Object(more) = more else {
        return line;
    };
    line.as_object_mut().expect("an object").extend(more);
    line
}

#[test]
fn tools_begin_together_and_end_together() {
    let start = |id: &str, name: &str, input: Value| json!({"type": "tool_use", "timestamp": "t", "tool_name": name, "tool_id": id, "parameters": input});
    let frames = frames(
        Provider::Gemini,
        &format!(
            "YOLO mode is enabled.\n{}",
            log(&[
                init(),
                json!({"type": "message", "role": "user", "content": "the prompt"}),
                json!({"type": "message", "role": "assistant", "content": "Let me", "delta": true}),
                json!({"type": "message", "role": "assistant", "content": " see.", "delta": true}),
                start(
                    "a",
                    "run_shell_command",
                    json!({"command": "ls", "wait_for_previous": true})
                ),
                start("b", "write_todos", json!({"todos": []})),
                start("c", "list_directory", json!({"dir_path": "."})),
                json!({"type": "tool_result", "tool_id": "c", "status": "success"}),
                json!({"type": "tool_result", "tool_id": "a", "status": "error",
            "error": {"type": "X", "message": "no shell"}}),
                json!({"type": "tool_result", "tool_id": "b", "status": "success", "output": "ok"}),
                result(json!({})),
            ])
        ),
    );
    assert_eq!(counts(&frames), [1, 2, 3, 3, 1]);
    let names: Vec<_> = data(&frames, "agent.tool_start")
        .iter()
        .map(|start| start["name"].clone())
        .collect();
    assert_eq!(names, ["shell", "write_todos", "glob"]);
    let ends = data(&frames, "agent.tool_end");
    assert_eq!(
        ends[1],
        &json!({"run": 1, "tool_id": "a", "output": "no shell", "is_error": true})
    );
    assert_eq!(
        end(&frames),
        &json!({"run": 1, "usage": {"input": 6, "output": 3, "cache_read": 2,
        "cache_write": null, "reasoning": null}})
    );
}

#[test]
fn the_true_reason_is_in_the_dump_before_the_result() {
    let dump = "Error when talking to Gemini API Full report available at: /tmp/401-error.json \
        TerminalQuotaError: You exceeded your current quota, please check your plan and billing details. \
        See https://ai.google.dev/gemini-api/docs/rate-limits.\n\
        * Quota exceeded for metric: requests, limit: 0\nPlease retry in 34s.\n    at main (x.js:401:7) {\n";
    let generic = json!({"status": "error",
        "error": {"type": "unknown", "message": "[API Error: An unknown error occurred.]"}});
    let log = format!("{}{dump}{}\n", log(&[init()]), result(generic));
    let frames = frames(Provider::Gemini, &log);
    assert_eq!(counts(&frames), [1, 0, 0, 0, 1]);
    let error = &end(&frames)["error"];
    assert_eq!(
        error["category"], "rate_limit",
        "it says where quotas pass by the minute"
    );
    let message = error["message"].as_str().expect("text");
    assert!(
        message.starts_with("Error when talking to Gemini API TerminalQuotaError: You exceeded"),
        "{message}"
    );
}

/// With two logs nobody knows in which order their lines were printed at about the same time.
#[test]
fn the_true_reason_may_be_anywhere_on_standard_error() {
    let dump = "Error when talking to Gemini API Full report available at: /tmp/x.json \
        TerminalQuotaError: You have exhausted your daily quota. RESOURCE_EXHAUSTED\n    at x (y.js:1:1)\n";
    let said = json!({"type": "message", "role": "assistant", "content": "Hm", "delta": true});
    let generic = json!({"status": "error",
        "error": {"type": "unknown", "message": "[API Error: An unknown error occurred.]"}});
    let lines = [init(), said, result(generic)].map(|line| line.to_string());
    for place in 0..=lines.len() {
        let mut parser = Parser::new(Provider::Gemini);
        for (at, line) in lines.iter().enumerate() {
            if at == place {
                dump.lines().for_each(|it| parser.stderr(it.as_bytes()));
            }
            parser.line(line.as_bytes());
        }
        if place == lines.len() {
            dump.lines().for_each(|it| parser.stderr(it.as_bytes()));
        }
        let error = &last(&parser.finish(Outcome::Exited(1)))["data"]["error"];
        assert_eq!(error["category"], "rate_limit", "{place}");
        let message = error["message"].as_str().expect("text");
        let expected = "Error when talking to Gemini API TerminalQuotaError: You have exhausted";
        assert!(message.starts_with(expected), "{place}: {message}");
    }
}

#[test]
fn a_tool_that_fails_is_not_the_reason() {
    let log = format!(
        "{}Error executing tool read_file: no such file\n{}",
        log(&[init()]),
        result(json!({"status": "error", "error": {"type": "X", "message": "the stream was odd"}}))
    );
    let frames = frames(Provider::Gemini, &log);
    assert_eq!(end(&frames)["error"]["message"], "the stream was odd");
}

#[test]
fn attempts_that_fail_may_precede_success() {
    let text =
        "Attempt 1 failed with status 429. Retrying with backoff...\nError: quota exceeded\n";
    let log = format!("{}{text}{}", log(&[init()]), result(json!({})));
    assert_eq!(end(&frames(Provider::Gemini, &log))["error"], Value::Null);
}

#[test]
fn a_result_that_says_why_is_believed() {
    let error = json!({"status": "error", "error": {"type": "FatalTurnLimitedError",
        "message": "Reached max session turns for this session."}});
    let frames = frames(
        Provider::Gemini,
        &log(&[
            init(),
            json!({"type": "error", "severity": "warning", "message": "Loop detected"}),
            result(error),
        ]),
    );
    assert_eq!(end(&frames)["error"]["category"], "limit");
}

#[test]
fn an_error_line_is_the_reason_if_no_result_follows() {
    let log = log(&[
        init(),
        json!({"type": "error", "severity": "error", "message": "API key not valid"}),
    ]);
    let last = last(&run(Provider::Gemini, &log, "", Outcome::Exited(1)));
    assert_eq!(last["data"]["error"]["category"], "auth");
    assert_eq!(last["data"]["error"]["message"], "API key not valid");
}

#[test]
fn exit_codes_tell_what_words_do_not() {
    for (code, category) in [(41, "auth"), (53, "limit"), (55, "permission")] {
        let last = last(&run(
            Provider::Gemini,
            "",
            "it did not work out\n",
            Outcome::Exited(code),
        ));
        assert_eq!(last["data"]["error"]["category"], category);
        assert_eq!(last["data"]["error"]["message"], "it did not work out");
    }
    let last = last(&run(
        Provider::Gemini,
        "",
        "no such option\n",
        Outcome::Exited(42),
    ));
    assert_eq!(last["type"], "agent.crashed");
}

#[test]
fn lines_of_older_versions() {
    let frames = frames(
        Provider::Gemini,
        &log(&[
            json!({"type": "assistant.delta", "text": "hi"}),
            json!({"type": "tool.start", "name": "read_file", "input": {"file_path": "a"}}),
            json!({"type": "tool.delta", "text": "so far"}),
            json!({"type": "tool.end"}),
            json!({"type": "assistant.complete"}),
        ]),
    );
    assert_eq!(counts(&frames), [0, 1, 1, 1, 1]);
    assert_eq!(data(&frames, "agent.tool_delta")[0]["text"], "so far");
    assert_eq!(end(&frames)["error"], Value::Null);
}
