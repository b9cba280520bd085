//! What can be asked, and what is refused before anything starts.

use std::fs;

use background_tasks_agents::{AgentRequest, McpSource, Provider, Resolved, check_session};
use background_tasks_core::request::{Request, decode};
use background_tasks_core::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// A command that takes an agent, as `start` does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    agent: AgentRequest,
}

impl Request for Start {
    const COMMAND: &'static str = "start";

    fn check(&self) -> Result<(), Error> {
        self.agent.check()
    }
}

fn read(agent: &Value) -> Result<AgentRequest, Error> {
    let payload = json!({ "agent": agent }).to_string();
    decode::<Start>(payload.as_bytes()).map(|start| start.agent)
}

/// A request that says the least, with more.
fn with(provider: Provider, extra: &Value) -> Value {
    let mode = if provider == Provider::Goose {
        "plan"
    } else {
        "edit"
    };
    let mut agent = json!({ "provider": provider, "prompt": "hi", "mode": mode });
    let fields = extra.as_object().unwrap().clone();
    agent.as_object_mut().unwrap().extend(fields);
    agent
}

fn resolve(agent: &Value) -> Result<Resolved, Error> {
    read(agent)?.resolve()
}

/// Refused as that, in words that hold all of these, with something to do.
fn refused(agent: &Value, kind: ErrorKind, words: &[&str]) {
    let error = resolve(agent).expect_err(&agent.to_string());
    assert_eq!(error.kind(), kind, "{agent}: {error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{agent}: {error} should hold {word:?}"
        );
    }
    assert!(
        error.hint().ends_with(['.', '?']),
        "{agent}: {}",
        error.hint()
    );
}

#[test]
fn the_least_is_a_provider_and_a_prompt() {
    for provider in Provider::ALL {
        if provider != Provider::Goose {
            let agent = json!({ "provider": provider, "prompt": "Fix  the\nbuild" });
            let resolved = resolve(&agent).unwrap();
            assert_eq!(resolved.spec.provider, provider);
            assert_eq!(resolved.prompt, "Fix  the\nbuild");
            assert_eq!(resolved.name, "Fix the build");
            assert_eq!((resolved.resume, resolved.mcp), (None, None));
        }
    }
}

#[test]
fn spellings_of_earlier_clients_are_understood() {
    let agent = json!({
        "provider": "claude", "prompt": "hi", "systemPrompt": "s", "maxTurns": 2,
        "maxBudgetUsd": 1.5, "allowUnsandboxed": true, "mode": "full", "resume": "x",
    });
    let Resolved { spec, resume, .. } = resolve(&agent).unwrap();
    assert_eq!(spec.system_prompt.as_deref(), Some("s"));
    assert_eq!((spec.max_turns, spec.max_budget_usd), (Some(2), Some(1.5)));
    assert_eq!(resume.as_deref(), Some("x"));
}

/// What each lacks; whatever is not here must be taken.
const LACKS: [(Provider, &[&str]); 7] = [
    (Provider::Claude, &[]),
    (Provider::Codex, &["max_turns", "max_budget_usd", "mcp"]),
    (
        Provider::Gemini,
        &[
            "system_prompt",
            "effort",
            "max_turns",
            "max_budget_usd",
            "mcp",
        ],
    ),
    (
        Provider::Opencode,
        &["system_prompt", "max_turns", "max_budget_usd", "mcp"],
    ),
    (Provider::Goose, &["effort", "max_budget_usd", "mcp"]),
    (Provider::Pi, &["max_turns", "max_budget_usd", "mcp"]),
    (
        Provider::Mock,
        &[
            "system_prompt",
            "effort",
            "max_turns",
            "max_budget_usd",
            "mcp",
        ],
    ),
];

#[test]
fn what_a_provider_cannot_do_is_refused_by_name_and_the_rest_is_taken() {
    let fields = [
        ("system_prompt", json!("Be brief.")),
        ("effort", json!("high")),
        ("max_turns", json!(3)),
        ("max_budget_usd", json!(1)),
        ("mcp", json!({ "mcpServers": {} })),
        ("resume", json!("abc")),
        ("model", json!("anthropic/some")),
    ];
    for (provider, lacks) in LACKS {
        for (field, value) in &fields {
            let agent = with(provider, &json!({ *field: value }));
            if lacks.contains(field) {
                let words = [&format!("agent.{field}"), provider.as_str()];
                refused(&agent, ErrorKind::Unsupported, &words);
            } else {
                resolve(&agent).unwrap_or_else(|error| panic!("{agent}: {error}"));
            }
        }
        let supports = serde_json::to_value(provider.supports()).unwrap();
        for (field, _) in &fields {
            assert_eq!(
                supports[field],
                !lacks.contains(field),
                "{provider} {field}"
            );
        }
    }
}

