//! The CLIs of coding agents, played by scripts that print what they would print, in pieces: what
//! they are given, and what is made of what they say.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::agents::{agent_of, assert_runs, is_terminal, short, shorts, told};
use crate::harness::{Call, Cli, end_of, text, with};

/// A stand-in for a CLI: notes what it is given, and plays what it is told to.
struct StandIn {
    cli: Cli,
    provider: &'static str,
    path: String,
}

impl std::ops::Deref for StandIn {
    type Target = Cli;
    fn deref(&self) -> &Cli {
        &self.cli
    }
}

impl StandIn {
    fn new(provider: &'static str) -> Self {
        let cli = Cli::new();
        let (bin, notes) = (cli.file("bin"), cli.file("notes"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&notes).unwrap();
        let script = format!(
            "#!/bin/sh\n\
             n=1; while [ -e {notes}/argv.$n ]; do n=$((n + 1)); done\n\
             cat >{notes}/stdin.$n\n\
             env >{notes}/env.$n\n\
             printf '%s\\n' \"$@\" >{notes}/argv.$n\n\
             . {notes}/play\n"
        );
        cli.make_file(&format!("bin/{provider}"), "755", &script);
        let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
        let stand_in = Self {
            cli,
            provider,
            path,
        };
        stand_in.plays::<&str>(&[], "exit 0");
        stand_in
    }

    /// From now on it prints these lines, each in two pieces with a moment in between, and then does
    /// this. What begins with `2>` goes to standard error.
    fn plays<S: AsRef<str>>(&self, lines: &[S], then: &str) {
        let mut play = String::new();
        for (number, line) in lines.iter().enumerate() {
            let (line, to) = match line.as_ref().strip_prefix("2>") {
                Some(line) => (line, " >&2"),
                None => (line.as_ref(), ""),
            };
            let line = format!("{line}\n");
            let (first, second) = line.as_bytes().split_at(line.len() / 2);
            for (half, bytes) in [("a", first), ("b", second)] {
                let piece = self.file(&format!("notes/piece.{number}{half}"));
                fs::write(&piece, bytes).unwrap();
                play.push_str(&format!("cat {piece}{to}\nsleep 0.002\n"));
            }
        }
        play.push_str(then);
        play.push('\n');
        fs::write(self.file("notes/play"), play).unwrap();
    }

    fn call(&self, command: &str, payload: Value) -> Call {
        let call = self.cli.run(command).payload(payload);
        call.env("PATH", &self.path)
    }

    /// Starts a conversation with more fields of the agent, and waits for its end.
    fn runs(&self, more: Value) -> Value {
        let allowed = json!({ "mode": "full", "allow_unsandboxed": true });
        let agent = json!({ "provider": self.provider, "prompt": "-x" });
        let agent = match self.provider {
            "goose" => with(with(agent, allowed), more),
            _ => with(agent, more),
        };
        let task = json!({ "id": "a", "stop": { "grace_ms": 200 }, "agent": agent });
        let start = self.call("start", task);
        start.flags(["--wait"]).ok()["task"].take()
    }

    fn says(&self, prompt: &str) -> Value {
        self.call("send", json!({ "id": "a", "prompt": prompt }))
            .ok();
        self.cli.wait("a")
    }

    /// What it was given in a run.
    fn given(&self, what: &str, run: u32) -> String {
        fs::read_to_string(self.file(&format!("notes/{what}.{run}"))).unwrap()
    }

    fn argv(&self, run: u32) -> Vec<String> {
        self.given("argv", run).lines().map(str::to_owned).collect()
    }
}

fn claude_text(text: &str) -> String {
    let block = json!([{ "type": "text", "text": text }]);
    claude_message("assistant", block)
}

fn claude_message(role: &str, content: Value) -> String {
    let message = json!({ "role": role, "content": content });
    format!(
        r#"{{"type":"{role}","message":{message},"parent_tool_use_id":null,"session_id":"s-1"}}"#
    )
}

const CLAUDE_INIT: &str = r#"{"type":"system","subtype":"init","cwd":"/x","session_id":"s-1","model":"claude-m","tools":[]}"#;
const CLAUDE_RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"Done.","session_id":"s-1","total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2}}"#;

/// What a provider prints when all is well: two texts with a tool in between.
fn success(provider: &str) -> Vec<String> {
    let lines: &[&str] = match provider {
        "claude" => {
            let tool = json!([{ "type": "tool_use", "id": "t1", "name": "Bash", "input": { "command": "ls" } }]);
            let answer = json!([{ "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "a.txt" }] }]);
            return vec![
                CLAUDE_INIT.to_owned(),
                claude_text("I look."),
                claude_message("assistant", tool),
                claude_message("user", answer),
                claude_text("Done."),
                CLAUDE_RESULT.to_owned(),
            ];
        }
        "codex" => &[
            "Reading additional input from stdin...",
            r#"{"type":"thread.started","thread_id":"s-1"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"I look."}}"#,
            r#"{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"ls","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"ls","aggregated_output":"a.txt","exit_code":0,"status":"completed"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"Done."}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":3,"output_tokens":5}}"#,
        ],
        "gemini" => &[
            "YOLO mode is enabled. All tool calls will be automatically approved.",
            r#"{"type":"init","timestamp":"t","session_id":"s-1","model":"gemini-m"}"#,
            r#"{"type":"message","timestamp":"t","role":"user","content":"-x"}"#,
            r#"{"type":"message","timestamp":"t","role":"assistant","content":"I look.","delta":true}"#,
            r#"{"type":"tool_use","timestamp":"t","tool_name":"run_shell_command","tool_id":"t1","parameters":{"command":"ls"}}"#,
            r#"{"type":"tool_result","timestamp":"t","tool_id":"t1","status":"success","output":"a.txt"}"#,
            r#"{"type":"message","timestamp":"t","role":"assistant","content":"Do","delta":true}"#,
            r#"{"type":"message","timestamp":"t","role":"assistant","content":"ne.","delta":true}"#,
            r#"{"type":"result","timestamp":"t","status":"success","stats":{"total_tokens":15,"input_tokens":10,"output_tokens":5,"cached":3,"tool_calls":1}}"#,
        ],
        "opencode" => &[
            r#"{"type":"step_start","timestamp":1,"sessionID":"s-1","part":{"type":"step-start"}}"#,
            r#"{"type":"text","timestamp":1,"sessionID":"s-1","part":{"type":"text","text":"I look."}}"#,
            r#"{"type":"tool_use","timestamp":1,"sessionID":"s-1","part":{"type":"tool","callID":"t1","tool":"bash","state":{"status":"completed","input":{"command":"ls"},"output":"a.txt","title":"ls","metadata":{"exit":0}}}}"#,
            r#"{"type":"step_finish","timestamp":1,"sessionID":"s-1","part":{"type":"step-finish","reason":"tool-calls","cost":0.2,"tokens":{"input":6,"output":2,"reasoning":0,"cache":{"read":1,"write":2}}}}"#,
            r#"{"type":"step_start","timestamp":1,"sessionID":"s-1","part":{"type":"step-start"}}"#,
            r#"{"type":"text","timestamp":1,"sessionID":"s-1","part":{"type":"text","text":"Done."}}"#,
            r#"{"type":"step_finish","timestamp":1,"sessionID":"s-1","part":{"type":"step-finish","reason":"stop","cost":0.05,"tokens":{"input":4,"output":3,"reasoning":0,"cache":{"read":2,"write":0}}}}"#,
        ],
        "goose" => &[
            "",
            "    __( O)>  \u{25cf} new session \u{b7} anthropic claude-m",
            "   \\____)    20260523_1 \u{b7} /tmp",
            "     L L     goose is ready",
            r#"{"type":"message","message":{"id":"m1","role":"assistant","created":1,"content":[{"type":"text","text":"I look."}]}}"#,
            r#"{"type":"message","message":{"id":"m1","role":"assistant","created":1,"content":[{"type":"toolRequest","id":"t1","toolCall":{"status":"success","value":{"name":"developer__shell","arguments":{"command":"ls"}}}}]}}"#,
            r#"{"type":"message","message":{"id":null,"role":"user","created":1,"content":[{"type":"toolResponse","id":"t1","toolResult":{"status":"success","value":{"content":[{"type":"text","text":"a.txt"}],"isError":false}}}]}}"#,
            r#"{"type":"message","message":{"id":"m2","role":"assistant","created":1,"content":[{"type":"text","text":"Do"}]}}"#,
            r#"{"type":"message","message":{"id":"m2","role":"assistant","created":1,"content":[{"type":"text","text":"ne."}]}}"#,
            r#"{"type":"complete","total_tokens":15,"input_tokens":10,"output_tokens":5,"cost_usd":0.25}"#,
        ],
        "pi" => &[
            r#"{"type":"session","version":3,"id":"s-1","timestamp":"t","cwd":"/x"}"#,
            r#"{"type":"agent_start"}"#,
            r#"{"type":"turn_start"}"#,
            r#"{"type":"message_start","message":{"role":"assistant","content":[]}}"#,
            r#"{"type":"message_update","assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"I look.","partial":{}},"message":{}}"#,
            r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"I look."}],"model":"pi-m","usage":{"input":6,"output":2,"cacheRead":1,"cacheWrite":2,"cost":{"total":0.2}},"stopReason":"toolUse"}}"#,
            r#"{"type":"tool_execution_start","toolCallId":"t1","toolName":"bash","args":{"command":"ls"}}"#,
            r#"{"type":"tool_execution_end","toolCallId":"t1","toolName":"bash","result":{"content":[{"type":"text","text":"a.txt"}]},"isError":false}"#,
            r#"{"type":"message_start","message":{"role":"assistant","content":[]}}"#,
            r#"{"type":"message_update","assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"Do","partial":{}},"message":{}}"#,
            r#"{"type":"message_update","assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"ne.","partial":{}},"message":{}}"#,
            r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"Done."}],"model":"pi-m","usage":{"input":4,"output":3,"cacheRead":2,"cacheWrite":0,"cost":{"total":0.05}},"stopReason":"stop"}}"#,
            r#"{"type":"agent_end","messages":[]}"#,
        ],
        other => panic!("{other}"),
    };
    lines.iter().map(|&line| line.to_owned()).collect()
}

