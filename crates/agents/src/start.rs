//! `start` with `agent`: from the payload to a task whose command takes one prompt a run.

mod payload;

use background_tasks_core::event::StreamName;
use background_tasks_core::request::{Request, decode, invalid};
use background_tasks_core::task::{Done, Extension, LinePattern, Stderr, TaskId};
use background_tasks_core::{Client, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::conversation::session_of;
use crate::event::Usage;
use crate::invocation::{Says, Stream};
use crate::kept::{Kept, Piece};
use crate::provider::Provider;
use crate::request::{AgentRequest, Resolved, check_session};

pub(crate) use payload::mentions;
pub use payload::{decode_start, decode_starts};

/// The program's own subcommand that is the command of an agent's task.
pub(crate) const SUBCOMMAND: &str = "__agent";

/// Milliseconds that a run may last, unless told.
pub const DEFAULT_TIMEOUT_MS: u64 = 3_600_000;
/// Milliseconds that a CLI has to exit after its last line, unless told.
pub const DONE_GRACE_MS: u64 = 30_000;
/// Where standard error goes, unless told.
pub const DEFAULT_STDERR: Stderr = Stderr::Separate;

/// The payload of `start` for an agent, taken apart.
struct Prepared {
    /// What is left is the payload of an ordinary start.
    payload: Value,
    /// What is kept with its task.
    extension: Extension,
}

/// What the `agent` field of a start holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentStart {
    /// The agent to run; a command or a script runs when left out.
    pub agent: AgentRequest,
}

impl Request for AgentStart {
    const COMMAND: &'static str = "start";
}

/// Checks the payload of a start that is about an agent, before anything is touched.
///
/// # Errors
/// [`Error::CommandInput`], [`Error::Unsupported`]; [`Error::ProviderNotInstalled`].
fn prepare(client: &Client, payload: Map<String, Value>) -> Result<Prepared> {
    let mut asked = Asked::read(client, payload)?;
    let provider = asked.resolved.spec.provider;
    let program = provider.find_for_task(asked.path.as_deref())?;
    let piece = Piece {
        prompt: asked.resolved.prompt.clone(),
        program,
    };
    asked.set_defaults()?;
    let millis = |name: &str| asked.payload.get(name).and_then(Value::as_u64);
    let (timeout_ms, idle_timeout_ms) = (millis("timeout_ms"), millis("idle_timeout_ms"));
    let Asked {
        payload,
        resolved,
        session,
        used,
        path,
    } = asked;
    let spec = resolved.spec;
    let shown = json!({
        "provider": spec.provider,
        "model": spec.model,
        "mode": spec.mode,
    });
    let kept = Kept {
        spec,
        resume: session,
        used,
        history: resolved.history,
        path,
        mcp: resolved.mcp,
        timeout_ms,
        idle_timeout_ms,
    };
    let kept = serde_json::to_value(&kept).map_err(|error| Error::Internal {
        message: format!("an agent's request cannot be written down: {error}"),
    })?;
    let extension = Extension {
        shown,
        kept,
        done: Some(done(provider, resolved.exit_grace_ms)),
        first_work: piece.encode()?,
    };
    Ok(Prepared {
        payload: payload.into(),
        extension,
    })
}

/// What was asked, as far as it does not depend on what is installed.
pub(crate) struct Asked {
    /// The fields that are not about the agent.
    pub payload: Map<String, Value>,
    pub resolved: Resolved,
    /// The session to go on with.
    pub session: Option<String>,
    /// What it had used before.
    used: Option<Usage>,
    /// The PATH that `env` gives, where the program is looked for if the caller's has none.
    pub path: Option<String>,
}

impl Asked {
    pub(crate) fn read(client: &Client, mut payload: Map<String, Value>) -> Result<Self> {
        let mut agent = payload.remove("agent").unwrap_or_default();
        // Whoever says it of the task means the agent.
        if let Some(agent) = agent.as_object_mut() {
            for field in ["sandbox", "allow_unsandboxed", "allowUnsandboxed"] {
                if let Some(value) = payload.remove(field) {
                    agent.entry(field).or_insert(value);
                }
            }
        }
        for field in ["command", "args", "shell", "stdin", "pty"] {
            if payload.get(field).is_some_and(|value| !value.is_null()) {
                let problem = format!("`agent` and `{field}` exclude each other");
                let hint =
                    "Leave one of them out: an agent is its own command, and reads its prompt.";
                return Err(invalid(field, problem, hint));
            }
        }
        let text = json!({ "agent": agent }).to_string();
        let agent = decode::<AgentStart>(text.as_bytes())?.agent;
        let resolved = agent.resolve()?;
        let mut asked = Self {
            path: own_path(&payload),
            payload,
            session: None,
            used: None,
            resolved,
        };
        asked.find_session(client)?;
        Ok(asked)
    }

