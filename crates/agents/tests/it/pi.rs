use serde_json::{Value, json};

use super::{Outcome, Provider, counts, data, end, frames, last, log, run};

fn session() -> Value {
    json!({"type": "session", "version": 3, "id": "p-1", "timestamp": "t", "cwd": "/w"})
}

fn update(event: Value) -> Value {
    let mut event = event;
    event["partial"] =
        json!({"role": "assistant", "content": [{"type": "text", "text": "so far"}]});
    json!({"type": "message_update", "assistantMessageEvent": event, "message": event["partial"]})
}

fn message(stop: &str, error: Value) -> Value {
    json!({"role": "assistant", "content": [], "model": "m-1", "stopReason": stop, "errorMessage": error,
        "usage": {"input": 1, "output": 2, "cacheRead": 3, "cacheWrite": 4, "cost": {"total": 0.25}}})
}

fn message_end(stop: &str, error: Value) -> Value {
    json!({"type": "message_end", "message": message(stop, error)})
}

fn agent_end(stop: &str, error: Value) -> Value {
    json!({"type": "agent_end", "messages": [{"role": "user"}, message(stop, error)]})
}

fn failing(text: &str) -> String {
    log(&[
        session(),
        json!({"type": "agent_start"}),
        message_end("error", json!(text)),
        json!({"type": "turn_end", "message": message("error", json!(text)), "toolResults": []}),
        agent_end("error", json!(text)),
    ])
}

#[test]
fn deltas_tools_and_sums() {
    let answer = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    let progress = |text: &str| {
        json!({"type": "tool_execution_update", "toolCallId": "t", "toolName": "bash", "args": {},
            "partialResult": answer(text)})
    };
    let frames = frames(
        Provider::Pi,
        &log(&[
            session(),
            json!({"type": "turn_start"}),
            json!({"type": "message_start", "message": {"role": "assistant", "content": []}}),
            update(json!({"type": "thinking_delta", "delta": "hm"})),
            update(json!({"type": "text_start", "contentIndex": 1})),
            update(json!({"type": "text_delta", "contentIndex": 1, "delta": "Hel"})),
            update(json!({"type": "text_delta", "contentIndex": 1, "delta": "lo"})),
            update(json!({"type": "text_end", "contentIndex": 1, "content": "Hello"})),
            message_end("toolUse", Value::Null),
            json!({"type": "tool_execution_start", "toolCallId": "t", "toolName": "bash", "args": {"command": "ls"}}),
            json!({"type": "tool_execution_update", "toolCallId": "t", "partialResult": {"content": []}}),
            progress("a\n"),
            progress("a\nb\n"),
            progress("a\nb\n"),
            json!({"type": "tool_execution_end", "toolCallId": "t", "toolName": "bash", "result": answer("a\nb\n"),
            "isError": false}),
            json!({"type": "message_end", "message": {"role": "toolResult", "content": []}}),
            message_end("stop", Value::Null),
            agent_end("stop", Value::Null),
        ]),
    );
    assert_eq!(counts(&frames), [1, 2, 1, 1, 1]);
    assert!(
        data(&frames, "agent.text")
            .iter()
            .all(|text| text["delta"] == true)
    );
    let deltas: Vec<_> = data(&frames, "agent.tool_delta")
        .iter()
        .map(|delta| delta["text"].clone())
        .collect();
    assert_eq!(deltas, ["a\n", "b\n"]);
    assert_eq!(data(&frames, "agent.tool_end")[0]["output"], "a\nb\n");
    assert_eq!(
        end(&frames),
        &json!({"run": 1, "cost_usd": 0.5, "usage": {"input": 2, "output": 4,
        "cache_read": 6, "cache_write": 8, "reasoning": null}})
    );
}

#[test]
fn an_answer_that_does_not_come_in_parts_is_told_as_a_whole() {
    let mut whole = message_end("stop", Value::Null);
    whole["message"]["content"] = json!([{"type": "text", "text": "Hello"}]);
    let frames = frames(
        Provider::Pi,
        &log(&[session(), whole, agent_end("stop", Value::Null)]),
    );
    assert_eq!(
        data(&frames, "agent.text"),
        [&json!({"run": 1, "text": "Hello", "delta": false})]
    );
}

