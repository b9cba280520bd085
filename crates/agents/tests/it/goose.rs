use serde_json::{Value, json};

use super::{Outcome, Provider, counts, data, end, frames, last, log, run};

const BANNER: &str = "
    __( O)>  ● new session · anthropic claude-x-4
   \\____)    20260101_7 · /w
     L L     goose is ready
";

fn message(role: &str, id: Value, part: Value) -> Value {
    json!({"type": "message", "message": {"id": id, "role": role, "created": 1, "content": [part],
        "metadata": {"userVisible": true}}})
}

fn text(id: &str, text: &str) -> Value {
    message(
        "assistant",
        json!(id),
        json!({"type": "text", "text": text}),
    )
}

fn request(id: &str, name: &str, arguments: Value) -> Value {
    message(
        "assistant",
        json!("m"),
        json!({"type": "toolRequest", "id": id,
        "toolCall": {"status": "success", "value": {"name": name, "arguments": arguments}}}),
    )
}

fn response(id: &str, result: Value) -> Value {
    message(
        "user",
        json!("r"),
        json!({"type": "toolResponse", "id": id, "toolResult": result}),
    )
}

fn complete() -> Value {
    json!({"type": "complete", "total_tokens": 9, "input_tokens": 6, "output_tokens": 3, "cost_usd": 0.25})
}

#[test]
fn the_session_is_named_by_the_banner() {
    let good = json!({"status": "success", "value": {"content": [{"type": "text", "text": "a"},
        {"type": "text", "text": "b"}], "isError": false}});
    let log = format!(
        "{BANNER}{}",
        log(&[
            text("m", "Let"),
            text("m", " me."),
            request("t1", "developer__shell", json!({"command": "ls"})),
            json!({"type": "notification", "extension_id": "developer", "log": {"message": "working"}}),
            json!({"type": "notification", "extension_id": "developer", "progress": {"progress": 1}}),
            response("t1", good),
            request(
                "t2",
                "developer__text_editor",
                json!({"command": "view", "path": "a"})
            ),
            response("t2", json!({"status": "error", "error": "no such file"})),
            message(
                "assistant",
                Value::Null,
                json!({"type": "toolRequest", "id": "t3",
            "toolCall": {"status": "error", "error": "bad arguments"}})
            ),
            text("n", "Done."),
            complete(),
        ])
    );
    let frames = frames(Provider::Goose, &log);
    assert_eq!(counts(&frames), [1, 3, 3, 3, 1]);
    assert_eq!(frames[0]["data"]["session_id"], "20260101_7");
    let starts = data(&frames, "agent.tool_start");
    assert_eq!(starts[0]["name"], "shell");
    assert_eq!(starts[1]["name"], "read");
    assert_eq!(
        starts[1]["input"],
        json!({"command": "view", "path": "a", "file_path": "a"})
    );
    assert_eq!(data(&frames, "agent.tool_delta").len(), 1);
    let ends = data(&frames, "agent.tool_end");
    assert_eq!(ends[0]["output"], "a\nb");
    assert_eq!(ends[1]["output"], "no such file");
    assert_eq!(ends[2]["is_error"], true);
    assert_eq!(end(&frames)["cost_usd"], 0.25);

    let mut parser = background_tasks_agents::Parser::new(Provider::Goose);
    log.lines()
        .for_each(|line| drop(parser.line(line.as_bytes())));
    assert_eq!(parser.unparsed_lines(), 0, "the banner is known");
    assert_eq!(parser.model(), Some("claude-x-4"));
    assert_eq!(parser.last_text(), "Done.");
    assert!(parser.begins_run("    __( O)>  ● resuming session · anthropic claude-x-4".as_bytes()));
}

#[test]
fn an_error_that_is_said_as_text_is_an_error() {
    let said = "Ran into this error: Authentication failed: invalid x-api-key (401).\n\nPlease retry if you \
        think this is a transient or recoverable error.";
    let frames = frames(
        Provider::Goose,
        &log(&[
            message(
                "assistant",
                Value::Null,
                json!({"type": "text", "text": said}),
            ),
            json!({"type": "complete", "total_tokens": null}),
        ]),
    );
    assert_eq!(counts(&frames), [0, 0, 0, 0, 1]);
    let error = &end(&frames)["error"];
    assert_eq!(
        error["message"],
        "Authentication failed: invalid x-api-key (401)"
    );
    assert_eq!(error["category"], "auth");
}

#[test]
fn an_error_line_is_not_made_good_by_the_line_that_completes() {
    let frames = frames(
        Provider::Goose,
        &log(&[
            json!({"type": "error", "error": "Rate limit exceeded: too many requests"}),
            complete(),
        ]),
    );
    assert_eq!(counts(&frames), [0, 0, 0, 0, 1]);
    assert_eq!(end(&frames)["error"]["category"], "rate_limit");
}

#[test]
fn two_runs_in_one_log() {
    let one = format!("{BANNER}{}", log(&[text("m", "hi"), complete()]));
    let frames = frames(Provider::Goose, &[one.as_str(), &one].concat());
    assert_eq!(counts(&frames), [2, 2, 0, 0, 2]);
}

#[test]
fn a_configuration_that_is_missing() {
    let stderr = "error: No provider configured. Run 'goose configure' first\n";
    let last = last(&run(Provider::Goose, "", stderr, Outcome::Exited(1)));
    assert_eq!(last["type"], "agent.crashed");
    assert_eq!(last["data"]["exit_code"], 1);
    assert_eq!(last["data"]["output"], stderr);
}