/// The words by which a run goes on with the session before.
fn resumes(provider: &str) -> &'static [&'static str] {
    match provider {
        "claude" | "gemini" => &["--resume", "s-1"],
        "codex" => &["resume", "s-1"],
        "opencode" | "pi" => &["--session", "s-1"],
        "goose" => &["--resume", "--name", "bt-a"],
        other => panic!("{other}"),
    }
}

fn holds(argv: &[String], words: &[&str]) -> bool {
    argv.windows(words.len()).any(|some| some == words)
}

#[test]
fn every_cli_is_told_and_read_in_its_own_way_and_tells_the_same() {
    for provider in ["claude", "codex", "gemini", "opencode", "goose", "pi"] {
        let cli = StandIn::new(provider);
        cli.plays(&success(provider), "exit 0");
        let model = if provider == "opencode" { "p/m" } else { "m" };
        let task = cli.runs(json!({ "model": model }));
        assert_eq!(
            end_of(&task),
            json!(["exited", 0, null, null]),
            "{provider}"
        );
        let is_streamed = ["gemini", "goose", "pi"].contains(&provider);
        let session = if provider == "goose" {
            "20260523_1"
        } else {
            "s-1"
        };
        let mut expected = vec![format!("session {session}")];
        let rest: &[&str] = match is_streamed {
            true => &[
                "+ I look.",
                r#"tool shell {"command":"ls"}"#,
                "tool ends a.txt",
                "+ Do",
                "+ ne.",
                "end",
            ],
            false => &[
                "text I look.",
                r#"tool shell {"command":"ls"}"#,
                "tool ends a.txt",
                "text Done.",
                "end",
            ],
        };
        expected.extend(rest.iter().map(|&it| it.to_owned()));
        assert_eq!(shorts(&cli, "a"), expected, "{provider}");
        let agent = agent_of(&cli, "a");
        assert_eq!(agent["session_id"], session, "{provider}");
        assert_eq!(agent["last_text"], "Done.", "{provider}");
        let used = |agent: &Value| {
            (
                agent["usage"]["input"].clone(),
                agent["usage"]["output"].clone(),
            )
        };
        assert_eq!(used(&agent), (json!(10), json!(5)), "{provider}");
        let cost = if ["codex", "gemini"].contains(&provider) {
            json!(null)
        } else {
            json!(0.25)
        };
        assert_eq!(agent["cost_usd"], cost, "{provider}");

        // The prompt is what it reads, and in no argument.
        assert_eq!(cli.given("stdin", 1), "-x", "{provider}");
        let argv = cli.argv(1);
        assert!(!argv.contains(&"-x".to_owned()), "{argv:?}");
        assert!(holds(&argv, &["--model", model]), "{argv:?}");
        assert!(!holds(&argv, resumes(provider)), "{argv:?}");
        let env = cli.given("env", 1);
        assert!(env.lines().any(|line| line == "NO_COLOR=1"), "{env}");

        // And again, in the same session; codex counts it on.
        let again: Vec<String> = success(provider)
            .into_iter()
            .map(|line| {
                line.replace(
                    r#""input_tokens":10,"cached_input_tokens":3,"output_tokens":5"#,
                    r#""input_tokens":20,"cached_input_tokens":6,"output_tokens":10"#,
                )
            })
            .collect();
        cli.plays(&again, "exit 0");
        cli.says("go on");
        let argv = cli.argv(2);
        assert!(holds(&argv, resumes(provider)), "{argv:?}");
        assert_eq!(cli.given("stdin", 2), "go on", "{provider}");
        let frames = told(&cli, "a");
        assert_runs(&frames, 2);
        assert_eq!(
            used(&agent_of(&cli, "a")),
            (json!(20), json!(10)),
            "{provider}"
        );
        for end in frames.iter().filter(|frame| is_terminal(frame)) {
            assert_eq!(end["data"]["usage"]["input"], 10, "{end}");
        }
        cli.call("restart", json!({ "id": "a" })).ok();
        cli.wait("a");
        assert!(holds(&cli.argv(3), resumes(provider)), "{:?}", cli.argv(3));
        assert_eq!(cli.given("stdin", 3), "go on", "{provider}");
    }
}

