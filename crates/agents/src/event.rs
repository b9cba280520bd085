//! What a run of an agent says, in the same words for every provider.

use std::ops::Add;

use background_tasks_core::task::SignalNumber;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that happened in a run. The names are the `type` of frames; whoever makes the frame
/// adds the number of the run to its `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum AgentEvent {
    /// The provider named its session; what is resumed later. The last one counts.
    #[serde(rename = "agent.session")]
    Session {
        /// The provider's own id.
        session_id: String,
    },
    /// The agent says something.
    #[serde(rename = "agent.text")]
    Text {
        /// The words.
        text: String,
        /// Whether they continue the text before; otherwise they are a whole block.
        delta: bool,
    },
    /// The agent thinks aloud.
    #[serde(rename = "agent.thinking")]
    Thinking {
        /// The words.
        text: String,
    },
    /// A tool begins.
    #[serde(rename = "agent.tool_start")]
    ToolStart {
        /// Pairs it with what follows.
        tool_id: String,
        /// `read`, `write`, `edit`, `glob`, `grep`, `shell`, `web_search`, or the provider's own.
        name: String,
        /// What the provider calls it.
        raw_name: String,
        /// What it was given; `file_path`, `pattern` and `command` are added where they apply.
        input: Map<String, Value>,
        /// The tool call whose subagent this belongs to.
        #[serde(
            rename = "parent_tool_use_id",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        parent_tool_id: Option<String>,
    },
    /// A tool that is not done yet printed something.
    #[serde(rename = "agent.tool_delta")]
    ToolDelta {
        /// Which one.
        tool_id: String,
        /// What is new.
        text: String,
    },
    /// A tool is done.
    #[serde(rename = "agent.tool_end")]
    ToolEnd {
        /// Which one.
        tool_id: String,
        /// What it answered.
        output: String,
        /// Whether it failed.
        is_error: bool,
        /// Set when the provider never said so: the run ended before the tool did.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        synthetic: bool,
    },
    /// The run is over, and how is known. One of this and `agent.crashed` comes last.
    #[serde(rename = "agent.end")]
    End {
        /// What went wrong; absent after a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<AgentError>,
        /// What the run used.
        usage: Usage,
        /// What it cost, in US dollars, as far as the provider says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<f64>,
        /// Set when the provider printed no end of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        synthetic: bool,
    },
    /// The process is gone and never said how the run ended.
    #[serde(rename = "agent.crashed")]
    Crashed {
        /// What became of it.
        message: String,
        /// Its exit code, if it exited.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<SignalNumber>,
        /// The last 4 KiB of what it printed that was no event.
        output: String,
    },
}

impl AgentEvent {
    /// Every type name, for discovery.
    pub const TYPES: [&'static str; 8] = [
        "agent.session",
        "agent.text",
        "agent.thinking",
        "agent.tool_start",
        "agent.tool_delta",
        "agent.tool_end",
        "agent.end",
        "agent.crashed",
    ];

    /// The `type` of its frame.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Session { .. } => "agent.session",
            Self::Text { .. } => "agent.text",
            Self::Thinking { .. } => "agent.thinking",
            Self::ToolStart { .. } => "agent.tool_start",
            Self::ToolDelta { .. } => "agent.tool_delta",
            Self::ToolEnd { .. } => "agent.tool_end",
            Self::End { .. } => "agent.end",
            Self::Crashed { .. } => "agent.crashed",
        }
    }

    /// The `data` of its frame.
    pub fn into_data(self, run: u32) -> Map<String, Value> {
        let mut data = match serde_json::to_value(self) {
            Ok(Value::Object(mut whole)) => match whole.remove("data") {
                Some(Value::Object(data)) => data,
                _ => Map::new(),
            },
            _ => Map::new(),
        };
        data.insert("run".into(), run.into());
        data
    }

    /// Whether nothing follows it in its run.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::End { .. } | Self::Crashed { .. })
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentError {
    /// The provider's own words, where it had any.
    pub message: String,
    /// What kind of trouble it is.
    pub category: Category,
    /// What to do about it.
    pub hint: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The key or the login is missing, wrong or expired.
    Auth,
    /// There is no money left.
    Balance,
    /// Too much was asked for in too short a time; it passes.
    RateLimit,
    /// There is no such model, or not for this account.
    ModelUnavailable,
    /// The provider could not be reached.
    Network,
    /// The run needed what its mode does not allow.
    Permission,
    /// A limit of the run itself: turns, budget, time, the length of the context.
    Limit,
    /// It was asked to stop.
    Stopped,
    /// None of these.
    Unknown,
}

/// Tokens; `null` where the provider does not count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Read, as the provider counts it: claude counts those from a cache apart, codex and gemini here too.
    pub input: Option<u64>,
    /// Written.
    pub output: Option<u64>,
    /// Read from a cache.
    pub cache_read: Option<u64>,
    /// Written into a cache.
    pub cache_write: Option<u64>,
    /// Spent on thinking.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// What was used since; nothing if a count has fallen, so that these are not of one sum.
    pub fn since(self, before: Self) -> Option<Self> {
        let each = |now: Option<u64>, then: Option<u64>| match now {
            Some(now) => now.checked_sub(then.unwrap_or(0)).map(Some),
            None => Some(None),
        };
        Some(Self {
            input: each(self.input, before.input)?,
            output: each(self.output, before.output)?,
            cache_read: each(self.cache_read, before.cache_read)?,
            cache_write: each(self.cache_write, before.cache_write)?,
            reasoning: each(self.reasoning, before.reasoning)?,
        })
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let each = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            input: each(self.input, other.input),
            output: each(self.output, other.output),
            cache_read: each(self.cache_read, other.cache_read),
            cache_write: each(self.cache_write, other.cache_write),
            reasoning: each(self.reasoning, other.reasoning),
        }
    }
}
