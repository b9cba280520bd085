//! Coding agents as tasks: what each directive of the mock comes to, what is refused, and what the
//! agent commands answer.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Call, Cli, Outcome, end_of, eventually, parsed, text, types, with, work};

/// The payload of a start of the mock.
pub fn mock(id: &str, prompt: &str) -> Value {
    json!({ "id": id, "agent": { "provider": "mock", "prompt": prompt } })
}

/// Says one more thing to an agent; how its conversation stands then.
pub fn send(cli: &Cli, id: &str, prompt: &str) -> Value {
    let payload = json!({ "id": id, "prompt": prompt });
    cli.run("send").payload(payload).ok()["agent"].take()
}

/// How the conversation of a task stands.
pub fn agent_of(cli: &Cli, id: &str) -> Value {
    cli.task(id)["agent"].take()
}

/// Everything that happened to a task, from its beginning.
pub fn history(cli: &Cli, id: &str) -> Vec<Value> {
    let events = cli.run("events").payload(json!({ "id": id }));
    events.flags(["--stream"]).frames()
}

/// What its agent did.
pub fn told(cli: &Cli, id: &str) -> Vec<Value> {
    let mut frames = history(cli, id);
    frames.retain(|frame| text(&frame["type"]).starts_with("agent."));
    frames
}

/// Whether the frame is the last of its run.
pub fn is_terminal(frame: &Value) -> bool {
    frame["type"] == "agent.end" || frame["type"] == "agent.crashed"
}

/// Asserts that so many runs were told of, in their order, each with one last event.
#[track_caller]
pub fn assert_runs(frames: &[Value], runs: u64) {
    let mut over = 0;
    for frame in frames {
        assert_eq!(frame["data"]["run"], over + 1, "{frames:#?}");
        over += u64::from(is_terminal(frame));
    }
    assert_eq!(over, runs, "{frames:#?}");
}

/// What was said in whole blocks.
pub fn texts(frames: &[Value]) -> Vec<String> {
    let said = frames.iter().filter(|frame| frame["type"] == "agent.text");
    said.map(|frame| text(&frame["data"]["text"])).collect()
}

/// A frame in short.
pub fn short(frame: &Value) -> String {
    let data = &frame["data"];
    let word = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
    match text(&frame["type"]).as_str() {
        "agent.session" => format!("session {}", word("session_id")),
        "agent.text" if data["delta"] == true => format!("+ {}", word("text")),
        "agent.text" => format!("text {}", word("text")),
        "agent.thinking" => format!("thinking {}", word("text")),
        "agent.tool_start" => format!("tool {} {}", word("name"), data["input"]),
        "agent.tool_delta" => format!("tool prints {}", word("text")),
        "agent.tool_end" => {
            let word_of = |field: &str, word| if data[field] == true { word } else { "" };
            let (error, synthetic) = (word_of("is_error", "!"), word_of("synthetic", "~"));
            format!("tool ends{error}{synthetic} {}", word("output"))
        }
        "agent.end" => {
            let synthetic = if data["synthetic"] == true { "~" } else { "" };
            match &data["error"] {
                Value::Null => format!("end{synthetic}"),
                error => format!(
                    "end{synthetic} {}: {}",
                    text(&error["category"]),
                    text(&error["message"])
                ),
            }
        }
        "agent.crashed" => format!(
            "crashed {} {}: {}",
            data["exit_code"],
            data["signal"],
            word("message")
        ),
        other => other.to_owned(),
    }
}

/// What the agent of a task did, in short.
pub fn shorts(cli: &Cli, id: &str) -> Vec<String> {
    told(cli, id).iter().map(short).collect()
}