/// A failure as a CLI tells it: whose, its lines, its exit code, and what it comes to.
type Failure = (&'static str, Vec<String>, i32, &'static str);

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

fn failures() -> Vec<Failure> {
    let result = |text: &str| {
        format!(
            r#"{{"type":"result","subtype":"success","is_error":true,"result":{},"session_id":"s-1"}}"#,
            json!(text)
        )
    };
    vec![
        (
            "claude",
            vec![
                CLAUDE_INIT.to_owned(),
                claude_text("Not logged in \u{b7} Please run /login"),
                result("Not logged in \u{b7} Please run /login"),
            ],
            1,
            "end auth: Not logged in \u{b7} Please run /login",
        ),
        (
            "claude",
            vec![
                CLAUDE_INIT.to_owned(),
                claude_text("Credit balance is too low"),
                result("Credit balance is too low"),
            ],
            1,
            "end balance: Credit balance is too low",
        ),
        (
            "claude",
            vec![
                CLAUDE_INIT.to_owned(),
                r#"{"type":"result","subtype":"error_max_turns","is_error":false,"num_turns":3,"session_id":"s-1"}"#.to_owned(),
            ],
            1,
            "end limit: error_max_turns",
        ),
        (
            "codex",
            owned(&[
                r#"{"type":"thread.started","thread_id":"s-1"}"#,
                r#"{"type":"turn.started"}"#,
                r#"{"type":"error","message":"unexpected status 401 Unauthorized: Missing bearer"}"#,
                r#"{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: Missing bearer"}}"#,
            ]),
            1,
            "end auth: unexpected status 401 Unauthorized: Missing bearer",
        ),
        (
            "codex",
            owned(&[
                r#"{"type":"thread.started","thread_id":"s-1"}"#,
                r#"{"type":"turn.started"}"#,
                r#"{"type":"error","message":"Reconnecting... 1/5 (stream disconnected before completion)"}"#,
                r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"Hello."}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":1,"cached_input_tokens":0,"output_tokens":1}}"#,
            ]),
            0,
            "end",
        ),
        (
            "gemini",
            owned(&[
                r#"{"type":"init","timestamp":"t","session_id":"s-1","model":"m"}"#,
                "2>Error when talking to Gemini API Full report available at: /tmp/report-401.json TerminalQuotaError: You exceeded your current quota.",
                "2>    at classifyGoogleError (file:///x.js:1:1) {",
                "2>  cause: { code: 429 }",
                r#"{"type":"result","timestamp":"t","status":"error","error":{"type":"Error","message":"[API Error: An unknown error occurred.]"},"stats":{}}"#,
            ]),
            1,
            "end rate_limit: Error when talking to Gemini API TerminalQuotaError: You exceeded your current quota.",
        ),
        (
            "gemini",
            owned(&[
                r#"{"type":"init","timestamp":"t","session_id":"s-1","model":"m"}"#,
                r#"{"type":"result","timestamp":"t","status":"error","error":{"type":"Error","message":"[API Error: An unknown error occurred.]"},"stats":{}}"#,
                "2>Error when talking to Gemini API Full report available at: /tmp/report-401.json TerminalQuotaError: You exceeded your current quota.",
            ]),
            1,
            "end rate_limit: Error when talking to Gemini API TerminalQuotaError: You exceeded your current quota.",
        ),
        (
            "gemini",
            owned(&["2>Please set an Auth method in your settings.json"]),
            41,
            "end~ auth: Please set an Auth method in your settings.json",
        ),
        (
            "opencode",
            owned(&[
                "2>timestamp=2026-08-01T10:00:00 level=ERROR run=r1 message=\"stream error\" providerID=p modelID=m session.id=ses_1 small=true agent=title mode=primary error.error=\"AI_APICallError: title\"",
                "2>timestamp=2026-08-01T10:00:00 level=ERROR run=r1 message=\"stream error\" providerID=p modelID=m session.id=ses_1 small=false agent=build mode=primary error.error=\"AI_APICallError: Rate limit exceeded\"",
            ]),
            1,
            "end~ rate_limit: AI_APICallError: Rate limit exceeded",
        ),
        (
            "opencode",
            owned(&[
                r#"{"type":"error","timestamp":1,"sessionID":"s-1","error":{"name":"ProviderModelNotFoundError","data":{"message":"model not found: x/y"}}}"#,
            ]),
            1,
            "end model_unavailable: model not found: x/y",
        ),
        (
            "goose",
            owned(&[
                r#"{"type":"message","message":{"id":null,"role":"assistant","created":1,"content":[{"type":"text","text":"Ran into this error: Authentication failed: 401.\n\nPlease retry if you think this is a transient or recoverable error."}]}}"#,
                r#"{"type":"complete","total_tokens":null}"#,
            ]),
            0,
            "end auth: Authentication failed: 401",
        ),
        (
            "pi",
            owned(&[
                r#"{"type":"session","version":3,"id":"s-1","timestamp":"t","cwd":"/x"}"#,
                r#"{"type":"agent_start"}"#,
                r#"{"type":"message_end","message":{"role":"assistant","content":[],"model":"m","usage":{},"stopReason":"error","errorMessage":"429 rate limit"}}"#,
                r#"{"type":"agent_end","messages":[]}"#,
            ]),
            0,
            "end rate_limit: 429 rate limit",
        ),
        (
            "pi",
            owned(&[
                r#"{"type":"session","version":3,"id":"s-1","timestamp":"t","cwd":"/x"}"#,
                r#"{"type":"agent_start"}"#,
                r#"{"type":"message_end","message":{"role":"assistant","content":[],"model":"m","usage":{},"stopReason":"error","errorMessage":"overloaded"}}"#,
                r#"{"type":"agent_end","messages":[]}"#,
                r#"{"type":"auto_retry_start","attempt":1,"maxAttempts":3,"delayMs":1,"errorMessage":"overloaded"}"#,
                r#"{"type":"agent_start"}"#,
                r#"{"type":"message_end","message":{"role":"assistant","content":[{"type":"text","text":"Hello."}],"model":"m","usage":{},"stopReason":"stop"}}"#,
                r#"{"type":"agent_end","messages":[]}"#,
                r#"{"type":"auto_retry_end","success":true,"attempt":1}"#,
            ]),
            0,
            "end",
        ),
        (
            "claude",
            owned(&["2>error: unknown option '--verbose'"]),
            1,
            "crashed 1 null: claude exited with code 1 without a result",
        ),
    ]
}