#[test]
fn goose_has_no_mode_between_all_and_nothing() {
    let agent = json!({ "provider": "goose", "prompt": "hi" });
    refused(
        &agent,
        ErrorKind::Unsupported,
        &["agent.mode", "goose", "edit"],
    );
    assert!(
        resolve(&agent)
            .unwrap_err()
            .hint()
            .contains("allow_unsandboxed")
    );
}

#[test]
fn mode_full_is_for_those_who_know_that_nothing_confines_it() {
    for provider in Provider::ALL {
        let agent = with(provider, &json!({ "mode": "full" }));
        refused(
            &agent,
            ErrorKind::CommandInputError,
            &["agent.mode", "full"],
        );
        assert!(
            resolve(&agent)
                .unwrap_err()
                .hint()
                .contains("allow_unsandboxed")
        );
        let agent = with(
            provider,
            &json!({ "mode": "full", "allow_unsandboxed": true }),
        );
        assert!(resolve(&agent).unwrap().spec.allow_unsandboxed);
        let agent = with(provider, &json!({ "mode": "full", "sandbox": true }));
        refused(&agent, ErrorKind::Unsupported, &["agent.sandbox"]);
    }
}

#[test]
fn arguments_do_not_take_away_what_the_mode_keeps() {
    let cases = [
        (Provider::Claude, "--dangerously-skip-permissions"),
        (Provider::Claude, "--permission-mode=bypassPermissions"),
        (Provider::Codex, "--yolo"),
        (Provider::Codex, "sandbox_mode=\"danger-full-access\""),
        (Provider::Gemini, "-y"),
        (Provider::Opencode, "--auto"),
        (Provider::Pi, "--tools"),
    ];
    for (provider, word) in cases {
        for mode in ["plan", "edit"] {
            let agent = with(provider, &json!({ "mode": mode, "args": ["--ok", word] }));
            refused(&agent, ErrorKind::CommandInputError, &["agent.args", mode]);
        }
        let all = json!({ "mode": "full", "args": [word], "allow_unsandboxed": true });
        assert_eq!(resolve(&with(provider, &all)).unwrap().spec.args, [word]);
    }
}

#[test]
fn an_effort_is_one_that_the_provider_knows() {
    let agent = with(Provider::Claude, &json!({ "effort": "xtreme" }));
    refused(
        &agent,
        ErrorKind::Unsupported,
        &["agent.effort", "claude", "xtreme"],
    );
    assert!(
        resolve(&agent)
            .unwrap_err()
            .hint()
            .contains("low, medium, high")
    );
    resolve(&with(Provider::Opencode, &json!({ "effort": "xtreme" }))).unwrap();
}

#[test]
fn a_model_of_opencode_says_whose_it_is() {
    for model in ["gpt-5", "/gpt-5", "openai/"] {
        let agent = with(Provider::Opencode, &json!({ "model": model }));
        refused(
            &agent,
            ErrorKind::CommandInputError,
            &["agent.model", model],
        );
    }
}

