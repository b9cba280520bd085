use serde_json::{Value, json};

use super::{Provider, counts, data, end, frames, log};

fn init(session: &str) -> Value {
    json!({"type": "system", "subtype": "init", "cwd": "/w", "session_id": session, "model": "claude-x",
        "tools": ["Bash"], "uuid": "u"})
}

fn assistant(id: &str, block: Value) -> Value {
    json!({"type": "assistant", "message": {"id": id, "model": "claude-x", "role": "assistant",
        "type": "message", "content": [block], "usage": {"input_tokens": 1}},
        "parent_tool_use_id": null, "session_id": "s-1"})
}

fn result(more: Value) -> Value {
    let mut line = json!({"type": "result", "subtype": "success", "is_error": false, "result": "Done.",
        "session_id": "s-1", "total_cost_usd": 0.5, "usage": {"input_tokens": 3, "output_tokens": 5,
        "cache_creation_input_tokens": 7, "cache_read_input_tokens": 11}});
    let Value::Object(more) = more else {
        return line;
    };
    line.as_object_mut().expect("an object").extend(more);
    line
}

#[test]
fn a_run_with_overlapping_tools() {
    let start = |id: &str, name: &str, input: Value| {
        assistant(
            "m1",
            json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        )
    };
    let finish = |id: &str, content: Value, is_error: bool| {
        json!({"type": "user", "message": {"role": "user", "content": [{"type": "tool_result",
            "tool_use_id": id, "content": content, "is_error": is_error}]}, "session_id": "s-1"})
    };
    let frames = frames(
        Provider::Claude,
        &log(&[
            init("s-1"),
            json!({"type": "system", "subtype": "status", "session_id": "s-0"}),
            assistant("m1", json!({"type": "thinking", "thinking": "hm"})),
            assistant("m1", json!({"type": "text", "text": "Two at once."})),
            start(
                "t1",
                "Bash",
                json!({"command": "ls", "description": "List"}),
            ),
            start("t2", "MultiEdit", json!({"file_path": "a.rs", "edits": []})),
            finish(
                "t2",
                json!([{"type": "text", "text": "one"}, {"type": "image", "source": {}}]),
                false,
            ),
            finish("t1", json!("no such thing"), true),
            json!({"type": "rate_limit_event", "rate_limit_info": {}}),
            result(json!({})),
        ]),
    );
    assert_eq!(counts(&frames), [1, 1, 2, 2, 1]);
    let starts = data(&frames, "agent.tool_start");
    assert_eq!(starts[0]["name"], "shell");
    assert_eq!(starts[0]["raw_name"], "Bash");
    assert_eq!(starts[1]["name"], "edit");
    let ends = data(&frames, "agent.tool_end");
    assert_eq!(
        ends[0],
        &json!({"run": 1, "tool_id": "t2", "output": "one\n[image]", "is_error": false})
    );
    assert_eq!(ends[1]["tool_id"], "t1");
    assert_eq!(ends[1]["is_error"], true);
    assert_eq!(
        end(&frames),
        &json!({"run": 1, "cost_usd": 0.5, "usage": {"input": 3, "output": 5,
        "cache_read": 11, "cache_write": 7, "reasoning": null}})
    );
}

#[test]
fn several_blocks_on_a_line_are_all_read() {
    let mut line = assistant("m", json!({"type": "text", "text": "a"}));
    line["message"]["content"] = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "t", "name": "Task", "input": "not an object"}]);
    let frames = frames(
        Provider::Claude,
        &log(&[init("s-1"), line, result(json!({}))]),
    );
    assert_eq!(counts(&frames), [1, 2, 1, 1, 1]);
    assert_eq!(data(&frames, "agent.tool_start")[0]["input"], json!({}));
    assert_eq!(data(&frames, "agent.tool_end")[0]["synthetic"], true);
}

