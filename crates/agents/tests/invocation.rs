//! What is executed for each provider, to the letter: a changed argument is a changed contract with
//! somebody else's program.

use std::path::Path;

use background_tasks_agents::{
    AgentRequest, AgentSpec, Invocation, Mode, Program, Provider, Stdin, Turn,
};
use serde_json::{Value, json};

/// The spec of a request; whatever it says is allowed.
fn spec(provider: Provider, extra: &Value) -> AgentSpec {
    let mut request = json!({ "provider": provider, "prompt": "hi" });
    let fields = request.as_object_mut().unwrap();
    fields.extend(extra.as_object().unwrap().clone());
    if extra["mode"] == "full" {
        fields.insert("allow_unsandboxed".to_owned(), true.into());
    }
    let request: AgentRequest = serde_json::from_value(request).unwrap();
    request.resolve().unwrap().spec
}

struct Asked<'a> {
    prompt: &'a str,
    session: Option<&'a str>,
    mcp_file: Option<&'a str>,
    is_root: bool,
}

const NEW: Asked<'static> = Asked {
    prompt: "hi",
    session: None,
    mcp_file: None,
    is_root: false,
};

fn invocation(provider: Provider, extra: &Value, asked: &Asked<'_>) -> Invocation {
    let spec = spec(provider, extra);
    provider.invocation(&Turn {
        spec: &spec,
        prompt: asked.prompt,
        session: asked.session,
        conversation: "bt-bg_1",
        mcp_file: asked.mcp_file.map(Path::new),
        workdir: Path::new("/w"),
        is_root: asked.is_root,
    })
}

/// The arguments as one line, for what has no spaces in it.
fn line(provider: Provider, extra: &Value, session: Option<&str>) -> String {
    invocation(provider, extra, &Asked { session, ..NEW })
        .args
        .join(" ")
}

const CLAUDE: &str = "-p --output-format stream-json --verbose";
const CODEX: &str = "exec --json --skip-git-repo-check";
const NEVER: &str = "-c approval_policy=\"never\"";
const GEMINI: &str = "--output-format stream-json";
const OPENCODE: &str = "run --format json --print-logs --log-level ERROR";
const GOOSE: &str = "run --output-format stream-json";
const PI: &str = "--mode json -p";

#[test]
fn each_mode_is_what_the_cli_calls_it() {
    use Provider::*;
    let cases = [
        (
            Claude,
            Mode::Plan,
            format!("{CLAUDE} --permission-mode plan"),
        ),
        (
            Claude,
            Mode::Edit,
            format!("{CLAUDE} --permission-mode acceptEdits"),
        ),
        (
            Claude,
            Mode::Full,
            format!("{CLAUDE} --dangerously-skip-permissions"),
        ),
        (
            Codex,
            Mode::Plan,
            format!("{CODEX} --sandbox read-only {NEVER} -"),
        ),
        (
            Codex,
            Mode::Edit,
            format!("{CODEX} --sandbox workspace-write {NEVER} -"),
        ),
        (Codex, Mode::Full, format!("{CODEX} --yolo -")),
        (Gemini, Mode::Plan, format!("{GEMINI} --approval-mode plan")),
        (
            Gemini,
            Mode::Edit,
            format!("{GEMINI} --approval-mode auto_edit"),
        ),
        (Gemini, Mode::Full, format!("{GEMINI} --yolo")),
        (Opencode, Mode::Plan, format!("{OPENCODE} --agent plan")),
        (Opencode, Mode::Edit, OPENCODE.to_owned()),
        (Opencode, Mode::Full, OPENCODE.to_owned()),
        (Goose, Mode::Plan, format!("{GOOSE} --name bt-bg_1 -i -")),
        (Goose, Mode::Full, format!("{GOOSE} --name bt-bg_1 -i -")),
        (Pi, Mode::Plan, format!("{PI} --tools read,grep,find,ls")),
        (
            Pi,
            Mode::Edit,
            format!("{PI} --tools read,edit,write,grep,find,ls"),
        ),
        (Pi, Mode::Full, PI.to_owned()),
        (
            Mock,
            Mode::Plan,
            "__mock --session-id mock-bt-bg_1".to_owned(),
        ),
        (
            Mock,
            Mode::Edit,
            "__mock --session-id mock-bt-bg_1".to_owned(),
        ),
        (
            Mock,
            Mode::Full,
            "__mock --session-id mock-bt-bg_1".to_owned(),
        ),
    ];
    for (provider, mode, expected) in cases {
        assert_eq!(
            line(provider, &json!({ "mode": mode }), None),
            expected,
            "{provider} {mode:?}"
        );
    }
}

