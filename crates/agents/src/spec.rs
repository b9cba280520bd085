//! What is kept of an agent's request with its task.

use std::path::PathBuf;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::provider::Provider;
use crate::request::Mode;

/// Everything that each turn of the conversation needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// Of this format.
    pub version: Version,
    /// Whose CLI runs.
    pub provider: Provider,
    /// Which model; the CLI's own choice when there is none.
    #[serde(default)]
    pub model: Option<String>,
    /// What the model is told before everything else.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// What it may do.
    pub mode: Mode,
    /// How much it is to think.
    #[serde(default)]
    pub effort: Option<String>,
    /// So many turns at most.
    #[serde(default)]
    pub max_turns: Option<u32>,
    /// So many US dollars at most.
    #[serde(default)]
    pub max_budget_usd: Option<f64>,
    /// Where its MCP servers are described.
    #[serde(default)]
    pub mcp: Option<McpSource>,
    /// Passed through.
    #[serde(default)]
    pub args: Vec<String>,
    /// Whether the caller knows that nothing confines it.
    #[serde(default)]
    pub allow_unsandboxed: bool,
}

/// Where MCP servers are described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum McpSource {
    /// In a file of the caller's; absolute.
    File(PathBuf),
    /// In a file of the task, which was written at its start because the request held the text.
    OfTask,
}

/// The version of the format; a newer one is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Version(u32);

impl Version {
    /// The one that is written.
    pub const CURRENT: Self = Self(1);
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = u32::deserialize(deserializer)?;
        if version == 0 || version > Self::CURRENT.0 {
            return Err(D::Error::custom(format!(
                "the agent's specification has version {version}; this program reads up to {}",
                Self::CURRENT.0
            )));
        }
        Ok(Self(version))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<AgentSpec, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let spec = AgentSpec {
            version: Version::CURRENT,
            provider: Provider::Claude,
            model: Some("opus".to_owned()),
            system_prompt: Some("Be brief.".to_owned()),
            mode: Mode::Full,
            effort: Some("high".to_owned()),
            max_turns: Some(3),
            max_budget_usd: Some(0.5),
            mcp: Some(McpSource::File("/etc/mcp.json".into())),
            args: vec!["--debug".to_owned()],
            allow_unsandboxed: true,
        };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<AgentSpec>(&text).unwrap(), spec);
    }

    #[test]
    fn fields_of_later_builds_are_passed_over_and_later_formats_are_not_read() {
        let least = read(json!({ "version": 1, "provider": "pi", "mode": "plan", "mood": "good" }));
        assert_eq!(least.unwrap().provider, Provider::Pi);
        let later = read(json!({ "version": 2, "provider": "pi", "mode": "plan" }));
        let told = later.unwrap_err().to_string();
        assert!(told.contains("version 2"), "{told}");
    }
}