#[test]
fn no_credit_is_an_error_although_the_subtype_is_success() {
    let text = "Credit balance is too low";
    let mut said = assistant("m", json!({"type": "text", "text": text}));
    said["error"] = json!("billing_error");
    said["message"]["model"] = json!("<synthetic>");
    let frames = frames(
        Provider::Claude,
        &log(&[
            init("s-1"),
            said,
            result(json!({"is_error": true, "result": text})),
        ]),
    );
    assert_eq!(counts(&frames), [1, 1, 0, 0, 1]);
    let error = &end(&frames)["error"];
    assert_eq!(error["message"], text);
    assert_eq!(error["category"], "balance");
    assert_eq!(error["retryable"], false);
}

#[test]
fn failures_by_their_category() {
    for (more, category, message) in [
        (
            json!({"is_error": true, "result": "Not logged in · Please run /login"}),
            "auth",
            "Not logged in",
        ),
        (
            json!({"subtype": "error_max_turns", "result": null}),
            "limit",
            "error_max_turns",
        ),
        (
            json!({"subtype": "error_during_execution", "errors": ["ENOTFOUND api"]}),
            "unknown",
            "Done.",
        ),
        (
            json!({"subtype": "error_during_execution", "result": null, "errors": ["getaddrinfo ENOTFOUND"]}),
            "network",
            "getaddrinfo",
        ),
        (
            json!({"is_error": true, "terminal_reason": "budget_exhausted", "result": "x"}),
            "limit",
            "x",
        ),
        (
            json!({"is_error": true, "result": "API Error: 529 {\"type\":\"error\",\"error\":{\"type\":\
            \"overloaded_error\",\"message\":\"Overloaded\"}}"}),
            "rate_limit",
            "API Error: 529 Overloaded",
        ),
        (
            json!({"is_error": true, "result": "API Error: 404 {\"error\":{\"type\":\"not_found_error\",\
            \"message\":\"model: claude-9\"}}"}),
            "model_unavailable",
            "API Error: 404 model: claude-9",
        ),
        (
            json!({"is_error": true, "result": "You've hit your limit · resets 3pm"}),
            "rate_limit",
            "You've",
        ),
        (
            json!({"result": "Unknown command: /x"}),
            "unknown",
            "Unknown command: /x",
        ),
    ] {
        let frames = frames(Provider::Claude, &log(&[init("s-1"), result(more.clone())]));
        let error = &end(&frames)["error"];
        assert_eq!(error["category"], category, "{more}");
        assert!(
            error["message"]
                .as_str()
                .expect("text")
                .starts_with(message),
            "{error}"
        );
    }
}

#[test]
fn parts_of_a_message_are_not_told_again_as_a_whole() {
    let part = |event: Value| json!({"type": "stream_event", "event": event, "session_id": "s-1"});
    let delta = |text: &str| {
        part(json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}))
    };
    let frames = frames(
        Provider::Claude,
        &log(&[
            init("s-1"),
            part(json!({"type": "message_start", "message": {"id": "m1"}})),
            part(json!({"type": "content_block_start", "index": 0})),
            delta("Hel"),
            delta("lo"),
            assistant("m1", json!({"type": "text", "text": "Hello"})),
            assistant("m2", json!({"type": "text", "text": "Whole"})),
            result(json!({})),
        ]),
    );
    let texts: Vec<_> = data(&frames, "agent.text")
        .iter()
        .map(|text| (text["text"].as_str().expect("text"), text["delta"] == true))
        .collect();
    assert_eq!(texts, [("Hel", true), ("lo", true), ("Whole", false)]);
}