#[test]
fn errors_of_providers_are_unwrapped() {
    for (text, message, category) in [
        ("No answer", "No answer", "unknown"),
        (
            "400 {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit \
             balance is too low to access the API. Please go to Plans & Billing.\"},\"request_id\":\"r\"}",
            "400 Your credit balance is too low to access the API. Please go to Plans & Billing.",
            "balance",
        ),
        (
            "429 You exceeded your current quota, please check your plan and billing details. For more \
             information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes.",
            "429 You exceeded your current quota, please check your plan and billing details. For more \
             information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes.",
            "balance",
        ),
        (
            "{\"error\":{\"message\":\"{\\n  \\\"error\\\": {\\n    \\\"code\\\": 429,\\n    \\\"message\\\": \
             \\\"You exceeded your current quota, please check your plan and billing details.\\\",\\n    \
             \\\"status\\\": \\\"RESOURCE_EXHAUSTED\\\"\\n  }\\n}\\n\",\"code\":429,\"status\":\"Too Many \
             Requests\"}}",
            "You exceeded your current quota, please check your plan and billing details.",
            "rate_limit",
        ),
        (
            "401 Incorrect API key provided: sk-x.",
            "401 Incorrect API key provided: sk-x.",
            "auth",
        ),
    ] {
        let frames = frames(Provider::Pi, &failing(text));
        assert_eq!(counts(&frames), [1, 0, 0, 0, 1]);
        let error = &end(&frames)["error"];
        assert_eq!(error["message"], message);
        assert_eq!(error["category"], category, "{text}");
    }
}

#[test]
fn an_end_before_a_retry_is_void() {
    let retry = json!({"type": "auto_retry_start", "attempt": 1, "maxAttempts": 3, "delayMs": 2000,
        "errorMessage": "529 overloaded"});
    let first = failing("529 overloaded") + &log(std::slice::from_ref(&retry));
    let good = log(&[
        json!({"type": "agent_start"}),
        message_end("stop", Value::Null),
        json!({"type": "auto_retry_end", "success": true, "attempt": 1}),
        agent_end("stop", Value::Null),
    ]);
    let frames_of = frames(Provider::Pi, &(first.clone() + &good));
    assert_eq!(counts(&frames_of), [1, 0, 0, 0, 1]);
    assert_eq!(end(&frames_of).get("error"), None);

    let mut parser = background_tasks_agents::Parser::new(Provider::Pi);
    failing("529 overloaded")
        .lines()
        .for_each(|line| drop(parser.line(line.as_bytes())));
    assert!(parser.is_complete());
    parser.line(retry.to_string().as_bytes());
    assert!(!parser.is_complete());

    let gave_up = json!({"type": "auto_retry_end", "success": false, "attempt": 3, "finalError": "still overloaded"});
    let frames_of = frames(Provider::Pi, &(first.clone() + &log(&[gave_up])));
    assert_eq!(end(&frames_of)["error"]["message"], "still overloaded");

    let cut_off = last(&run(Provider::Pi, &first, "", Outcome::Exited(0)));
    assert_eq!(cut_off["data"]["error"]["message"], "529 overloaded");
    assert_eq!(cut_off["data"]["synthetic"], true);
}

#[test]
fn a_tool_result_behind_it_hides_no_failure() {
    let tool_result = json!({"role": "toolResult", "content": []});
    let messages = |stop: &str| {
        json!({"type": "agent_end", "messages": [message("stop", Value::Null),
            message("error", json!("529 overloaded")), message(stop, json!("529 overloaded")), tool_result]})
    };
    let frames_of = frames(Provider::Pi, &log(&[session(), messages("error")]));
    assert_eq!(end(&frames_of)["error"]["message"], "529 overloaded");
    let frames_of = frames(Provider::Pi, &log(&[session(), messages("stop")]));
    assert_eq!(end(&frames_of).get("error"), None);
}

#[test]
fn lines_amid_the_json_and_an_error_line() {
    let noise = "Both GOOGLE_API_KEY and GEMINI_API_KEY are set. Using GOOGLE_API_KEY.\n";
    let error = json!({"type": "error", "message": "No API key found for x"});
    let frames = frames(
        Provider::Pi,
        &format!("{}{noise}{}", log(&[session()]), log(&[error])),
    );
    assert_eq!(end(&frames)["error"]["category"], "auth");
}

#[test]
fn a_key_that_is_missing_is_told_on_standard_error() {
    let stderr =
        "No API key found for anthropic.\n\nUse /login or set an API key environment variable.\n";
    let last = last(&run(Provider::Pi, "", stderr, Outcome::Exited(1)));
    assert_eq!(last["type"], "agent.end");
    assert_eq!(last["data"]["error"]["category"], "auth");
}
