//! `agent command`: what `start` would execute, without executing it.

use std::path::{Path, PathBuf};

use background_tasks_core::request::{Request, Start, decode};
use background_tasks_core::{Client, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::invocation::{Program, Stdin, Turn};
use crate::provider::Provider;
use crate::request::{AgentRequest, with_history};
use crate::spec::McpSource;
use crate::start::Asked;
use crate::turn::mcp_name;

/// The payload of a start that is about an agent, or what its `agent` holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CommandAsked(#[schemars(with = "CommandShape")] Map<String, Value>);

/// For the schema: what is not about the agent is as `start` takes it.
#[derive(JsonSchema)]
#[schemars(rename = "AgentCommandRequest")]
#[allow(dead_code, reason = "a shape for the schema")]
struct CommandShape {
    /// The agent.
    agent: AgentRequest,
    /// Where it would run; the caller's working directory when left out.
    #[schemars(extend("examples" = ["/home/ada/shop"]))]
    workdir: Option<PathBuf>,
}

impl Request for CommandAsked {
    const COMMAND: &'static str = "agent command";
}

/// What would be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommandAnswer {
    /// Whose CLI it is.
    pub provider: Provider,
    /// Whether it is there.
    pub installed: bool,
    /// Where; the name that is looked up when it is not.
    pub program: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The variables that are set above what it inherits.
    pub env: Vec<String>,
    /// What it reads; `null` for nothing.
    pub stdin: Option<String>,
    /// Where it runs.
    pub workdir: PathBuf,
}

/// Works out what `start` would execute.
///
/// # Errors
/// [`Error::CommandInput`] and [`Error::Unsupported`], as `start` would.
pub fn preview(client: &Client, asked: CommandAsked) -> Result<CommandAnswer> {
    let CommandAsked(mut payload) = asked;
    if payload.contains_key("provider") && !payload.contains_key("agent") {
        let agent = std::mem::take(&mut payload);
        payload.insert("agent".to_owned(), agent.into());
    }
    let asked = Asked::read(client, payload)?;
    check_rest(&asked.payload)?;
    let spec = &asked.resolved.spec;
    let provider = spec.provider;
    let workdir = ["workdir", "cwd"]
        .iter()
        .find_map(|name| asked.payload.get(*name)?.as_str());
    let workdir = std::path::absolute(workdir.unwrap_or(".")).map_err(|error| Error::Internal {
        message: format!("the working directory cannot be used: {error}"),
    })?;
    let id = asked
        .payload
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or("ID");
    let name = format!("bt-{id}");
    let mcp_file = match &spec.mcp {
        Some(McpSource::File(path)) => Some(path.clone()),
        Some(McpSource::OfTask) => Some(client.home_path().join("tasks").join(id).join(mcp_name())),
        None => None,
    };
    let prompt = match asked.session {
        None => with_history(&asked.resolved.history, &asked.resolved.prompt),
        Some(_) => asked.resolved.prompt.clone(),
    };
    let turn = Turn {
        spec,
        prompt: &prompt,
        session: asked.session.as_deref(),
        conversation: &name,
        mcp_file: mcp_file.as_deref(),
        workdir: &workdir,
        is_root: nix::unistd::geteuid().is_root(),
    };
    let invocation = provider.invocation(&turn);
    let found = provider.find_for_task(asked.path.as_deref());
    let installed = found.is_ok();
    let program = match (&invocation.program, found.ok().flatten()) {
        (_, Some(path)) => path,
        (Program::Named(name), None) => PathBuf::from(name),
        (Program::Itself, None) => std::env::current_exe().unwrap_or_default(),
    };
    let mut argv = vec![text(&program)];
    argv.extend(invocation.args);
    Ok(CommandAnswer {
        provider,
        installed,
        program,
        argv,
        env: invocation
            .env
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        stdin: match invocation.stdin {
            Stdin::Null => None,
            Stdin::Text(text) => Some(text),
        },
        workdir,
    })
}

/// Refuses what `start` would refuse beside the agent.
fn check_rest(rest: &Map<String, Value>) -> Result<()> {
    let mut rest = rest.clone();
    rest.insert("command".to_owned(), "/bin/true".into());
    decode::<Start>(Value::Object(rest).to_string().as_bytes()).map(drop)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