#[test]
fn edit_is_what_is_meant_when_no_mode_is_named() {
    assert_eq!(
        line(Provider::Claude, &json!({}), None),
        line(Provider::Claude, &json!({ "mode": "edit" }), None)
    );
}

#[test]
fn a_session_is_gone_on_with_by_its_id() {
    use Provider::*;
    let edit = "--sandbox workspace-write -c approval_policy=\"never\"";
    let cases = [
        (
            Claude,
            "s-1",
            format!("{CLAUDE} --permission-mode acceptEdits --resume s-1"),
        ),
        (Codex, "s-1", format!("{CODEX} {edit} resume s-1 -")),
        (
            Gemini,
            "s-1",
            format!("{GEMINI} --approval-mode auto_edit --resume s-1"),
        ),
        (Opencode, "ses_1", format!("{OPENCODE} --session ses_1")),
        (
            Goose,
            "bt-bg_1",
            format!("{GOOSE} --resume --name bt-bg_1 -i -"),
        ),
        (
            Goose,
            "20260523_1",
            format!("{GOOSE} --resume --session-id 20260523_1 -i -"),
        ),
        (
            Pi,
            "s-1",
            format!("{PI} --tools read,edit,write,grep,find,ls --session s-1"),
        ),
        (
            Mock,
            "mock-bt-bg_0",
            "__mock --resume mock-bt-bg_0".to_owned(),
        ),
    ];
    for (provider, session, expected) in cases {
        let mode = if provider == Goose { "plan" } else { "edit" };
        assert_eq!(
            line(provider, &json!({ "mode": mode }), Some(session)),
            expected,
            "{provider}"
        );
    }
}

#[test]
fn goose_is_resumed_by_the_name_that_we_gave_it_and_the_others_by_what_they_reported() {
    for provider in Provider::ALL {
        assert_eq!(provider.session_to_resume(None, "bt-1"), None, "{provider}");
        let expected = if provider == Provider::Goose {
            "bt-1"
        } else {
            "20260523_1"
        };
        assert_eq!(
            provider.session_to_resume(Some("20260523_1"), "bt-1"),
            Some(expected)
        );
    }
}

#[test]
fn every_option_stands_in_its_place() {
    use Provider::*;
    let cases = [
        (
            Claude,
            json!({ "mode": "plan", "model": "opus", "system_prompt": "Brief.", "effort": "max",
                "max_turns": 7, "max_budget_usd": 0.5, "args": ["--add-dir", "/lib"] }),
            format!(
                "{CLAUDE} --mcp-config /t/mcp.json --permission-mode plan --model opus --system-prompt Brief. --effort max --max-turns 7 --max-budget-usd 0.5 --resume s --add-dir /lib"
            ),
        ),
        (
            Codex,
            json!({ "mode": "plan", "model": "gpt-5", "system_prompt": "Brief.", "effort": "high",
                "args": ["--add-dir", "/lib"] }),
            format!(
                "{CODEX} --sandbox read-only {NEVER} --model gpt-5 -c developer_instructions=\"Brief.\" -c model_reasoning_effort=\"high\" --add-dir /lib resume s -"
            ),
        ),
        (
            Gemini,
            json!({ "mode": "plan", "model": "gemini-2.5-pro", "args": ["--debug"] }),
            format!("{GEMINI} --approval-mode plan --model gemini-2.5-pro --resume s --debug"),
        ),
        (
            Opencode,
            json!({ "mode": "plan", "model": "anthropic/opus", "effort": "anything", "args": ["--thinking"] }),
            format!(
                "{OPENCODE} --agent plan --model anthropic/opus --variant anything --session s --thinking"
            ),
        ),
        (
            Goose,
            json!({ "mode": "plan", "model": "claude-x", "system_prompt": "Brief.", "max_turns": 7,
                "args": ["--no-profile"] }),
            format!(
                "{GOOSE} --resume --name s --provider anthropic --model claude-x --system Brief. --max-turns 7 --no-profile -i -"
            ),
        ),
        (
            Pi,
            json!({ "mode": "plan", "model": "openai/x", "system_prompt": "Brief.", "effort": "xhigh",
                "args": ["--offline"] }),
            format!(
                "{PI} --tools read,grep,find,ls --model openai/x --thinking xhigh --system-prompt Brief. --session s --offline"
            ),
        ),
        (
            Mock,
            json!({ "model": "m", "args": ["--x"] }),
            "__mock --resume s --model m --x".to_owned(),
        ),
    ];
    for (provider, extra, expected) in cases {
        let mcp_file = (provider == Claude).then_some("/t/mcp.json");
        let asked = Asked {
            session: Some("s"),
            mcp_file,
            ..NEW
        };
        assert_eq!(
            invocation(provider, &extra, &asked).args.join(" "),
            expected,
            "{provider}"
        );
    }
}

