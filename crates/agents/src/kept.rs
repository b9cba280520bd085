//! What is kept with the task of a conversation, and what each of its runs is about.

use std::path::PathBuf;

use background_tasks_core::task::Extension;
use background_tasks_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Usage;
use crate::request::{Said, with_history};
use crate::spec::AgentSpec;

/// What is kept with the task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What was asked of the agent.
    pub spec: AgentSpec,
    /// The session that it began with, where that was another's.
    #[serde(default)]
    pub resume: Option<String>,
    /// What that session had used by then, where a task of ours knows.
    #[serde(default)]
    pub used: Option<Usage>,
    /// What was said elsewhere, before the first prompt of a session.
    #[serde(default)]
    pub history: Vec<Said>,
    /// The PATH that the task's own `env` gives.
    #[serde(default)]
    pub path: Option<String>,
    /// Its MCP servers, where the request held them.
    #[serde(default)]
    pub mcp: Option<Map<String, Value>>,
    /// The limits of a run, which are told when one of them ends it.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub idle_timeout_ms: Option<u64>,
}

impl Kept {
    /// Of a task; `None` when it is no agent's.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a newer build wrote it.
    pub(crate) fn of(extension: &Extension) -> Result<Self> {
        Self::deserialize(&extension.kept).map_err(|error| Error::Unsupported {
            message: format!("what is kept of the agent cannot be read: {error}"),
            hint: "A newer build may have written it: use that, or start a new conversation."
                .to_owned(),
        })
    }

    /// What the CLI is told, to begin a session or to go on with one.
    pub(crate) fn told(&self, prompt: &str, session: Option<&str>) -> String {
        match session {
            None => with_history(&self.history, prompt),
            Some(_) => prompt.to_owned(),
        }
    }
}

/// One prompt, as a run gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// What the agent is told.
    pub prompt: String,
    /// The program that was found when this was said; `None` for what is built in.
    pub program: Option<PathBuf>,
}

impl Piece {
    /// As the bytes that are kept.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::Internal {
            message: format!("a prompt cannot be written down: {error}"),
        })
    }

    /// Reads what [`encode`](Self::encode) has made.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::Internal {
            message: format!("a prompt that was kept cannot be read: {error}"),
        })
    }
}
