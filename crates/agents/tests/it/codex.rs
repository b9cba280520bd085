use serde_json::{Value, json};

use super::{Outcome, Provider, counts, data, end, frames, last, log, run};

fn item(stage: &str, item: Value) -> Value {
    json!({"type": format!("item.{stage}"), "item": item})
}

fn begin() -> Value {
    json!({"type": "thread.started", "thread_id": "th-1"})
}

fn done(input: u64) -> Value {
    json!({"type": "turn.completed", "usage": {"input_tokens": input, "cached_input_tokens": 4, "output_tokens": 2}})
}

#[test]
fn items_of_every_kind() {
    let command = |status: &str, code: Value, output: &str| {
        json!({"id": "item_1", "type": "command_execution", "command": "ls", "status": status,
            "exit_code": code, "aggregated_output": output})
    };
    let changes = json!({"id": "item_2", "type": "file_change", "status": "completed",
        "changes": [{"path": "a", "kind": "add"}, {"path": "b", "kind": "delete"}]});
    let mcp = |more: Value| {
        json!({"id": "item_3", "type": "mcp_tool_call", "server": "s", "tool": "Look_Up",
            "arguments": {"q": 1}, "result": more, "status": "completed"})
    };
    let frames = frames(
        Provider::Codex,
        &format!(
            "Reading additional input from stdin...\n{}",
            log(&[
                begin(),
                json!({"type": "turn.started"}),
                item(
                    "completed",
                    json!({"id": "item_0", "type": "agent_message", "text": "On it."})
                ),
                item(
                    "completed",
                    json!({"id": "item_9", "type": "reasoning", "text": "hm"})
                ),
                item(
                    "completed",
                    json!({"id": "item_8", "type": "error", "message": "model rerouted"})
                ),
                item("started", command("in_progress", Value::Null, "")),
                item("updated", command("in_progress", Value::Null, "x")),
                item("completed", command("failed", json!(2), "no such file")),
                item("completed", command("failed", json!(2), "no such file")),
                item("completed", changes),
                item("started", mcp(Value::Null)),
                item(
                    "completed",
                    mcp(json!({"content": [{"type": "text", "text": "found"}]}))
                ),
                item(
                    "completed",
                    json!({"id": "item_4", "type": "web_search", "query": "rust"})
                ),
                item(
                    "started",
                    json!({"id": "item_5", "type": "todo_list", "items": []})
                ),
                done(10),
            ])
        ),
    );
    assert_eq!(counts(&frames), [1, 1, 6, 6, 1]);
    let starts = data(&frames, "agent.tool_start");
    let names: Vec<_> = starts
        .iter()
        .map(|start| start["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "shell",
            "write",
            "write",
            "look_up",
            "web_search",
            "todo_list"
        ]
    );
    assert_eq!(starts[1]["input"]["kind"], "add");
    assert_eq!(starts[2]["input"]["file_path"], "b");
    assert_eq!(starts[4]["input"], json!({"query": "rust"}));
    let ends = data(&frames, "agent.tool_end");
    assert_eq!(ends[0]["is_error"], true);
    assert_eq!(ends[0]["output"], "no such file");
    assert_eq!(ends[3]["output"], "found");
    assert_eq!(ends[5]["synthetic"], true, "the list was left open");
    assert_eq!(end(&frames)["usage"]["input"], 10);
}

