//! The same bytes make the same frames, however they come, and no bytes are too strange.

use background_tasks_agents::{
    AgentEvent, Include, MAX_LINE_BYTES, Outcome, Parser, Provider, Transcript,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{counts, data, frames, log};

/// The frames as text, of bytes that come in pieces.
fn printed<'a>(provider: Provider, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let include = Include {
        thinking: true,
        raw: true,
    };
    let mut text = String::new();
    let mut sink = |frame| {
        text += &serde_json::to_string(&frame).expect("frames are JSON");
        text.push('\n');
    };
    let mut transcript = Transcript::new(provider, include);
    pieces
        .into_iter()
        .for_each(|piece| transcript.feed(piece, &mut sink));
    transcript.finish(&mut sink);
    text
}

#[test]
fn the_raw_line_of_an_end_is_the_one_that_told_of_it() {
    let raw_of_end = |provider, lines: &[Value]| {
        let text = printed(provider, [log(lines).as_bytes()]);
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["type"], "agent.end");
        last["data"].get("raw").cloned()
    };
    let init = json!({"type": "system", "subtype": "init", "session_id": "s"});
    let result = json!({"type": "result", "subtype": "success", "result": "x"});
    let later = json!({"type": "rate_limit_event"});
    let all = [init.clone(), result.clone(), later];
    assert_eq!(
        raw_of_end(Provider::Claude, &all),
        Some(result.to_string().into())
    );
    assert_eq!(raw_of_end(Provider::Claude, &[init]), None);
    // What was taken back tells of no end.
    let over = json!({"type": "agent_end", "messages": []});
    let again = json!({"type": "auto_retry_start"});
    assert_eq!(
        raw_of_end(Provider::Pi, std::slice::from_ref(&over)),
        Some(over.to_string().into())
    );
    assert_eq!(raw_of_end(Provider::Pi, &[over, again]), None);
}