#[test]
fn failures_are_told_by_what_the_clis_say_of_them() {
    let mut stand_ins: BTreeMap<&str, StandIn> = BTreeMap::new();
    for (provider, lines, code, expected) in failures() {
        let cli = stand_ins
            .entry(provider)
            .or_insert_with(|| StandIn::new(provider));
        cli.plays(&lines, &format!("exit {code}"));
        let task = cli.runs(json!({}));
        assert_eq!(
            end_of(&task),
            json!(["exited", code, null, null]),
            "{lines:?}"
        );
        let frames = told(cli, "a");
        assert_runs(&frames, 1);
        let last = short(frames.last().unwrap());
        assert_eq!(last, expected, "{provider} {lines:?}");
        let error = &frames.last().unwrap()["data"]["error"];
        assert!(
            error.is_null() || !text(&error["hint"]).is_empty(),
            "{error}"
        );
    }
}

#[test]
fn a_cli_that_stays_after_its_last_line_is_ended_and_has_not_failed() {
    for provider in ["claude", "codex", "gemini", "opencode", "goose", "pi"] {
        let cli = StandIn::new(provider);
        cli.plays(
            &success(provider),
            "sleep 600 & trap '' TERM; sleep 600; sleep 600",
        );
        let more = json!({ "exit_grace_ms": 50 });
        let task = cli.runs(more);
        let end = ["status", "reason"].map(|field| text(&task[field]));
        assert_eq!(end, ["exited", "completed"], "{provider}: {task}");
        // The end is told first.
        cli.await_no_supervisor("a");
        cli.assert_no_processes();
        let frames = told(&cli, "a");
        assert_runs(&frames, 1);
        assert_eq!(short(frames.last().unwrap()), "end", "{provider}");
        // What comes behind it begins at once, and is no repetition.
        cli.plays(&success(provider), "exit 0");
        cli.says("next");
        assert_runs(&told(&cli, "a"), 2);
    }
}