    /// What is resumed is a task of ours, or a session that only the provider knows.
    fn find_session(&mut self, client: &Client) -> Result<()> {
        let Some(resume) = self.resolved.resume.clone() else {
            return Ok(());
        };
        let provider = self.resolved.spec.provider;
        let task = TaskId::parse(&resume).ok();
        let found = task.map(|id| session_of(client, &id)).transpose();
        let session = match found {
            Ok(Some(Some(session))) => session,
            Ok(Some(None)) => {
                let problem = format!("{resume} is no agent's task");
                let hint = "Name a task that was started with agent, or a session that only the provider knows.";
                return Err(invalid("agent.resume", problem, hint));
            }
            Ok(None) | Err(Error::TaskNotFound { .. }) => {
                check_session(provider, &resume)?;
                self.session = Some(resume);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if session.provider != provider {
            let problem = format!("{resume} is a conversation with {}", session.provider);
            let hint = "Resume it with the same provider, or give what was said as history.";
            return Err(invalid("agent.resume", problem, hint));
        }
        let Some(id) = session.session_id else {
            let problem = format!("{resume} has not told of a session yet");
            let hint = "Wait until it has begun, or leave resume out.";
            return Err(invalid("agent.resume", problem, hint));
        };
        // CLIs look for a session where it was begun.
        if let (None, None, Some(workdir)) = (
            self.payload.get("workdir"),
            self.payload.get("cwd"),
            session.workdir,
        ) {
            self.payload.insert("workdir".to_owned(), json!(workdir));
        }
        self.session = Some(id);
        self.used = Some(session.used);
        Ok(())
    }

    fn set_defaults(&mut self) -> Result<()> {
        let own = std::env::current_exe().map_err(|error| Error::Internal {
            message: format!("this program does not find itself: {error}"),
        })?;
        let own = own
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::Unsupported {
                message: "the path of this program is not UTF-8".to_owned(),
                hint: "Install it where the path is UTF-8.".to_owned(),
            })?;
        let provider = self.resolved.spec.provider;
        let payload = &mut self.payload;
        let aliases = [
            ("timeout_ms", "timeoutMs"),
            ("idle_timeout_ms", "idleTimeoutMs"),
        ];
        for (name, alias) in aliases {
            if let Some(value) = payload.remove(alias) {
                payload.insert(name.to_owned(), value);
            }
        }
        if payload.get("timeout_ms").and_then(Value::as_u64) == Some(0) {
            let hint = format!("Leave it out for {DEFAULT_TIMEOUT_MS}.");
            return Err(invalid("timeout_ms", "it must be at least 1", hint));
        }
        payload.insert("command".to_owned(), own.into());
        payload.insert("args".to_owned(), json!([SUBCOMMAND]));
        let mut default = |name: &str, value: Value| match payload.get(name) {
            None | Some(Value::Null) => {
                payload.insert(name.to_owned(), value);
            }
            Some(_) => {}
        };
        default("stderr", json!(DEFAULT_STDERR));
        default("timeout_ms", DEFAULT_TIMEOUT_MS.into());
        default("name", self.resolved.name.clone().into());
        default("tags", json!([]));
        if let Some(Value::Array(tags)) = payload.get_mut("tags") {
            for tag in ["agent", provider.as_str()] {
                if !tags.iter().any(|known| known == tag) {
                    tags.push(tag.into());
                }
            }
        }
        Ok(())
    }
}

fn own_path(payload: &Map<String, Value>) -> Option<String> {
    let path = payload.get("env")?.get("PATH")?.as_str()?;
    Some(path.to_owned())
}

fn done(provider: Provider, grace_ms: u64) -> Done {
    let patterns = |says: Says| {
        let patterns = provider.done_patterns().iter();
        let patterns = patterns.filter(move |pattern| pattern.says == says);
        let patterns = patterns.map(|pattern| LinePattern {
            stream: match pattern.stream {
                Stream::Stdout => StreamName::STDOUT,
                Stream::Stderr => StreamName::STDERR,
            },
            pattern: pattern.pattern.to_owned(),
            unless: pattern.unless.map(str::to_owned),
            count: (pattern.count > 1).then_some(pattern.count),
        });
        patterns.collect()
    };
    Done {
        lines: patterns(Says::Done),
        revoked_by: patterns(Says::GoesOn),
        grace_ms,
    }
}