#[test]
fn every_directive_comes_to_its_events_and_one_end() {
    let cli = Cli::new();
    let exited = |code: i32| json!(["exited", code, null, null]);
    let missing = cli.file("no/such/folder");
    let write = format!("write {missing} x");
    let no_file = format!(r#"tool write {{"content":"x","file_path":"{missing}"}}"#);
    let cases: [(&str, &[&str], Value); 14] = [
        ("Hello,\nyou.", &["text Hello,\nyou.", "end"], exited(0)),
        ("say a\nsay b", &["text a", "text b", "end"], exited(0)),
        (
            "tool Bash {\"command\": \"ls\"}",
            &[r#"tool shell {"command":"ls"}"#, "tool ends ok", "end"],
            exited(0),
        ),
        (
            "write a.txt two words",
            &[
                r#"tool write {"content":"two words","file_path":"a.txt"}"#,
                "tool ends File written: a.txt",
                "end",
            ],
            exited(0),
        ),
        (
            &write,
            &[
                &no_file,
                "tool ends! Error: No such file or directory (os error 2)",
                "end",
            ],
            exited(0),
        ),
        ("partial in halves", &["text in halves", "end"], exited(0)),
        ("noise [WARN] hm\nsleep 5", &["end"], exited(0)),
        ("stderr oh", &["end"], exited(0)),
        (
            "say a\nerror rate limit reached\nsay b",
            &["text a", "end rate_limit: rate limit reached"],
            exited(1),
        ),
        (
            "exit 0",
            &["end~ unknown: mock ended without a result"],
            exited(0),
        ),
        (
            "exit 7",
            &["crashed 7 null: mock exited with code 7 without a result"],
            exited(7),
        ),
        (
            "stderr 401 Unauthorized\nexit 7",
            &["end~ auth: 401 Unauthorized"],
            exited(7),
        ),
        (
            "crash",
            &["crashed null \"SIGKILL\": mock was ended by SIGKILL without a result"],
            json!(["killed", null, "SIGKILL", "signalled"]),
        ),
        (
            "say a\nno-result\nsay b",
            &[
                "text a",
                "text b",
                "end~ unknown: mock ended without a result",
            ],
            exited(0),
        ),
    ];
    for (number, (prompt, expected, end)) in cases.into_iter().enumerate() {
        let id = format!("a{number}");
        let task = cli.start_and_wait(mock(&id, prompt));
        assert_eq!(end_of(&task), end, "{prompt}");
        let frames = told(&cli, &id);
        assert_runs(&frames, 1);
        let told: Vec<_> = frames.iter().map(short).collect();
        assert_eq!(told[0], format!("session mock-bt-{id}"));
        assert_eq!(told[1..], *expected, "{prompt}");
        // The end of the run is told before that of the task.
        let all = history(&cli, &id);
        let behind = types(&all).pop().unwrap();
        assert_eq!(behind, format!("task.{}", text(&task["status"])));
        assert!(is_terminal(&all[all.len() - 2]), "{prompt}");
    }
    assert_eq!(fs::read_to_string(cli.file("a.txt")).unwrap(), "two words");
    assert_eq!(agent_of(&cli, "a6")["unparsed_lines"], 1);
    let stderr = fs::read_to_string(cli.home().join("logs/a7.stderr.log"));
    assert_eq!(stderr.unwrap(), "oh\n");
}

#[test]
fn what_a_crashed_agent_printed_beside_its_events_is_told() {
    let cli = Cli::new();
    let long = "x".repeat(5000);
    cli.start_and_wait(mock("a", &format!("noise {long}\nstderr the end\ncrash")));
    let crashed = told(&cli, "a").pop().unwrap();
    let output = text(&crashed["data"]["output"]);
    assert!(output.len() <= 4096 && output.len() > 4000, "{output}");
    assert!(
        output.contains("the end\n") && output.contains("xxx"),
        "{output}"
    );
}

#[test]
fn a_grandchild_that_an_agent_leaves_is_ended() {
    let cli = Cli::new();
    let task = cli.start_and_wait(mock("a", "fork\nsay it stays"));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
    // The end is told first.
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
    let stderr = fs::read_to_string(cli.home().join("logs/a.stderr.log")).unwrap();
    assert!(stderr.ends_with(" is left behind\n"), "{stderr}");
    assert_eq!(shorts(&cli, "a")[1..], ["text it stays", "end"]);
}

#[test]
fn a_stop_is_an_end_and_no_crash() {
    let cli = Cli::new();
    for (id, prompt, grace_ms, signal) in [
        ("kind", "say up\nhang", 5000, "SIGTERM"),
        ("stubborn", "ignore-term\nfork\nsay up\nhang", 50, "SIGKILL"),
    ] {
        cli.start(mock(id, prompt));
        eventually(|| cli.log(id).contains("\"up\""), "it is at work");
        let stop = json!({ "id": id, "grace_ms": grace_ms });
        let stopped = cli.run("stop").payload(stop).ok();
        let end = json!(["killed", null, signal, "stop_requested"]);
        assert_eq!(end_of(&stopped["task"]), end);
        assert_runs(&told(&cli, id), 1);
        let last = shorts(&cli, id).pop().unwrap();
        assert_eq!(last, "end~ stopped: it was stopped on request");
    }
    cli.assert_no_processes();
}

#[test]
fn an_agent_that_takes_too_long_is_told_as_a_limit() {
    let cli = Cli::new();
    // Standard error is no event, but it is a sign of life.
    let chatty = format!("say up\n{}hang", "stderr oh\nsleep 1\n".repeat(5000));
    cli.start(with(mock("chatty", &chatty), json!({ "timeout_ms": 700 })));
    cli.start(with(
        mock("mute", "say up\nhang"),
        json!({ "idle_timeout_ms": 300 }),
    ));
    let end_of = |id| text(&cli.wait(id)["reason"]);
    assert_eq!(end_of("chatty"), "timed_out");
    assert_eq!(end_of("mute"), "idle");
    let limit = "end~ limit: it ran for longer than its 700 ms";
    assert_eq!(shorts(&cli, "chatty")[1..], ["text up", limit]);
    let limit = "end~ limit: it was silent for 300 ms";
    assert_eq!(shorts(&cli, "mute")[1..], ["text up", limit]);
    cli.assert_no_processes();
}

#[test]
fn an_agent_is_a_task_with_defaults_of_its_own() {
    let cli = Cli::new();
    let task = cli.start_and_wait(with(
        mock("a", "say one two\nnoise x"),
        json!({ "tags": ["mine"] }),
    ));
    let shown = ["stderr", "timeout_ms", "tags", "name"].map(|field| task[field].clone());
    let tags = json!(["mine", "agent", "mock"]);
    let expected = [
        json!("separate"),
        json!(3_600_000),
        tags,
        json!("say one two noise x"),
    ];
    assert_eq!(shown, expected);
    let usage = json!({
        "input": 5, "output": 2, "cache_read": null, "cache_write": null, "reasoning": null
    });
    let agent = json!({
        "provider": "mock", "model": "mock", "mode": "edit", "session_id": "mock-bt-a", "run": 1,
        "queued": 0, "usage": usage, "cost_usd": null, "last_text": "one two", "unparsed_lines": 1
    });
    assert_eq!(agent_of(&cli, "a"), agent);
    let listed = cli.run("list").payload(json!({ "tag": "agent" })).ok();
    let known = json!({ "provider": "mock", "model": null, "mode": "edit" });
    assert_eq!(listed["tasks"][0]["agent"], known);
    // What is said stays.
    let own = json!({ "stderr": "merge", "timeout_ms": 5000, "name": "n", "tags": ["agent"] });
    let task = cli.start_and_wait(with(mock("b", "stderr oh"), own));
    let shown = ["stderr", "timeout_ms", "tags", "name"].map(|field| task[field].clone());
    assert_eq!(
        shown,
        [
            json!("merge"),
            json!(5000),
            json!(["agent", "mock"]),
            json!("n")
        ]
    );
    assert_eq!(agent_of(&cli, "b")["unparsed_lines"], 1);
}

/// A folder in which no agent is found, as PATH.
fn nowhere(cli: &Cli) -> String {
    let path = cli.file("nowhere");
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn what_is_not_installed_is_told_and_leaves_nothing() {
    let cli = Cli::new();
    let path = nowhere(&cli);
    for provider in ["claude", "codex", "gemini", "opencode", "goose", "pi"] {
        let mode = if provider == "goose" { "plan" } else { "edit" };
        let agent = json!({ "provider": provider, "prompt": "x", "mode": mode });
        let start = cli
            .run("start")
            .payload(json!({ "id": "a", "agent": agent }));
        let error = start.env("PATH", &path).err("ProviderNotInstalled");
        let searched = error["details"]["searched"].as_array().unwrap();
        assert!(searched.contains(&json!(path)), "{error}");
        assert!(text(&error["message"]).contains(provider), "{error}");
        let hint = text(&error["details"]["hint"]);
        assert!(hint.contains("agent install"), "{hint}");
    }
    cli.run("status").text("a").err("TaskNotFound");
    assert!(!cli.task_file("a", "").exists());
    // Nor does a prompt for one that is gone.
    let bin = cli.file("bin");
    fs::create_dir(&bin).unwrap();
    cli.make_file("bin/pi", "755", "#!/bin/sh\nexit 0\n");
    let agent = json!({ "id": "a", "agent": { "provider": "pi", "prompt": "x" } });
    let start = cli.run("start").payload(agent).flags(["--wait"]);
    start.env("PATH", format!("{bin}:/usr/bin:/bin")).ok();
    let more = json!({ "id": "a", "prompt": "y" });
    let send = cli.run("send").payload(more).env("PATH", &path);
    send.err("ProviderNotInstalled");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
}

#[test]
fn what_is_wrong_with_an_agent_of_a_batch_is_told_with_its_place() {
    let cli = Cli::new();
    let path = nowhere(&cli);
    for (agent, kind) in [
        (
            json!({ "provider": "pi", "prompt": "x" }),
            "ProviderNotInstalled",
        ),
        (
            json!({ "provider": "mock", "prompt": "x", "effort": "high" }),
            "Unsupported",
        ),
        (
            json!({ "provider": "mock", "prompt": "" }),
            "CommandInputError",
        ),
    ] {
        let batch = json!([mock("a", "x"), { "id": "b", "agent": agent }]);
        let error = cli.run("start").payload(batch).env("PATH", &path).err(kind);
        assert_eq!(error["details"]["index"], 1, "{error}");
        assert!(!text(&error["details"]["hint"]).is_empty(), "{error}");
    }
    assert_eq!(cli.list(json!({})), [""; 0]);
}

#[test]
fn an_agent_that_did_not_get_ready_is_told_as_that() {
    let cli = Cli::new();
    let probe = json!({ "type": "command", "command": "false", "startup_timeout_ms": 50 });
    cli.start_and_wait(with(mock("a", "say up\nhang"), json!({ "health": probe })));
    let last = shorts(&cli, "a").pop().unwrap();
    let expected = "mock was ended without a result, because of not_ready";
    assert!(last.ends_with(expected), "{last}");
}

#[test]
fn only_an_agents_conversation_is_resumed() {
    let cli = Cli::new();
    cli.start_and_wait(work("plain", ["exit 0"]));
    let agent = json!({ "provider": "mock", "prompt": "x", "resume": "plain" });
    let start = cli
        .run("start")
        .payload(json!({ "id": "a", "agent": agent }));
    let error = start.err("CommandInputError");
    assert_eq!(error["details"]["field"], "agent.resume");
    cli.run("status").text("a").err("TaskNotFound");
}

#[test]
fn what_an_agent_may_leave_out_is_hinted_at_as_agents_have_it() {
    let cli = Cli::new();
    let payload = with(mock("a", "x"), json!({ "timeout_ms": 0 }));
    let error = cli.run("start").payload(payload).err("CommandInputError");
    assert_eq!(error["details"]["field"], "timeout_ms");
    let hint = text(&error["details"]["hint"]);
    assert!(hint.contains("3600000"), "{hint}");
}

#[test]
fn what_an_agent_cannot_be_asked_is_refused_before_anything_starts() {
    let cli = Cli::new();
    let agent = |more: Value| {
        let agent = with(json!({ "provider": "mock", "prompt": "x" }), more);
        json!({ "id": "a", "agent": agent })
    };
    let unsupported = [
        json!({ "sandbox": true }),
        json!({ "system_prompt": "s" }),
        json!({ "effort": "high" }),
        json!({ "max_turns": 1 }),
        json!({ "max_budget_usd": 1 }),
        json!({ "mcp": {} }),
        json!({ "provider": "gemini", "system_prompt": "s" }),
        json!({ "provider": "claude", "effort": "huge" }),
        json!({ "provider": "goose" }),
    ];
    for more in unsupported {
        let error = cli
            .run("start")
            .payload(agent(more.clone()))
            .err("Unsupported");
        let field = fields_but_provider(&more);
        assert!(text(&error["message"]).contains(&field), "{error}");
    }
    let refused = [
        (json!({ "prompt": "" }), "agent.prompt"),
        (json!({ "prompt": " \n" }), "agent.prompt"),
        (
            json!({ "prompt": { "file": "no-such-file" } }),
            "agent.prompt.file",
        ),
        (json!({ "mode": "full" }), "agent.mode"),
        (json!({ "model": "-x" }), "agent.model"),
        (json!({ "resume": "-x" }), "agent.resume"),
        (json!({ "resume": "a b\n" }), "agent.resume"),
        (
            json!({ "history": [{ "role": "user", "content": "x" }], "resume": "s" }),
            "agent.history",
        ),
        (
            json!({ "provider": "claude", "args": ["--dangerously-skip-permissions"] }),
            "agent.args",
        ),
        (json!({ "provider": "nobody" }), "agent.provider"),
        (json!({ "nonsense": 1 }), "agent.nonsense"),
    ];
    for (more, field) in refused {
        let error = cli
            .run("start")
            .payload(agent(more))
            .err("CommandInputError");
        assert_eq!(error["details"]["field"], field, "{error}");
    }
    for more in [
        json!({ "command": "true" }),
        json!({ "shell": "true" }),
        json!({ "args": ["x"] }),
        json!({ "stdin": "open" }),
        json!({ "pty": true }),
    ] {
        let field = crate::harness::fields(&more)[0].to_owned();
        let payload = with(mock("a", "x"), more);
        let error = cli.run("start").payload(payload).err("CommandInputError");
        assert_eq!(error["details"]["field"], *field, "{error}");
    }
    cli.run("status").text("a").err("TaskNotFound");
    // With the word for it, or in a way that needs none.
    let full = agent(json!({ "mode": "full", "allow_unsandboxed": true }));
    assert_eq!(cli.start_and_wait(full)["status"], "exited");
}

fn fields_but_provider(more: &Value) -> String {
    let fields = crate::harness::fields(more);
    let field = fields.into_iter().find(|&field| field != "provider");
    field.unwrap_or("mode").to_owned()
}

#[test]
fn a_prompt_is_for_agents_and_text_for_others() {
    let cli = Cli::new();
    cli.start(with(work("cat", ["hang"]), json!({ "stdin": "open" })));
    cli.start(mock("a", "hang"));
    let send = |payload: Value| cli.run("send").payload(payload);
    let error = send(json!({ "id": "cat", "prompt": "x" })).err("CommandInputError");
    assert!(text(&error["details"]["hint"]).contains("text"), "{error}");
    send(json!({ "id": "a", "text": "x" })).err("CommandInputError");
    send(json!({ "id": "a", "text": "x", "prompt": "y" })).err("CommandInputError");
    send(json!({ "id": "a", "prompt": "" })).err("CommandInputError");
    send(json!({ "id": "nobody", "prompt": "x" })).err("TaskNotFound");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
    let logs = |payload: Value| cli.run("logs").payload(payload);
    logs(json!({ "id": "cat", "view": "text" })).err("CommandInputError");
}

const TALK: &str = "say one\ntool Bash {\"command\": \"ls\"}\nnoise hm\nstderr oh\nsay two";

#[test]
fn events_have_what_is_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(mock("a", TALK));
    let events = |more: Value| {
        let payload = with(json!({ "id": "a" }), more);
        cli.run("events").payload(payload).ok()["frames"].take()
    };
    let of_type = |frames: &Value, kind: &str| -> Vec<Value> {
        let frames = frames.as_array().unwrap().iter();
        frames.filter(|it| it["type"] == kind).cloned().collect()
    };
    // The line that each was made of.
    let raw = events(json!({ "include": ["raw"] }));
    for (kind, of) in [("agent.text", "assistant"), ("agent.tool_end", "user")] {
        for frame in of_type(&raw, kind) {
            let line = parsed(text(&frame["data"]["raw"]).as_bytes());
            assert_eq!(line["type"], of);
        }
    }
    let ends = of_type(&raw, "agent.end");
    let line = parsed(text(&ends[0]["data"]["raw"]).as_bytes());
    assert_eq!(line["type"], "result");
    let log = cli.log("a");
    let raw_lines = raw.as_array().unwrap().iter();
    for line in raw_lines.filter_map(|frame| frame["data"]["raw"].as_str()) {
        assert!(log.lines().any(|logged| logged == line), "{line}");
    }
    // What is no event.
    let all = events(json!({ "include": ["lines"] }));
    let mut lines = crate::harness::lines(all.as_array().unwrap());
    lines.sort();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "hm");
    assert_eq!(lines[1], "oh");
    assert!(lines[2].contains("\"result\""), "{lines:?}");
    assert!(of_type(&events(json!({})), "task.log.line").is_empty());
    // So many of the last.
    let last = |lines: usize| -> Vec<String> {
        let frames = events(json!({ "lines": lines }));
        let frames = frames.as_array().unwrap().iter();
        let frames = frames.filter(|frame| text(&frame["type"]).starts_with("agent."));
        frames.map(short).collect()
    };
    assert_eq!(last(0), [""; 0]);
    assert_eq!(last(1), ["end"]);
    assert_eq!(last(3), ["tool ends ok", "text two", "end"]);
    assert_eq!(last(100).len(), 6);
}

#[test]
fn a_conversation_reads_as_text() {
    let cli = Cli::new();
    cli.start_and_wait(mock("a", TALK));
    send(&cli, "a", "Thanks.\nerror out of credit balance");
    cli.wait("a");
    let page = |more: Value| {
        let payload = with(json!({ "id": "a", "view": "text" }), more);
        cli.run("logs").payload(payload).ok()
    };
    let whole = page(json!({}));
    let lines: Vec<String> = serde_json::from_value(whole["lines"].clone()).unwrap();
    let expected = [
        "> say one",
        "> tool Bash {\"command\": \"ls\"}",
        "> noise hm",
        "> stderr oh",
        "> say two",
        "",
        "one",
        "[shell] ls",
        "  | ok",
        "two",
        "",
        "> Thanks.",
        "> error out of credit balance",
        "",
        "Thanks.",
    ];
    assert_eq!(lines[..expected.len()], expected);
    let rest = lines[expected.len()..].join("\n");
    assert!(rest.contains("out of credit balance"), "{rest}");
    let end = page(json!({ "lines": 2 }));
    assert_eq!(end["lines"], json!(lines[lines.len() - 2..]));
    assert_eq!(
        (&end["has_more"], &end["total_lines"]),
        (&json!(true), &json!(lines.len()))
    );
    for (flags, flag) in [
        (&["--follow"][..], "--follow"),
        (&["--stream"], "--stream"),
        (&["--output", "artifact"], "--output"),
    ] {
        let payload = json!({ "id": "a", "view": "text" });
        let logs = cli
            .run("logs")
            .payload(payload)
            .flags(flags.iter().copied());
        let error = logs.err("CommandInputError");
        assert_eq!(error["details"]["flag"], flag);
        assert!(text(&error["details"]["hint"]).contains("events --follow"));
    }
}

/// Frames of `agent parse`.
fn parse(cli: &Cli, provider: &str, log: &[u8]) -> Outcome {
    let file = cli.file("raw");
    fs::write(&file, log).unwrap();
    let payload = json!({ "provider": provider, "include": ["thinking", "raw"] });
    let call = cli.run("agent parse").payload(payload);
    call.after(&format!("exec <{file}")).output()
}

#[test]
fn a_recorded_log_is_parsed_alike_in_any_cuts() {
    let cli = Cli::new();
    cli.start_and_wait(mock("a", TALK));
    send(&cli, "a", "say \u{1f980} three\ncrash");
    cli.wait("a");
    let log = fs::read(cli.home().join("logs/a.log")).unwrap();
    let whole = parse(&cli, "mock", &log);
    assert!(whole.status.success(), "{whole:?}");
    let frames: Vec<Value> = whole
        .stdout
        .split(|&it| it == b'\n')
        .filter(|it| !it.is_empty())
        .map(parsed)
        .collect();
    let told: Vec<_> = frames.iter().map(short).collect();
    let stored = shorts(&cli, "a");
    assert_eq!(told[..told.len() - 1], stored[..stored.len() - 1]);
    assert_runs(&frames, 2);
    // In pieces, with time between them, also within a letter.
    for size in [1, 7, 100] {
        let pieces = "while dd bs=\"$2\" count=1 status=none of=piece; [ -s piece ]; do cat piece; done <raw | \"$0\" agent parse \"$1\"";
        let pieces = pieces.replace("$0", "$3");
        fs::write(cli.file("raw"), &log).unwrap();
        let payload = json!({ "provider": "mock", "include": ["thinking", "raw"] }).to_string();
        let outcome = cli.shell(
            &pieces,
            &[&payload, &size.to_string(), crate::harness::PROGRAM],
        );
        assert_eq!(outcome.stdout, whole.stdout, "{size}: {outcome:?}");
    }
}

#[test]
fn agents_are_listed_shown_and_installed_only_on_demand() {
    let cli = Cli::new();
    let path = nowhere(&cli);
    let bin = cli.file("bin");
    fs::create_dir(&bin).unwrap();
    cli.make_file("bin/codex", "755", "#!/bin/sh\necho codex-cli 1.2.3\n");
    let list = |path: &str| {
        let call = cli
            .run("agent list")
            .env("PATH", path)
            .env("HOME", cli.file("nowhere"));
        call.env("CODEX_API_KEY", "secret-of-mine").output()
    };
    let listed = list(&bin);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("secret-of-mine"));
    let listed = listed.ok();
    let providers = listed["providers"].as_array().unwrap();
    let of = |name: &str| providers.iter().find(|it| it["provider"] == name).unwrap();
    let codex = of("codex");
    assert_eq!(
        (&codex["installed"], &codex["path"]),
        (&json!(true), &json!(format!("{bin}/codex")))
    );
    assert!(codex["version"].to_string().contains("1.2.3"), "{codex}");
    assert!(
        codex["login"].to_string().contains("CODEX_API_KEY"),
        "{codex}"
    );
    assert_eq!(of("pi")["installed"], false);
    assert_eq!(of("mock")["installed"], true);
    assert_eq!(providers.len(), 7);
    // What start would execute, without executing it.
    let shown =
        |payload: Value| -> Call { cli.run("agent command").payload(payload).env("PATH", &bin) };
    let command = shown(json!({ "provider": "codex", "prompt": "-x", "model": "m" })).ok();
    assert_eq!(command["installed"], true);
    assert_eq!(command["stdin"], "-x");
    let argv: Vec<String> = serde_json::from_value(command["argv"].clone()).unwrap();
    assert!(!argv.contains(&"-x".to_owned()), "{argv:?}");
    assert!(
        argv.windows(2).any(|pair| pair == ["--model", "m"]),
        "{argv:?}"
    );
    let same = shown(json!({ "agent": { "provider": "codex", "prompt": "-x", "model": "m" } }));
    assert_eq!(same.ok()["argv"], command["argv"]);
    assert!(!cli.home().join("tasks").exists());
    // Shown, and not run: there is nothing that could run it.
    let payload = json!({ "provider": "claude", "dry_run": true });
    let install = cli.run("agent install").payload(payload.clone()).ok();
    assert!(
        text(&install["command"]).contains("@anthropic-ai/claude-code"),
        "{install}"
    );
    assert_eq!(install["installed"], Value::Null);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    cli.make_file("bin/npm", "755", &format!("#!/bin/sh\necho \"$@\" >{0}\ncp {0}/../../codex {0}/claude 2>/dev/null\nprintf '#!/bin/sh\\n' >{bin}/claude\nchmod +x {bin}/claude\n", cli.file("npm-said")));
    let payload = json!({ "provider": "claude" });
    let install = cli
        .run("agent install")
        .payload(payload)
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .ok();
    assert_eq!(
        install["installed"]["path"],
        format!("{bin}/claude"),
        "{install}"
    );
    let said = fs::read_to_string(cli.file("npm-said")).unwrap();
    assert!(said.contains("@anthropic-ai/claude-code"), "{said}");
    // What goes wrong is an error like any other.
    let fails = |npm: &str| {
        cli.make_file("bin/npm", "755", &format!("#!/bin/sh\n{npm}\n"));
        let install = cli
            .run("agent install")
            .payload(json!({ "provider": "pi" }));
        install.env("PATH", format!("{bin}:/usr/bin:/bin"))
    };
    let error = fails("echo no network; exit 3").err("ProviderNotInstalled");
    let details = &error["details"];
    assert_eq!(details["exit_code"], 3);
    assert_eq!(details["output"], "no network\n");
    let hangs = fails("sleep 600").flags(["--timeout", "0.2"]);
    hangs.err("TaskWaitTimedOut");
}
