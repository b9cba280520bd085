//! The lines that tell that a run is over. Whatever they match by mistake stops an agent at work, so
//! there are more near misses here than hits.

use background_tasks_agents::{DonePattern, Provider, Says, Stream};
use regex::bytes::Regex;

/// What a provider's patterns make of a line.
fn says(provider: Provider, stream: Stream, line: &str) -> Option<Says> {
    let mut found = provider
        .done_patterns()
        .iter()
        .filter(|it| it.stream == stream)
        .filter(|it| it.count == 1 && matches(it, line))
        .map(|it| it.says);
    let says = found.next();
    assert_eq!(found.next(), None, "{provider}: two patterns match {line}");
    says
}

fn matches(pattern: &DonePattern, line: &str) -> bool {
    let is_match = |text| Regex::new(text).unwrap().is_match(line.as_bytes());
    is_match(pattern.pattern) && !pattern.unless.is_some_and(is_match)
}

const DONE: Option<Says> = Some(Says::Done);
const GOES_ON: Option<Says> = Some(Says::GoesOn);

#[test]
fn the_last_lines_of_each_provider_are_known() {
    use Provider::*;
    let cases = [
        (
            Claude,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"Done."}"#,
        ),
        (
            Claude,
            r#"{ "type" : "result", "subtype": "error_max_turns", "is_error": true }"#,
        ),
        (Claude, r#"data: {"type":"result","subtype":"success"}"#),
        (Claude, r#"  {"type":"result"}"#),
        (Claude, "\u{feff} \tdata: {\"type\":\"result\"}"),
        (
            Mock,
            r#"{"type":"result","is_error":false,"result":"x","session_id":"mock-1"}"#,
        ),
        (
            Codex,
            r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":2}}"#,
        ),
        (Codex, r#"{"type":"turn.failed","error":{"message":"401"}}"#),
        (
            Gemini,
            r#"{"type":"result","timestamp":"2026-06-30T21:18:25Z","status":"success"}"#,
        ),
        (
            Opencode,
            r#"{"type":"step_finish","timestamp":1,"sessionID":"ses_1","part":{"id":"prt_1","type":"step-finish","reason":"stop","cost":0.1}}"#,
        ),
        (
            Opencode,
            r#"{"type":"error","timestamp":1,"error":{"name":"APIError"}}"#,
        ),
        (Opencode, r#"{"type":"done","reason":"idle","rejected":[]}"#),
        (Goose, r#"{"type":"complete","total_tokens":29328}"#),
        (Goose, r#"{"type":"error","error":"no provider"}"#),
        (Pi, r#"{"type":"agent_end","messages":[]}"#),
        (
            Pi,
            r#"{"type":"auto_retry_end","success":false,"attempt":3,"finalError":"x"}"#,
        ),
        (
            Pi,
            r#"{"type":"auto_retry_end","attempt":3,"success":false}"#,
        ),
        (Pi, r#"{"type":"error","message":"no key"}"#),
        (Gemini, r#"{"type":"assistant.complete"}"#),
    ];
    for (provider, line) in cases {
        assert_eq!(
            says(provider, Stream::Stdout, line),
            DONE,
            "{provider} {line}"
        );
        assert_eq!(
            says(provider, Stream::Stderr, line),
            None,
            "{provider} {line}"
        );
    }
}

#[test]
fn a_line_that_only_speaks_of_the_end_is_none() {
    use Provider::*;
    let quoted = r#""{\"type\":\"result\",\"subtype\":\"success\"}""#;
    let cases = [
        (Claude, format!(r#"{{"type":"text","text":{quoted}}}"#)),
        (Claude, r#"I will print {"type":"result","subtype":"success"}"#.to_owned()),
        (Claude, r#"{"type":"results","x":1}"#.to_owned()),
        (Claude, r#"{"type":"result_delta","x":1}"#.to_owned()),
        (Claude, r#"{"kind":{"type":"result"}}"#.to_owned()),
        (Claude, r#"{"type":"system","subtype":"task_notification","x":"init"}"#.to_owned()),
        (Claude, r#"{"type":"rate_limit_event"}"#.to_owned()),
        (Codex, r#"{"type":"turn_completed","usage":{}}"#.to_owned()),
        (Codex, r#"{"type":"turnXcompleted","usage":{}}"#.to_owned()),
        (Codex, r#"{"type":"error","message":"reconnecting 1/5"}"#.to_owned()),
        (Codex, "Reading additional input from stdin...".to_owned()),
        (Gemini, r#"{"type":"error","severity":"warning","message":"x"}"#.to_owned()),
        (Gemini, r#"Error when talking to Gemini API {"type":"result"}"#.to_owned()),
        (
            Opencode,
            r#"{"type":"step_finish","part":{"type":"step-finish","reason":"tool-calls"}}"#.to_owned(),
        ),
        (
            Opencode,
            r#"{"type":"step_finish","part":{"reason":"tool-calls","note":",\"reason\":\"stop\","}}"#
                .to_owned(),
        ),
        (
            Opencode,
            r#"{"type":"step_finish","part":{"reason":"tool-calls","finish":"stop"}}"#.to_owned(),
        ),
        (Goose, r#"{"type":"notification","log":{"message":"complete"}}"#.to_owned()),
        (Goose, r"( O)>  ● new session · anthropic".to_owned()),
        (Pi, r#"{"type":"turn_end","message":{}}"#.to_owned()),
        (Pi, r#"{"type":"auto_retry_end","success":true,"attempt":1}"#.to_owned()),
        (
            Pi,
            r#"{"type":"auto_retry_end","success":true,"note":",\"success\":false,"}"#.to_owned(),
        ),
        (Pi, r#"{"type":"agent_ended"}"#.to_owned()),
        (Mock, "noise".to_owned()),
    ];
    for (provider, line) in cases {
        assert_eq!(
            says(provider, Stream::Stdout, &line),
            None,
            "{provider} {line}"
        );
    }
}

#[test]
fn what_comes_after_the_end_revokes_it() {
    use Provider::*;
    let cases = [
        (Claude, r#"{"type":"assistant","message":{"content":[]}}"#),
        (Claude, r#"{"type":"user","message":{}}"#),
        (
            Claude,
            r#"{"type":"system","subtype":"init","session_id":"s"}"#,
        ),
        (Codex, r#"{"type":"turn.started"}"#),
        (Codex, r#"{"type":"item.started","item":{}}"#),
        (Gemini, r#"{"type":"message","role":"assistant"}"#),
        (Opencode, r#"{"type":"step_start","part":{}}"#),
        (
            Opencode,
            r#"{"type":"text","part":{"text":"\"reason\":\"stop\""}}"#,
        ),
        (Goose, r#"{"type":"message","message":{}}"#),
        (Pi, r#"{"type":"auto_retry_start","attempt":1}"#),
        (Pi, r#"{"type":"agent_start"}"#),
        (Mock, r#"{"type":"assistant","message":{}}"#),
    ];
    for (provider, line) in cases {
        assert_eq!(
            says(provider, Stream::Stdout, line),
            GOES_ON,
            "{provider} {line}"
        );
    }
}

#[test]
fn opencode_tells_of_some_ends_only_in_its_log() {
    let logfmt = |level: &str, small: &str, agent: &str| {
        format!(
            r#"timestamp=2026-05-23T10:00:00.000Z level={level} run=r1 message="stream error" providerID=openai modelID=gpt-5 session.id=ses_1 small={small} agent={agent} mode=primary error.error="AI_APICallError: The usage limit has been reached""#
        )
    };
    let error = logfmt("ERROR", "false", "build");
    let done = [
        error.clone(),
        error.replace("run=r1 ", ""),
        logfmt("ERROR", "false", "plan"),
        logfmt("ERROR", "false", "tester"),
        logfmt("ERROR", "false", "sweeper"),
        error.replace("small=false agent=build ", ""),
        error.replace("small=false agent=build", "agent=build small=false"),
        format!("  {error}"),
        "ERROR 2026-05-23T10:00:00 +12ms service=session.processor error=Usage limit stack=x"
            .to_owned(),
        "ERROR 2026-05-23T10:00:00 +12ms service=session.processor session.id=ses_1 error=x"
            .to_owned(),
    ];
    for line in done {
        assert_eq!(
            says(Provider::Opencode, Stream::Stderr, &line),
            DONE,
            "{line}"
        );
        // Where the two streams are one.
        assert_eq!(
            says(Provider::Opencode, Stream::Stdout, &line),
            DONE,
            "{line}"
        );
    }
    let misses = [
        logfmt("ERROR", "true", "build"),
        logfmt("ERROR", "false", "title"),
        logfmt("ERROR", "false", "summary"),
        logfmt("WARN", "false", "build"),
        format!("> {error}"),
        error.replace("stream error", "failed to generate title"),
        "INFO 2026-05-23T10:00:00 +12ms service=models.dev error= refreshing".to_owned(),
        "ERROR 2026-05-23T10:00:00 +12ms service=session.processors error=x".to_owned(),
    ];
    for line in misses {
        assert_eq!(
            says(Provider::Opencode, Stream::Stderr, &line),
            None,
            "{line}"
        );
    }
}

#[test]
fn the_second_request_of_opencode_that_fails_is_the_last() {
    let line = r#"ERROR 2026-05-23T10:00:00 +12ms service=llm providerID=p error={"error":{}} stream error"#;
    let counts = |stream, line: &str| -> Vec<u32> {
        let patterns = Provider::Opencode.done_patterns().iter();
        let found = patterns.filter(|it| it.stream == stream && matches(it, line));
        found.map(|it| it.count).collect()
    };
    for stream in [Stream::Stdout, Stream::Stderr] {
        assert_eq!(counts(stream, line), [2]);
        assert_eq!(
            counts(stream, &line.replace("p error", "p small=true error")),
            [0_u32; 0]
        );
        assert_eq!(counts(stream, &line.replace("={", "=x")), [0_u32; 0]);
        assert_eq!(counts(stream, &line.replace("llm", "llms")), [0_u32; 0]);
    }
}

#[test]
fn only_opencode_is_listened_to_on_standard_error() {
    for provider in Provider::ALL {
        let listens = provider
            .done_patterns()
            .iter()
            .any(|it| it.stream == Stream::Stderr);
        assert_eq!(listens, provider == Provider::Opencode, "{provider}");
    }
}