#[test]
fn tools_of_mcp_servers_that_stand_in_for_common_ones_go_by_their_names() {
    let cases = [
        ("read_file", json!({"path": "a"}), "read", "file_path", "a"),
        (
            "write_file",
            json!({"target": "a"}),
            "write",
            "file_path",
            "a",
        ),
        (
            "apply_patch",
            json!({"filePath": "a"}),
            "edit",
            "file_path",
            "a",
        ),
        ("patch", json!({"file_path": "a"}), "edit", "file_path", "a"),
        (
            "glob_file_search",
            json!({"query": "*"}),
            "glob",
            "pattern",
            "*",
        ),
        (
            "grep_search",
            json!({"search": "x"}),
            "grep",
            "pattern",
            "x",
        ),
        ("bash", json!({"cmd": "ls"}), "shell", "command", "ls"),
        (
            "run_command",
            json!({"script": "ls"}),
            "shell",
            "command",
            "ls",
        ),
    ];
    for (raw_name, arguments, name, field, value) in cases {
        let call = json!({"id": "item_1", "type": "mcp_tool_call", "server": "s", "tool": raw_name,
            "arguments": arguments, "status": "in_progress"});
        let frames = frames(Provider::Codex, &log(&[begin(), item("started", call)]));
        let start = data(&frames, "agent.tool_start")[0];
        assert_eq!(
            (&start["name"], &start["raw_name"]),
            (&json!(name), &json!(raw_name))
        );
        assert_eq!(start["input"][field], value, "{start}");
    }
}

#[test]
fn an_error_and_its_turn_are_one_end() {
    let text = "Quota exceeded. Check your plan and billing details.";
    let frames = frames(
        Provider::Codex,
        &log(&[
            begin(),
            json!({"type": "turn.started"}),
            json!({"type": "error", "message": text}),
            json!({"type": "turn.failed", "error": {"message": text}}),
        ]),
    );
    assert_eq!(counts(&frames), [1, 0, 0, 0, 1]);
    let error = &end(&frames)["error"];
    assert_eq!(error["message"], text);
    assert_eq!(error["category"], "balance", "it does not pass by itself");
}

#[test]
fn a_usage_limit_passes() {
    let text =
        "You've hit your usage limit. Upgrade to Pro, visit billing, or try again in 3 days.";
    let frames = frames(
        Provider::Codex,
        &log(&[
            begin(),
            json!({"type": "turn.failed", "error": {"message": text}}),
        ]),
    );
    assert_eq!(end(&frames)["error"]["category"], "rate_limit");
    assert_eq!(end(&frames)["error"]["retryable"], true);
}

#[test]
fn an_error_that_was_got_over_is_none() {
    let reconnect =
        json!({"type": "error", "message": "Reconnecting... 1/5 (stream disconnected)"});
    let said = item(
        "completed",
        json!({"id": "i", "type": "agent_message", "text": "Here."}),
    );
    let lines = log(&[begin(), reconnect.clone(), said, done(1)]);
    assert_eq!(end(&frames(Provider::Codex, &lines))["error"], Value::Null);

    let lines = log(&[begin(), reconnect]);
    let last = last(&run(Provider::Codex, &lines, "", Outcome::Exited(1)));
    assert_eq!(last["type"], "agent.end", "{last}");
    assert_eq!(last["data"]["error"]["category"], "network");
    assert_eq!(last["data"]["synthetic"], true);
}

#[test]
fn the_thread_counts_on_when_it_is_resumed() {
    let frames = frames(
        Provider::Codex,
        &log(&[begin(), done(10), begin(), done(25), begin(), done(26)]),
    );
    let used: Vec<_> = data(&frames, "agent.end")
        .iter()
        .map(|end| end["usage"]["input"].clone())
        .collect();
    assert_eq!(used, [10, 15, 1]);

    let mut parser = background_tasks_agents::Parser::new(Provider::Codex);
    parser.resumed_from(background_tasks_agents::Usage {
        input: Some(10),
        ..Default::default()
    });
    parser.line(done(7).to_string().as_bytes());
    assert_eq!(
        parser.usage().input,
        Some(7),
        "less than before is no running total"
    );
}

#[test]
fn what_it_says_on_standard_error_is_the_reason() {
    let stderr =
        "\u{1b}[31mERROR\u{1b}[0m codex_api: unexpected status 401 Unauthorized: Missing bearer\n";
    let last = last(&run(
        Provider::Codex,
        &log(&[begin()]),
        stderr,
        Outcome::Exited(1),
    ));
    assert_eq!(last["data"]["error"]["category"], "auth");
    assert!(
        last["data"]["error"]["message"]
            .as_str()
            .expect("text")
            .contains("401 Unauthorized")
    );
}
