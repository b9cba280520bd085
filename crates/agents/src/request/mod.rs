//! `agent` of `start`: which agent, which prompt.

mod check;
mod prompt;

use std::path::PathBuf;

use background_tasks_core::request::{invalid, objects_or_null};
use background_tasks_core::task::WITHOUT_NUL;
use background_tasks_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provider::Provider;
use crate::spec::{AgentSpec, McpSource, Version};
use crate::start::DONE_GRACE_MS;

pub use check::check_session;
pub(crate) use prompt::with_history;
pub use prompt::{Mcp, Prompt, PromptFile, check_prompt, name_of};

/// Of what stands behind an option: it could be taken for one, and no name holds control characters.
const OPTION_VALUE: &str = r"^[^-\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// The agent to run instead of a command.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRequest {
    /// Whose CLI runs.
    pub provider: Provider,
    /// What it is told: text, or a file that holds it.
    #[schemars(extend("examples" = ["Find out why the build fails."]))]
    pub prompt: Prompt,
    /// Which model, as the CLI calls it; the CLI's own choice when left out.
    #[schemars(regex(pattern = OPTION_VALUE), extend("examples" = ["sonnet"]))]
    pub model: Option<String>,
    /// What the model is told before everything else; the CLI's own words when left out.
    #[serde(alias = "systemPrompt")]
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["Answer in one sentence."]))]
    pub system_prompt: Option<String>,
    /// What it may do.
    #[schemars(extend("default" = Mode::default()))]
    pub mode: Option<Mode>,
    /// The conversation to go on with: the id of a task, or the provider's own session id. A new one
    /// when left out.
    #[schemars(regex(pattern = OPTION_VALUE), extend("examples" = ["bg_demo"]))]
    pub resume: Option<String>,
    /// What was said before, elsewhere; put before the first prompt.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schemars(extend("default" = []))]
    pub history: Option<Vec<Said>>,
    /// How much the model is to think, in the CLI's words; its own choice when left out.
    #[schemars(regex(pattern = OPTION_VALUE), extend("examples" = ["high"]))]
    pub effort: Option<String>,
    /// So many turns of the model at most; the CLI's own limit when left out.
    #[serde(alias = "maxTurns")]
    #[schemars(range(min = AgentRequest::LEAST_TURNS), extend("examples" = [20]))]
    pub max_turns: Option<u32>,
    /// So many US dollars at most; no limit when left out.
    #[serde(alias = "maxBudgetUsd")]
    #[schemars(range(min = 0.0, max = f64::MAX), extend("exclusiveMinimum" = 0), extend("examples" = [2.5]))]
    pub max_budget_usd: Option<f64>,
    /// Its MCP servers: a file that describes them as the CLI wants it, or the same as an object,
    /// which goes into a file of the task that only its owner reads. Those of the CLI's own
    /// configuration when left out.
    #[schemars(extend("examples" = [{ "mcpServers": { "docs": { "command": "docs-server" } } }]))]
    pub mcp: Option<Mcp>,
    /// More arguments for the CLI, passed through. Everyone on the machine can read them.
    #[schemars(inner(regex(pattern = WITHOUT_NUL)), extend("default" = []), extend("examples" = [["--add-dir", "../lib"]]))]
    pub args: Option<Vec<String>>,
    /// Milliseconds that the CLI may stay after its last line; then it is stopped, which is no failure.
    #[serde(alias = "exitGraceMs")]
    #[schemars(extend("default" = DONE_GRACE_MS))]
    pub exit_grace_ms: Option<u64>,
    /// Whether it is to be confined by this program, which cannot do that.
    #[schemars(extend("default" = false))]
    pub sandbox: Option<bool>,
    /// With mode `full`, which needs it: whoever starts it knows that nothing confines it.
    #[serde(alias = "allowUnsandboxed")]
    #[schemars(extend("default" = false))]
    pub allow_unsandboxed: Option<bool>,
}

/// What an agent may do without asking; nobody is there to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Read, and change nothing.
    Plan,
    /// Change files; run commands only where the CLI confines them.
    #[default]
    Edit,
    /// Everything that its user may do.
    Full,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Edit => "edit",
            Self::Full => "full",
        }
    }
}

/// One thing that was said in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// By whom.
    pub role: Role,
    /// The words.
    #[schemars(extend("examples" = ["What does this repository do?"]))]
    pub content: String,
}

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Whoever gives the prompts.
    User,
    /// The agent.
    Assistant,
    /// Whoever set the conversation up.
    System,
}

/// A request that was checked, split into what is kept and what is used once.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What is kept with the task.
    pub spec: AgentSpec,
    /// The first prompt.
    pub prompt: String,
    /// What was said elsewhere before it.
    pub history: Vec<Said>,
    /// Milliseconds that the CLI may stay after its last line.
    pub exit_grace_ms: u64,
    /// A name for the task, of the prompt's first words.
    pub name: String,
    /// The id of a task, or a session id.
    pub resume: Option<String>,
    /// What goes into the task's own file ([`McpSource::OfTask`]).
    pub mcp: Option<Map<String, Value>>,
}

impl AgentRequest {
    const LEAST_TURNS: u32 = 1;

    /// What it may do.
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or_default()
    }

    /// Checks the request, reads its files, and makes its paths absolute.
    ///
    /// # Errors
    /// As [`AgentRequest::check`], and [`Error::CommandInput`] when a file cannot be used.
    pub fn resolve(self) -> Result<Resolved> {
        self.check()?;
        let mode = self.mode();
        let text = self.prompt.read("agent.prompt")?;
        check_prompt(self.provider, "agent.prompt", &text)?;
        let history = self.history.unwrap_or_default();
        check_prompt(
            self.provider,
            "agent.history",
            &with_history(&history, &text),
        )?;
        let (source, mcp) = match self.mcp {
            None => (None, None),
            Some(Mcp::Object(object)) => (Some(McpSource::OfTask), Some(object)),
            Some(Mcp::File(path)) => (Some(McpSource::File(absolute(&path)?)), None),
        };
        let spec = AgentSpec {
            version: Version::CURRENT,
            provider: self.provider,
            model: self.model,
            system_prompt: self.system_prompt,
            mode,
            effort: self.effort,
            max_turns: self.max_turns,
            max_budget_usd: self.max_budget_usd,
            mcp: source,
            args: self.args.unwrap_or_default(),
            allow_unsandboxed: self.allow_unsandboxed.unwrap_or(false),
        };
        let name = name_of(&text);
        Ok(Resolved {
            exit_grace_ms: self.exit_grace_ms.unwrap_or(DONE_GRACE_MS),
            spec,
            prompt: text,
            history,
            name,
            resume: self.resume,
            mcp,
        })
    }
}

/// The CLI may be given another working directory than the caller has.
fn absolute(path: &std::path::Path) -> Result<PathBuf> {
    let unusable = |problem: String| -> Error {
        let hint = "Name a file that exists, or give the configuration as an object.";
        invalid("agent.mcp", problem, hint)
    };
    let path = std::path::absolute(path).map_err(|error| unusable(error.to_string()))?;
    let metadata = std::fs::metadata(&path);
    let metadata = metadata.map_err(|error| unusable(format!("{}: {error}", path.display())))?;
    if metadata.is_dir() {
        return Err(unusable(format!("{} is a folder", path.display())));
    }
    Ok(path)
}