#[test]
fn a_subagent_talks_within_its_tool() {
    let of_subagent = |mut line: Value| {
        line["parent_tool_use_id"] = json!("t1");
        line
    };
    let frames = frames(
        Provider::Claude,
        &log(&[
            init("s-1"),
            assistant(
                "m",
                json!({"type": "tool_use", "id": "t1", "name": "Task", "input": {}}),
            ),
            of_subagent(assistant("n", json!({"type": "text", "text": "looking"}))),
            of_subagent(assistant(
                "n",
                json!({"type": "tool_use", "id": "t2", "name": "LS", "input": {}}),
            )),
            result(json!({})),
        ]),
    );
    assert_eq!(counts(&frames), [1, 0, 2, 2, 1]);
    assert_eq!(data(&frames, "agent.tool_delta")[0]["text"], "looking");
    assert_eq!(data(&frames, "agent.tool_start")[1]["parent_tool_id"], "t1");
}

#[test]
fn the_last_session_id_counts_and_a_second_end_does_not() {
    let mut parser = background_tasks_agents::Parser::new(Provider::Claude);
    let mut later = assistant("m", json!({"type": "text", "text": "hi"}));
    later["session_id"] = json!("s-2");
    let mut ends = result(json!({}));
    ends["session_id"] = json!("s-2");
    for line in [init("s-1"), later, ends.clone()] {
        parser.line(line.to_string().as_bytes());
    }
    assert!(parser.is_complete());
    assert_eq!(parser.session_id(), Some("s-2"));
    assert_eq!(parser.model(), Some("claude-x"));
    assert_eq!(parser.last_text(), "hi");
    assert!(parser.line(ends.to_string().as_bytes()).is_empty());
    assert!(parser.begins_run(init("s-3").to_string().as_bytes()));
    assert!(!parser.begins_run(ends.to_string().as_bytes()));

    let mut more = assistant("n", json!({"type": "text", "text": "more"}));
    more["session_id"] = json!("s-2");
    assert_eq!(parser.line(more.to_string().as_bytes()).len(), 1);
    assert!(!parser.is_complete(), "it goes on");
    let last = parser.finish(background_tasks_agents::Outcome::Exited(0));
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].clone().into_data(1).get("error"), None);
}

#[test]
fn one_log_may_hold_several_runs() {
    let one = |session: &str| {
        let mut said = assistant("m", json!({"type": "text", "text": "hi"}));
        said["session_id"] = json!(session);
        let mut ends = result(json!({}));
        ends["session_id"] = json!(session);
        log(&[init(session), said, ends])
    };
    let frames = frames(Provider::Mock, &[one("a"), one("b"), one("b")].concat());
    assert_eq!(counts(&frames), [3, 3, 0, 0, 3]);
    let runs: Vec<_> = data(&frames, "agent.end")
        .iter()
        .map(|end| end["run"].clone())
        .collect();
    assert_eq!(runs, [1, 2, 3]);
    assert!(
        frames
            .iter()
            .enumerate()
            .all(|(at, frame)| frame["sequence"] == at)
    );
}

#[test]
fn dirt_around_the_json_is_taken_off() {
    let clean = assistant("m", json!({"type": "text", "text": "hi"})).to_string();
    let tool = assistant(
        "n",
        json!({"type": "tool_use", "id": "t", "name": "Read", "input": {}}),
    );
    let cut = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"cut \ud83d\\ud83d and \ud83d\ude00"}]}}"#;
    let log = format!(
        "\u{feff}{}\r\n[WARN] Fast mode requires the native binary\n\u{1b}[2K\u{1b}[32mdata: {clean}\u{1b}[0m\r\n{tool}\n{cut}\n{{\"type\":\"new_kind\"}}\n\n{}",
        init("s-1"),
        result(json!({}))
    );
    let frames = frames(Provider::Claude, &log);
    assert_eq!(counts(&frames), [1, 1, 1, 1, 1]);
    assert_eq!(
        data(&frames, "agent.tool_end")[0]["output"],
        "cut \u{fffd}\\ud83d and \u{1f600}"
    );

    let mut parser = background_tasks_agents::Parser::new(Provider::Claude);
    log.lines()
        .for_each(|line| drop(parser.line(line.as_bytes())));
    assert_eq!(parser.unparsed_lines(), 2, "a warning and a new type");
}