#[test]
fn the_program_is_looked_up_by_its_name() {
    for provider in Provider::ALL {
        let expected = match provider {
            Provider::Mock => Program::Itself,
            other => Program::Named(other.as_str()),
        };
        assert_eq!(
            invocation(provider, &json!({ "mode": "plan" }), &NEW).program,
            expected
        );
    }
}

type Variables = &'static [(&'static str, &'static str)];

#[test]
fn the_environment_holds_no_more_than_what_each_needs() {
    use Provider::*;
    const DENY_ALL: &str = r#"{"edit":"deny","bash":"deny","external_directory":"deny"}"#;
    const NO_SHELL: &str =
        r#"{"edit":"allow","bash":"deny","webfetch":"allow","external_directory":"deny"}"#;
    const ALL: &str =
        r#"{"edit":"allow","bash":"allow","webfetch":"allow","external_directory":"allow"}"#;
    let cases: [(Provider, Mode, Variables); 11] = [
        (Claude, Mode::Plan, &[]),
        (Claude, Mode::Edit, &[]),
        (Claude, Mode::Full, &[]),
        (Codex, Mode::Full, &[]),
        (
            Gemini,
            Mode::Edit,
            &[("GEMINI_CLI_TRUST_WORKSPACE", "true")],
        ),
        (Opencode, Mode::Plan, &[("OPENCODE_PERMISSION", DENY_ALL)]),
        (Opencode, Mode::Edit, &[("OPENCODE_PERMISSION", NO_SHELL)]),
        (Opencode, Mode::Full, &[("OPENCODE_PERMISSION", ALL)]),
        (Goose, Mode::Full, &[("GOOSE_MODE", "auto")]),
        (Pi, Mode::Full, &[]),
        (Mock, Mode::Edit, &[]),
    ];
    for (provider, mode, more) in cases {
        let found = invocation(provider, &json!({ "mode": mode }), &NEW).env;
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let expected = [&[("NO_COLOR", "1"), ("TERM", "dumb")], more].concat();
        assert_eq!(found, expected, "{provider} {mode:?}");
    }
}

#[test]
fn only_a_root_without_limits_tells_claude_that_it_is_in_a_sandbox() {
    for mode in [Mode::Plan, Mode::Edit, Mode::Full] {
        for is_root in [false, true] {
            let asked = Asked { is_root, ..NEW };
            let env = invocation(Provider::Claude, &json!({ "mode": mode }), &asked).env;
            let is_told = env.contains(&("IS_SANDBOX", "1".to_owned()));
            assert_eq!(is_told, is_root && mode == Mode::Full, "{mode:?} {is_root}");
        }
    }
}

#[test]
fn a_prompt_is_only_ever_on_standard_input() {
    let long = "x".repeat(1 << 20);
    let odd = [
        "", "-x", "--", "--help", "@file", "/cmd", "a\nb", "\"'$(x)`", "\0", "ünï", &long,
    ];
    for provider in Provider::ALL {
        let extra = json!({ "mode": "plan" });
        let plain = invocation(provider, &extra, &NEW);
        for prompt in odd {
            for session in [None, Some("s")] {
                let asked = Asked {
                    prompt,
                    session,
                    ..NEW
                };
                let told = invocation(provider, &extra, &asked);
                let expected = match provider {
                    Provider::Goose => format!("/plan {prompt}"),
                    _ => prompt.to_owned(),
                };
                assert_eq!(told.stdin, Stdin::Text(expected), "{provider}");
                if session.is_none() {
                    assert_eq!(
                        (&told.args, &told.env),
                        (&plain.args, &plain.env),
                        "{provider}"
                    );
                }
            }
        }
    }
}