#[test]
fn a_cli_that_stays_is_ended_whatever_its_last_line_looks_like() {
    let session = "ERROR 2026-08-01T10:00:00 +5ms service=session.processor session.id=ses_1 error=429 Too many requests stack=x";
    let stream = "timestamp=2026-08-01T10:00:00 level=ERROR run=r1 message=\"stream error\" providerID=p small=false agent=build error.error=\"429\"";
    let request = "ERROR 2026-08-01T10:00:00 +5ms service=llm error={\"message\":\"429\"}";
    let pi = r#"{"type":"session","version":3,"id":"s-1","timestamp":"t","cwd":"/x"}"#;
    let gave_up = r#"{"type":"auto_retry_end","success":false,"attempt":3,"finalError":"429"}"#;
    let no_key = r#"{"type":"error","message":"429"}"#;
    let (blank, bom) = (
        format!("  {CLAUDE_RESULT}"),
        format!("\u{feff}{CLAUDE_RESULT}"),
    );
    let cases: [(&'static str, &[&str]); 8] = [
        ("opencode", &[session]),
        ("opencode", &[stream]),
        ("opencode", &[request, request]),
        ("pi", &[pi, gave_up]),
        ("pi", &[pi, no_key]),
        ("claude", &[CLAUDE_INIT, &blank]),
        ("claude", &[CLAUDE_INIT, &bom]),
        ("gemini", &[r#"{"type":"assistant.complete"}"#]),
    ];
    for (provider, lines) in cases {
        for stderr in ["separate", "merge"] {
            let cli = StandIn::new(provider);
            let is_log = provider == "opencode";
            let lines = lines.iter().map(|line| match is_log {
                true => format!("2>{line}"),
                false => (*line).to_owned(),
            });
            cli.plays(&lines.collect::<Vec<_>>(), "while :; do sleep 600; done");
            let agent = json!({ "provider": provider, "prompt": "-x", "exit_grace_ms": 50 });
            let stop = json!({ "grace_ms": 100 });
            let task = json!({ "id": "a", "stderr": stderr, "stop": stop, "agent": agent });
            let start = cli.call("start", task).flags(["--wait"]);
            let task = start.ok()["task"].take();
            let end = ["status", "reason"].map(|field| text(&task[field]));
            assert_eq!(end, ["exited", "completed"], "{provider} {stderr}: {task}");
            let last = shorts(&cli, "a").pop().unwrap();
            let expected = match provider {
                "opencode" => "end~ rate_limit: ",
                "pi" => "end rate_limit: 429",
                _ => "end",
            };
            assert!(last.starts_with(expected), "{provider} {stderr}: {last}");
        }
    }
}

#[test]
fn a_cli_that_goes_on_after_its_last_line_may() {
    let cli = StandIn::new("claude");
    cli.plays(
        &success("claude"),
        &format!(
            "sleep 0.05; printf '%s\\n' '{}'; sleep 1; printf '%s\\n' '{CLAUDE_RESULT}'",
            claude_text("One more thing.")
        ),
    );
    let task = cli.runs(json!({ "exit_grace_ms": 500 }));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
    let told = shorts(&cli, "a");
    assert_eq!(told[told.len() - 2..], ["text One more thing.", "end"]);
}

#[test]
fn a_cli_that_ends_in_the_middle_leaves_no_tool_open() {
    let cli = StandIn::new("claude");
    let mut lines = success("claude");
    lines.truncate(3);
    for (then, end, expected) in [
        (
            "exit 0",
            json!(["exited", 0, null, null]),
            "end~ unknown: claude ended without a result",
        ),
        (
            "kill -9 $$",
            json!(["killed", null, "SIGKILL", "signalled"]),
            "crashed null \"SIGKILL\": claude was ended by SIGKILL without a result",
        ),
        // A line that has no end is one all the same.
        (
            "printf %s '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}'; exit 0",
            json!(["exited", 0, null, null]),
            "end",
        ),
    ] {
        cli.plays(&lines, then);
        let task = cli.runs(json!({}));
        assert_eq!(end_of(&task), end);
        assert_eq!(shorts(&cli, "a")[3..], ["tool ends!~ ", expected], "{then}");
    }
    // All went well, but for the process.
    cli.plays(&success("claude"), "exit 3");
    cli.runs(json!({}));
    let last = shorts(&cli, "a").pop().unwrap();
    assert_eq!(
        last,
        "end unknown: claude exited with code 3 after it had reported success"
    );
}

#[test]
fn any_text_is_a_prompt() {
    let cli = StandIn::new("codex");
    cli.plays(&success("codex"), "exit 0");
    cli.runs(json!({ "prompt": "--help" }));
    let long = format!("{}\n\u{1f980}", "words ".repeat((1 << 20) / 6));
    let prompts = [
        "-x",
        "@f",
        "/clear",
        "--",
        "a\r\nb\n\n",
        " $(touch no) `touch no` ",
        "'\"\\",
        "\u{1f980}\u{0}",
        &long,
    ];
    for (run, prompt) in (2..).zip(prompts) {
        fs::write(cli.file("prompt"), prompt).unwrap();
        let send = json!({ "id": "a", "prompt": { "file": "prompt" } });
        cli.call("send", send).ok();
        cli.wait("a");
        assert!(cli.given("stdin", run) == prompt, "{prompt:.100}");
        let argv = cli.argv(run);
        assert_eq!(argv.last().map(String::as_str), Some("-"), "{argv:?}");
        assert!(argv.iter().all(|word| word.len() < 100), "{argv:?}");
    }
    assert!(!fs::exists(cli.file("no")).unwrap());
}

#[test]
fn secrets_stay_out_of_arguments() {
    let cli = StandIn::new("claude");
    cli.plays(&success("claude"), "exit 0");
    let secret = "hush-7f3a";
    let mcp = json!({ "mcpServers": { "x": { "command": "x", "env": { "KEY": secret } } } });
    let agent = json!({ "provider": "claude", "prompt": format!("use {secret}"), "mcp": mcp });
    let start = cli.call("start", json!({ "id": "a", "agent": agent }));
    start
        .env("ANTHROPIC_API_KEY", secret)
        .flags(["--wait"])
        .ok();
    assert!(!cli.given("argv", 1).contains(secret));
    assert!(
        cli.given("env", 1)
            .contains(&format!("ANTHROPIC_API_KEY={secret}"))
    );
    let argv = cli.argv(1);
    let at = argv.iter().position(|word| word == "--mcp-config").unwrap();
    let file = fs::metadata(&argv[at + 1]).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&fs::read(&argv[at + 1]).unwrap()).unwrap();
    assert_eq!(kept, mcp);
    let shown = cli.task("a").to_string() + &cli.run("list").ok().to_string();
    assert!(
        !shown.replace("use hush-7f3a", "").contains(secret),
        "{shown}"
    );
}

#[test]
fn lines_are_read_however_they_are_dressed() {
    let cli = StandIn::new("claude");
    let lines = [
        format!("\u{feff}{CLAUDE_INIT}"),
        format!("{}\r", claude_text("CR")),
        format!("data: {}", claude_text("data")),
        format!("\u{1b}[32m{}\u{1b}[0m", claude_text("colour")),
        format!("  {}  ", claude_text("space")),
        "\u{1b}[33m[WARN] Fast mode requires the native binary\u{1b}[0m".to_owned(),
        r#"{"type":"rate_limit_event","rate_limit_info":{}}"#.to_owned(),
        r#"{"type":"never_heard_of","x":1}"#.to_owned(),
        r#"{"no":"type"}"#.to_owned(),
        "{broken".to_owned(),
        String::new(),
        CLAUDE_RESULT.to_owned(),
    ];
    cli.plays(&lines, "exit 0");
    cli.runs(json!({}));
    let expected = [
        "session s-1",
        "text CR",
        "text data",
        "text colour",
        "text space",
        "end",
    ];
    assert_eq!(shorts(&cli, "a"), expected);
    assert_eq!(agent_of(&cli, "a")["unparsed_lines"], 4);
}

#[test]
fn a_line_of_sixteen_mebibytes_is_an_event_like_any_other() {
    const SIZE: usize = 16 << 20;
    let cli = StandIn::new("claude");
    let answer = json!([{ "type": "tool_result", "tool_use_id": "t1", "content": "@" }]);
    let line = claude_message("user", answer);
    let (before, behind) = line.split_once('@').unwrap();
    let mut lines = success("claude");
    lines.truncate(3);
    let then = format!(
        "printf %s '{before}'; head -c {SIZE} /dev/zero | tr '\\0' x; printf '%s\\n' '{behind}'\n\
         printf '%s\\n' '{CLAUDE_RESULT}'; exit 0"
    );
    cli.plays(&lines, &then);
    let task = cli.runs(json!({}));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
    let frames = told(&cli, "a");
    assert_runs(&frames, 1);
    let output = text(&frames[3]["data"]["output"]);
    assert_eq!(output.len(), SIZE);
    assert_eq!(short(&frames[4]), "end");
}

#[test]
fn a_conversation_outlives_the_lines_that_its_cap_frees() {
    let cli = StandIn::new("codex");
    cli.plays(&success("codex"), "exit 0");
    let agent = json!({ "provider": "codex", "prompt": "-x" });
    let limits = json!({ "log_bytes": 65536 });
    let start = cli.call(
        "start",
        json!({ "id": "a", "limits": limits, "agent": agent }),
    );
    start.flags(["--wait"]).ok();
    let mut lines = success("codex");
    let last = lines.pop().unwrap();
    lines.push("x".repeat(1000));
    let noise = cli.file(&format!("notes/piece.{}b", lines.len() - 1));
    let then = format!(
        "for i in 1 2 3 4 5; do for j in 1 2 3 4 5 6 7 8 9 10; do cat {noise} {noise} {noise} {noise}; echo; done; \
         while [ $(stat -c %b {log}) -gt 128 ]; do sleep 0.01; done; done; echo '{last}'",
        log = cli.home().join("logs/a.log").display()
    );
    cli.plays(&lines, &then);
    cli.says("say much");
    let ends: Vec<_> = told(&cli, "a").into_iter().filter(is_terminal).collect();
    let ends: Vec<_> = ends.iter().map(short).collect();
    // The first run has no line any more, and its process had nothing to say against it.
    assert_eq!(ends, ["end~", "end"]);
    cli.plays(&success("codex"), "exit 0");
    for run in [3, 4] {
        assert_eq!(agent_of(&cli, "a")["session_id"], "s-1");
        cli.says("go on");
        let argv = cli.argv(run);
        assert!(holds(&argv, &["resume", "s-1"]), "{argv:?}");
    }
    // A new task of that id knows nothing of it.
    cli.plays(&["hm"], "exit 1");
    cli.runs(json!({}));
    cli.says("again");
    let argv = cli.argv(6);
    assert!(!argv.contains(&"resume".to_owned()), "{argv:?}");
}

/// A PATH on which there is no agent.
const BARE: &str = "/usr/bin:/bin";

#[test]
fn a_cli_is_looked_up_on_the_callers_path_and_else_on_the_tasks_own() {
    let cli = StandIn::new("codex");
    cli.plays(&success("codex"), "exit 0");
    let bin = cli.file("bin");
    let start = |path: &str, own: &str| {
        let agent = json!({ "provider": "codex", "prompt": "-x" });
        let payload = json!({ "id": "a", "env": { "PATH": own }, "agent": agent });
        let start = cli.cli.run("start").payload(payload).env("PATH", path);
        start.flags(["--wait"])
    };
    let elsewhere = cli.file("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    cli.make_file("elsewhere/codex", "755", "#!/bin/sh\nexit 9\n");
    let exit_code = |start: Call| start.ok()["task"]["exit_code"].clone();
    assert_eq!(exit_code(start(&cli.path, &elsewhere)), 0);
    assert_eq!(exit_code(start(BARE, &format!("{elsewhere}:{BARE}"))), 9);
    assert_eq!(exit_code(start(BARE, &format!("{bin}:{BARE}"))), 0);
    // A prompt is for the same.
    let send = json!({ "id": "a", "prompt": "more" });
    cli.cli.run("send").payload(send).env("PATH", BARE).ok();
    assert_eq!(cli.wait("a")["exit_code"], 0);
    let nowhere = start(BARE, "/nowhere").err("ProviderNotInstalled");
    let searched = nowhere["details"]["searched"].as_array().unwrap();
    assert!(searched.contains(&json!("/nowhere")), "{nowhere}");
    assert!(searched.contains(&json!("/bin")), "{nowhere}");
}

#[test]
fn a_cli_that_has_moved_is_found_again_and_one_that_is_gone_is_told() {
    let cli = StandIn::new("codex");
    cli.plays(&success("codex"), "exit 0");
    cli.runs(json!({}));
    let moved = cli.file("moved");
    fs::rename(cli.file("bin"), &moved).unwrap();
    let restart = |path: &str| {
        let restart = cli.cli.run("restart").payload(json!({ "id": "a" }));
        restart.env("PATH", path).ok();
        cli.wait("a")
    };
    let task = restart(&format!("{moved}:{BARE}"));
    assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
    fs::remove_dir_all(&moved).unwrap();
    let task = restart(BARE);
    assert_eq!(task["exit_code"], 127);
    let frames = told(&cli, "a");
    assert_runs(&frames, 3);
    let end = &frames.last().unwrap()["data"];
    let message = text(&end["error"]["message"]);
    assert!(
        message.starts_with("codex is not installed any more"),
        "{message}"
    );
    assert!(
        text(&end["error"]["hint"]).contains("agent install"),
        "{end}"
    );
    assert_eq!(end["synthetic"], true);
}

#[test]
fn a_session_of_another_task_is_not_counted_again() {
    let cli = StandIn::new("codex");
    let counted = |input: u64| {
        let lines = success("codex").into_iter();
        let counts = format!(r#""input_tokens":{input},"cached"#);
        let lines = lines.map(|line| line.replace(r#""input_tokens":10,"cached"#, &counts));
        lines.collect::<Vec<_>>()
    };
    cli.plays(&counted(10), "exit 0");
    cli.runs(json!({}));
    for (id, of, total) in [("b", "a", 25), ("c", "b", 32)] {
        cli.plays(&counted(total), "exit 0");
        let agent = json!({ "provider": "codex", "prompt": "-x", "resume": of });
        let start = cli.call("start", json!({ "id": id, "agent": agent }));
        start.flags(["--wait"]).ok();
    }
    let used = |id| agent_of(&cli, id)["usage"]["input"].clone();
    assert_eq!([used("a"), used("b"), used("c")], [10, 15, 7]);
    cli.plays(&counted(40), "exit 0");
    cli.call("send", json!({ "id": "c", "prompt": "more" }))
        .ok();
    cli.wait("c");
    assert_eq!(used("c"), 15);
}

#[test]
fn history_stands_before_the_prompt_until_there_is_a_session() {
    let cli = StandIn::new("claude");
    cli.plays(&["2>no network"], "exit 1");
    cli.runs(json!({ "history": [{ "role": "user", "content": "My name is Ada." }] }));
    cli.plays(&success("claude"), "exit 0");
    cli.says("again");
    cli.says("go on");
    let has_history = |run| cli.given("stdin", run).contains("My name is Ada.");
    assert_eq!([1, 2, 3].map(has_history), [true, true, false]);
    assert!(cli.given("stdin", 2).ends_with("again"));
    assert_eq!(cli.given("stdin", 3), "go on");
}

#[test]
fn a_stop_is_one_although_the_cli_says_that_all_went_well() {
    let cli = StandIn::new("claude");
    let then = format!(
        "trap 'echo '\"'\"'{CLAUDE_RESULT}'\"'\"'; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    );
    cli.plays(&[CLAUDE_INIT], &then);
    let agent = json!({ "provider": "claude", "prompt": "-x" });
    cli.call("start", json!({ "id": "a", "agent": agent })).ok();
    cli.await_line("a", "ready");
    cli.stop("a");
    let end = told(&cli, "a").pop().unwrap();
    assert_eq!(short(&end), "end stopped: it was stopped on request");
    assert_eq!(end["data"]["usage"]["input"], 10);
    assert_eq!(end["data"]["cost_usd"], 0.25);
}
