use serde_json::{Value, json};

use super::{Outcome, Provider, counts, data, end, frames, last, log, run};

fn line(kind: &str, part: Value) -> Value {
    json!({"type": kind, "timestamp": 1, "sessionID": "ses_1", "part": part})
}

fn start() -> Value {
    line("step_start", json!({"id": "p", "type": "step-start"}))
}

fn finish(reason: &str) -> Value {
    line(
        "step_finish",
        json!({"type": "step-finish", "reason": reason, "cost": 0.25,
        "tokens": {"input": 1, "output": 2, "reasoning": 3, "cache": {"read": 4, "write": 5}}}),
    )
}

fn tool(id: &str, name: &str, state: Value) -> Value {
    line(
        "tool_use",
        json!({"type": "tool", "callID": id, "tool": name, "state": state}),
    )
}

#[test]
fn every_tool_ends_and_steps_are_summed() {
    let frames = frames(
        Provider::Opencode,
        &format!(
            "INFO  t +1ms service=models.dev refreshing\n{}",
            log(&[
                start(),
                tool(
                    "a",
                    "bash",
                    json!({"status": "completed", "input": {"command": "ls"}, "output": ""})
                ),
                tool(
                    "b",
                    "read",
                    json!({"status": "error", "input": {"filePath": "x"}, "error": "not found"})
                ),
                finish("tool-calls"),
                start(),
                line("reasoning", json!({"type": "reasoning", "text": "hm"})),
                line("text", json!({"type": "text", "text": "Done."})),
                finish("stop"),
            ])
        ),
    );
    assert_eq!(counts(&frames), [1, 1, 2, 2, 1]);
    let starts = data(&frames, "agent.tool_start");
    assert_eq!(starts[0]["name"], "shell");
    assert_eq!(
        starts[1]["input"],
        json!({"filePath": "x", "file_path": "x"})
    );
    let ends = data(&frames, "agent.tool_end");
    assert_eq!(ends[0]["output"], "");
    assert_eq!(
        (&ends[1]["output"], &ends[1]["is_error"]),
        (&json!("not found"), &json!(true))
    );
    assert_eq!(
        end(&frames),
        &json!({"run": 1, "cost_usd": 0.5, "usage": {"input": 2, "output": 4,
        "reasoning": 6, "cache_read": 8, "cache_write": 10}})
    );
}

#[test]
fn an_error_line_ends_it() {
    let error = json!({"type": "error", "timestamp": 1, "sessionID": "ses_1", "error": {"name": "APIError",
        "data": {"message": "Your credit balance is too low", "statusCode": 400}}});
    let frames = frames(Provider::Opencode, &log(&[error]));
    assert_eq!(counts(&frames), [1, 0, 0, 0, 1]);
    assert_eq!(
        end(&frames)["error"]["message"],
        "Your credit balance is too low"
    );
    assert_eq!(end(&frames)["error"]["category"], "balance");
}

#[test]
fn a_status_alone_tells_the_category() {
    let error = json!({"type": "error", "sessionID": "s", "error": {"name": "APIError",
        "data": {"message": "try later", "statusCode": 429}}});
    assert_eq!(
        end(&frames(Provider::Opencode, &log(&[error])))["error"]["category"],
        "rate_limit"
    );
}

#[test]
fn a_limit_that_is_only_in_the_log() {
    let logfmt = "timestamp=t level=ERROR run=1 message=\"stream error\" providerID=x modelID=y \
        session.id=ses_1 small=false agent=build mode=primary \
        error.error=\"AI_APICallError: The \\\"usage limit\\\" has been reached\"";
    let session = "ERROR 2026-01-01T00:00:00 +2ms service=session.processor error=Usage limit reached, \
        resets at 5pm stack=\"AI_APICallError: x\\n at y\"";
    for (log, message) in [
        (
            logfmt,
            "AI_APICallError: The \"usage limit\" has been reached",
        ),
        (session, "Usage limit reached, resets at 5pm"),
    ] {
        let frames = frames(Provider::Opencode, log);
        assert_eq!(counts(&frames), [0, 0, 0, 0, 1], "{log}");
        assert_eq!(end(&frames)["error"]["message"], message);
        assert_eq!(end(&frames)["error"]["category"], "rate_limit");

        let mut parser = background_tasks_agents::Parser::new(Provider::Opencode);
        parser.stderr(log.as_bytes());
        assert!(parser.is_complete(), "it would try for ever");
    }
}

#[test]
fn titles_may_fail() {
    for aside in [
        "level=ERROR message=\"stream error\" small=false agent=title error.error=\"429\"",
        "level=ERROR message=\"stream error\" small=true agent=build error.error=\"429\"",
    ] {
        let mut parser = background_tasks_agents::Parser::new(Provider::Opencode);
        parser.stderr(aside.as_bytes());
        assert!(!parser.is_complete());
    }
}

#[test]
fn the_second_failed_request_is_final() {
    let failed = "ERROR 2026-01-01T00:00:00 +2ms service=llm providerID=x error={\"error\":{\"name\":\
        \"AI_APICallError\",\"statusCode\":429,\"responseBody\":\"{\\\"error\\\":{\\\"message\\\":\\\"Slow \
        down\\\"}}\"}} stream error";
    let mut parser = background_tasks_agents::Parser::new(Provider::Opencode);
    parser.stderr(failed.as_bytes());
    assert!(!parser.is_complete());
    parser.stderr(failed.as_bytes());
    assert!(parser.is_complete());

    // A step after it shows that the request went through after all.
    parser.line(start().to_string().as_bytes());
    assert!(!parser.is_complete());
    parser.line(finish("stop").to_string().as_bytes());
    let events = parser.finish(Outcome::Exited(0));
    assert_eq!(last(&events)["data"].get("error"), None);

    let log = format!("{failed}\n{failed}\n");
    let last = last(&run(Provider::Opencode, "", &log, Outcome::Completed));
    assert_eq!(last["data"]["error"]["message"], "Slow down");
    assert_eq!(last["data"]["error"]["category"], "rate_limit");
}

#[test]
fn a_step_that_ends_for_another_reason_ends_the_run_if_nothing_follows() {
    let log = |reason: &str| log(&[start(), line("text", json!({"text": "So"})), finish(reason)]);
    let cut = last(&run(
        Provider::Opencode,
        &log("length"),
        "",
        Outcome::Exited(0),
    ));
    assert_eq!(cut["data"]["error"]["category"], "limit");
    let other = last(&run(
        Provider::Opencode,
        &log("other"),
        "",
        Outcome::Exited(0),
    ));
    assert_eq!(other["data"].get("error"), None);
    assert_eq!(other["data"]["synthetic"], true);
    let failed = last(&run(
        Provider::Opencode,
        &log("other"),
        "",
        Outcome::Exited(3),
    ));
    assert_eq!(failed["type"], "agent.crashed");
    let open = last(&run(
        Provider::Opencode,
        &log("tool-calls"),
        "",
        Outcome::Exited(0),
    ));
    assert_eq!(
        open["data"]["error"]["message"],
        "opencode ended without a result"
    );
}

#[test]
fn done_is_the_end_if_there_is_none() {
    let done = json!({"type": "done", "reason": "idle", "rejected": [], "sessionID": "ses_1"});
    let text = line("text", json!({"text": "So"}));
    let frames = frames(Provider::Opencode, &log(&[text, done]));
    assert_eq!(counts(&frames), [1, 1, 0, 0, 1]);
    assert_eq!(end(&frames).get("synthetic"), None);
}