#[test]
fn goose_is_told_the_prompt_as_it_is_unless_it_is_to_plan() {
    let full = invocation(Provider::Goose, &json!({ "mode": "full" }), &NEW);
    assert_eq!(full.stdin, Stdin::Text("hi".to_owned()));
}

#[test]
fn a_system_prompt_that_looks_like_an_option_is_none() {
    let extra = json!({ "mode": "plan", "system_prompt": "--yolo" });
    let cases = [
        (Provider::Claude, "--system-prompt=--yolo"),
        (Provider::Codex, "developer_instructions=\"--yolo\""),
        (Provider::Goose, "--system=--yolo"),
    ];
    for (provider, word) in cases {
        let args = invocation(provider, &extra, &NEW).args;
        assert!(args.iter().any(|it| it == word), "{provider}: {args:?}");
        assert!(
            !args.iter().any(|it| it == "--yolo"),
            "{provider}: {args:?}"
        );
    }
    // Pi takes the next word whatever it is, and knows no other way.
    let args = invocation(Provider::Pi, &extra, &NEW).args;
    assert!(
        args.windows(2)
            .any(|pair| pair == ["--system-prompt", "--yolo"]),
        "{args:?}"
    );
}

#[test]
fn codex_reads_its_instructions_as_they_were_written() {
    let cases = [
        ("a \"b\" \\c", r#"developer_instructions="a \"b\" \\c""#),
        ("a\nb\tc\r", r#"developer_instructions="a\nb\tc\r""#),
        ("\u{1b}\u{7f}", r#"developer_instructions="\u001B\u007F""#),
        ("ü 🦀 '''", r#"developer_instructions="ü 🦀 '''""#),
    ];
    for (text, word) in cases {
        let args = invocation(Provider::Codex, &json!({ "system_prompt": text }), &NEW).args;
        assert!(args.iter().any(|it| it == word), "{args:?}");
    }
}

#[test]
fn goose_is_told_whose_model_it_is_only_where_that_is_certain() {
    let cases = [
        (
            json!({ "model": "claude-opus-4" }),
            "--provider anthropic --model claude-opus-4",
        ),
        (
            json!({ "model": "gpt-5" }),
            "--provider openai --model gpt-5",
        ),
        (
            json!({ "model": "gemini-2.5-pro" }),
            "--provider google --model gemini-2.5-pro",
        ),
        (
            json!({ "model": "ollama/qwen3" }),
            "--provider ollama --model qwen3",
        ),
        (
            json!({ "model": "openrouter/anthropic/claude-x" }),
            "--provider openrouter --model anthropic/claude-x",
        ),
        (json!({ "model": "qwen/qwen3" }), "--model qwen/qwen3"),
        (json!({ "model": "mixtral" }), "--model mixtral"),
        (
            json!({ "model": "anthropic/claude-x", "args": ["--provider", "openrouter"] }),
            "--model anthropic/claude-x --provider openrouter",
        ),
        (
            json!({ "model": "claude-x", "args": ["--provider=databricks"] }),
            "--model claude-x --provider=databricks",
        ),
    ];
    for (mut extra, expected) in cases {
        extra["mode"] = "plan".into();
        let expected = format!("{GOOSE} --name bt-bg_1 {expected} -i -");
        assert_eq!(line(Provider::Goose, &extra, None), expected);
    }
}

#[test]
fn the_servers_of_a_request_are_never_among_the_arguments() {
    let mcp = json!({ "mcpServers": { "a": { "command": "x", "env": { "KEY": "s3cret" } } } });
    let extra = json!({ "mcp": mcp, "mode": "plan" });
    let asked = Asked {
        mcp_file: Some("/t/mcp.json"),
        ..NEW
    };
    let invocation = invocation(Provider::Claude, &extra, &asked);
    assert!(!format!("{invocation:?}").contains("s3cret"));
    // It takes every word up to the next option.
    let after = invocation
        .args
        .iter()
        .skip_while(|word| *word != "--mcp-config")
        .nth(2);
    assert_eq!(after.map(String::as_str), Some("--permission-mode"));
}