/// Words that lead into the readers, and values of every kind for them.
const WORDS: &[&str] = &[
    "type",
    "system",
    "subtype",
    "init",
    "assistant",
    "user",
    "result",
    "message",
    "content",
    "text",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "id",
    "name",
    "input",
    "session_id",
    "stream_event",
    "event",
    "delta",
    "is_error",
    "thread.started",
    "item.started",
    "item.completed",
    "item",
    "command_execution",
    "file_change",
    "changes",
    "path",
    "turn.completed",
    "turn.failed",
    "error",
    "usage",
    "role",
    "tool_id",
    "parameters",
    "status",
    "stats",
    "step_start",
    "step_finish",
    "part",
    "state",
    "reason",
    "stop",
    "cost",
    "tokens",
    "toolRequest",
    "toolResponse",
    "toolCall",
    "toolResult",
    "value",
    "complete",
    "session",
    "message_update",
    "assistantMessageEvent",
    "text_delta",
    "message_end",
    "agent_end",
    "messages",
    "stopReason",
    "errorMessage",
    "auto_retry_start",
    "tool_execution_update",
    "partialResult",
    "success",
    "usage",
    "input_tokens",
    "Ran into this error: x",
    "429",
    "{\"a\":",
    "\\____)    20260101_7 · /w",
    "é\u{0}",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(WORDS).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => word().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn line() -> impl Strategy<Value = String> {
    let typed =
        (word(), prop::collection::btree_map(word(), value(), 0..6)).prop_map(|(kind, members)| {
            let mut line = Value::Object(members.into_iter().collect());
            line["type"] = kind.into();
            line.to_string()
        });
    let banner = Just("    __( O)>  ● new session · a b".to_owned());
    let logged =
        word().prop_map(|word| format!("ERROR t service=llm error={{\"message\":\"{word}\"}}"));
    prop_oneof![8 => typed, 1 => word(), 1 => banner, 1 => logged, 1 => ".*"]
}

fn provider() -> impl Strategy<Value = Provider> {
    prop::sample::select(&Provider::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cuts_make_no_difference(
        provider in provider(),
        lines in prop::collection::vec((line(), prop::sample::select(&["\n", "\r\n", "\n\n", ""][..])), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let log: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
        let bytes = log.as_bytes();
        let whole = printed(provider, [bytes]);
        prop_assert_eq!(&whole, &printed(provider, bytes.split_inclusive(|&byte| byte == b'\n')));
        prop_assert_eq!(&whole, &printed(provider, bytes.chunks(1)));
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        prop_assert_eq!(&whole, &printed(provider, at.windows(2).map(|pair| &bytes[pair[0]..pair[1]])));
        check_order(&whole)?;
    }

    #[test]
    fn bytes_of_any_kind_are_survived(
        provider in provider(),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        line in line(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut log = line.clone().into_bytes();
        log.truncate(cut.index(line.len() + 1));
        log.extend(&bytes);
        check_order(&printed(provider, [&log[..]]))?;
        let mut parser = Parser::new(provider);
        parser.stderr(&log);
        let events = parser.finish(Outcome::Exited(1));
        prop_assert_eq!(events.len(), 1);
    }
}

/// Every run has one end, which is its last frame, and no tool is left open by it.
fn check_order(printed: &str) -> Result<(), TestCaseError> {
    let frames: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("frames are JSON"))
        .collect();
    for (at, frame) in frames.iter().enumerate() {
        prop_assert_eq!(&frame["sequence"], &json!(at));
        let is_end = frame["type"] == "agent.end";
        let next_run = frames.get(at + 1).map(|next| &next["data"]["run"]);
        prop_assert_eq!(
            is_end,
            next_run != Some(&frame["data"]["run"]),
            "{}",
            printed
        );
    }
    let mut open = std::collections::BTreeSet::new();
    for frame in &frames {
        let id = frame["data"]["tool_id"].to_string();
        match frame["type"].as_str() {
            Some("agent.tool_start") => prop_assert!(open.insert(id), "{}", printed),
            Some("agent.tool_end") => drop(open.remove(&id)),
            Some("agent.end") => prop_assert!(open.is_empty(), "{}", printed),
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn nothing_is_made_of_nothing() {
    assert_eq!(printed(Provider::Claude, []), "");
    assert_eq!(printed(Provider::Pi, [&b"\n\r\n"[..]]), "");
}

#[test]
fn a_line_may_be_as_long_as_allowed() {
    let line = |content: &str| {
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t",
            "content": content}]}})
        .to_string()
    };
    let room = MAX_LINE_BYTES - line("").len();
    let longest = line(&"x".repeat(room));
    let mut parser = Parser::new(Provider::Claude);
    parser.line(br#"{"type":"tool_use","id":"t","name":"Read","input":{}}"#);
    let events = parser.line(longest.as_bytes());
    let [AgentEvent::ToolEnd { output, .. }] = &events[..] else {
        panic!("{} events", events.len());
    };
    assert_eq!(output.len(), room);
}

#[test]
fn a_line_that_is_longer_is_counted_and_passed_over() {
    let log = [
        vec![b'x'; MAX_LINE_BYTES + 1],
        b"\n{\"type\":\"result\"}\n".to_vec(),
    ]
    .concat();
    let whole = printed(Provider::Claude, [&log[..]]);
    assert_eq!(whole.lines().count(), 1);
    assert!(whole.starts_with(r#"{"type":"agent.end""#), "{whole}");
    assert_eq!(whole, printed(Provider::Claude, log.chunks(1 << 20)));
    assert_eq!(whole, printed(Provider::Claude, log.chunks(MAX_LINE_BYTES)));
}

#[test]
fn the_last_line_needs_no_end() {
    let lines = log(&[
        json!({"type": "session", "id": "p"}),
        json!({"type": "agent_end", "messages": []}),
    ]);
    assert_eq!(
        counts(&frames(Provider::Pi, lines.trim_end())),
        [1, 0, 0, 0, 1]
    );
}

#[test]
fn thoughts_and_raw_lines_are_told_on_request() {
    let lines = log(&[json!({"type": "reasoning", "sessionID": "s", "part": {"text": "hm"}})]);
    let told = printed(Provider::Opencode, [lines.as_bytes()]);
    let frames_told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        data(&frames_told, "agent.thinking")[0]["raw"],
        lines.trim_end()
    );
    assert_eq!(
        data(&frames(Provider::Opencode, &lines), "agent.thinking").len(),
        0
    );
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!(
        "{{\"type\":\"user\",\"message\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let tool = format!(
        "{{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"X\",\"input\":{}{}}}",
        "{\"a\":".repeat(1000) + "1",
        "}".repeat(1000)
    );
    let frames = frames(Provider::Claude, &format!("{deep}\n{tool}\n"));
    assert_eq!(counts(&frames), [0, 0, 1, 1, 1]);
}