#[test]
fn values_that_cannot_be_are_refused_by_field() {
    let long = "x".repeat(200_000);
    let escaped = "\u{1}".repeat(30_000);
    let cases = [
        ("agent.prompt", json!({ "prompt": "" })),
        ("agent.prompt", json!({ "prompt": " \n\t" })),
        ("agent.prompt", json!({ "prompt": 3 })),
        ("agent.prompt.file", json!({ "prompt": { "file": "" } })),
        (
            "agent.prompt.file",
            json!({ "prompt": { "file": "/nowhere/prompt" } }),
        ),
        ("agent.prompt.file", json!({ "prompt": { "file": "/" } })),
        ("agent.prompt.fille", json!({ "prompt": { "fille": "a" } })),
        ("agent.model", json!({ "model": "" })),
        ("agent.model", json!({ "model": "--yolo" })),
        ("agent.model", json!({ "model": "a\nb" })),
        ("agent.effort", json!({ "effort": "-x" })),
        ("agent.resume", json!({ "resume": "--last" })),
        ("agent.resume", json!({ "resume": "" })),
        ("agent.system_prompt", json!({ "system_prompt": " " })),
        ("agent.system_prompt", json!({ "system_prompt": "a\0b" })),
        ("agent.system_prompt", json!({ "system_prompt": long })),
        // Short enough as it is; not as codex has to be told it.
        ("agent.system_prompt", json!({ "system_prompt": escaped })),
        ("agent.args", json!({ "args": ["a\0b"] })),
        ("agent.args", json!({ "args": [long] })),
        ("agent.max_turns", json!({ "max_turns": 0 })),
        ("agent.max_turns", json!({ "max_turns": -1 })),
        ("agent.max_budget_usd", json!({ "max_budget_usd": 0 })),
        ("agent.max_budget_usd", json!({ "max_budget_usd": -2.5 })),
        ("agent.mcp", json!({ "mcp": "" })),
        ("agent.mcp", json!({ "mcp": 1 })),
        (
            "agent.history[0].role",
            json!({ "history": [{ "role": "god", "content": "x" }] }),
        ),
        ("agent.history[0]", json!({ "history": [["user", "x"]] })),
        (
            "agent.history[0].content",
            json!({ "history": [{ "role": "user" }] }),
        ),
        (
            "agent.history",
            json!({ "history": [{ "role": "user", "content": "x" }], "resume": "a" }),
        ),
        ("agent.provider", json!({ "provider": "cluade" })),
        ("agent.mode", json!({ "mode": "yolo" })),
        ("agent.promt", json!({ "promt": "x" })),
    ];
    for (field, extra) in cases {
        refused(
            &with(Provider::Codex, &extra),
            ErrorKind::CommandInputError,
            &[field],
        );
    }
    let files = [json!({ "mcp": "/nowhere/mcp.json" }), json!({ "mcp": "/" })];
    for extra in files {
        refused(
            &with(Provider::Claude, &extra),
            ErrorKind::CommandInputError,
            &["agent.mcp"],
        );
    }
}

#[test]
fn gemini_would_silently_cut_a_prompt_of_more_than_eight_mebibytes() {
    let agent = |length: usize| json!({ "provider": "gemini", "prompt": "x".repeat(length) });
    refused(
        &agent((8 << 20) + 1),
        ErrorKind::CommandInputError,
        &["agent.prompt", "8388608"],
    );
    resolve(&agent(8 << 20)).unwrap();
}

#[test]
fn a_prompt_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.md");
    let agent = json!({ "provider": "mock", "prompt": { "file": path } });
    fs::write(&path, "-x\n").unwrap();
    assert_eq!(resolve(&agent).unwrap().prompt, "-x\n");
    fs::write(&path, " \n").unwrap();
    refused(
        &agent,
        ErrorKind::CommandInputError,
        &["agent.prompt", "empty"],
    );
    fs::write(&path, b"\xff\xfe").unwrap();
    refused(
        &agent,
        ErrorKind::CommandInputError,
        &["agent.prompt.file", "UTF-8"],
    );
}

#[test]
fn servers_in_the_request_are_kept_apart_from_what_is_recorded() {
    let mcp = json!({ "mcpServers": { "a": { "env": { "KEY": "s3cret" } } } });
    let resolved = resolve(&with(Provider::Claude, &json!({ "mcp": mcp }))).unwrap();
    assert_eq!(resolved.spec.mcp, Some(McpSource::OfTask));
    assert_eq!(resolved.mcp.map(Value::Object), Some(mcp));
    assert!(
        !serde_json::to_string(&resolved.spec)
            .unwrap()
            .contains("s3cret")
    );

    let file = tempfile::NamedTempFile::new().unwrap();
    let resolved = resolve(&with(Provider::Claude, &json!({ "mcp": file.path() }))).unwrap();
    assert_eq!(
        resolved.spec.mcp,
        Some(McpSource::File(file.path().to_owned()))
    );
    assert_eq!(resolved.mcp, None);
}

#[test]
fn every_provider_takes_a_history() {
    let history = json!([
        { "role": "user", "content": "What is 2 + 2?" },
        { "role": "assistant", "content": "4" },
    ]);
    for provider in Provider::ALL {
        let agent = with(
            provider,
            &json!({ "history": history, "prompt": "Twice that?" }),
        );
        let resolved = resolve(&agent).unwrap();
        let said: Vec<_> = resolved.history.iter().map(|it| &it.content).collect();
        assert_eq!(said, ["What is 2 + 2?", "4"]);
        assert_eq!(resolved.prompt, "Twice that?");
        assert_eq!(resolved.name, "Twice that?");
    }
}

#[test]
fn a_session_becomes_an_argument_and_must_not_look_like_an_option() {
    for session in ["", "--yolo", "a\nb", "a\0"] {
        let error = check_session(Provider::Codex, session).unwrap_err();
        assert!(error.to_string().contains("codex"), "{error}");
    }
    check_session(Provider::Codex, "019d53c0-4d8a-7ff2").unwrap();
}
