//! What is asked of an agent, taken out of the payload of a start and checked.

use background_tasks_core::request::{Request, decode, invalid};
use background_tasks_core::task::TaskId;
use background_tasks_core::{Client, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::conversation::session_of;
use crate::request::{AgentRequest, Resolved, check_session};
use crate::start::{DEFAULT_STDERR, DEFAULT_TIMEOUT_MS, SUBCOMMAND};
use crate::surroundings::Surroundings;

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

/// What was asked, as far as it does not depend on what is installed.
pub(crate) struct Asked {
    /// The fields that are not about the agent.
    pub payload: Map<String, Value>,
    pub resolved: Resolved,
    /// The session to go on with.
    pub session: Option<String>,
    /// Where its program is looked for.
    pub surroundings: Surroundings,
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
            surroundings: surroundings(&payload),
            payload,
            session: None,
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
            Ok(None | Some(None)) | Err(Error::TaskNotFound { .. }) => {
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
        Ok(())
    }

    pub(crate) fn set_defaults(&mut self) -> Result<()> {
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

/// The environment that the agent will have.
fn surroundings(payload: &Map<String, Value>) -> Surroundings {
    let inherits = ["inherit_env", "inheritEnv"]
        .iter()
        .find_map(|name| payload.get(*name))
        .is_none_or(|value| value != &Value::Bool(false));
    let inherited = std::env::vars_os().filter(|_| inherits);
    let own = payload.get("env").and_then(Value::as_object);
    let own = own.into_iter().flatten();
    let own = own.filter_map(|(name, value)| Some((name.into(), value.as_str()?.into())));
    inherited.chain(own).collect()
}
