//! The providers: one file each, and the one list of them.

mod claude;
mod codex;
mod gemini;
mod goose;
mod mock;
mod opencode;
mod pi;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::run::Run;

/// Whose CLI runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Claude Code by Anthropic.
    Claude,
    /// Codex by `OpenAI`.
    Codex,
    /// Gemini CLI by Google.
    Gemini,
    /// opencode.
    Opencode,
    /// goose.
    Goose,
    /// pi.
    Pi,
    /// Built in: a script instead of a model.
    Mock,
}

impl Provider {
    /// Every provider, in the order of lists.
    pub const ALL: [Provider; 7] = [
        Self::Claude,
        Self::Codex,
        Self::Gemini,
        Self::Opencode,
        Self::Goose,
        Self::Pi,
        Self::Mock,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Goose => "goose",
            Self::Pi => "pi",
            Self::Mock => "mock",
        }
    }

    /// The one place that knows which file is whose.
    pub(crate) fn cli(self) -> &'static dyn Cli {
        match self {
            Self::Claude => &claude::Claude,
            Self::Codex => &codex::Codex,
            Self::Gemini => &gemini::Gemini,
            Self::Opencode => &opencode::Opencode,
            Self::Goose => &goose::Goose,
            Self::Pi => &pi::Pi,
            Self::Mock => &mock::Mock,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What there is to know about one CLI.
pub(crate) trait Cli: Sync {
    /// Reads what it prints, from the first line of a run.
    fn reader(&self) -> Box<dyn Read>;
}

/// Makes events of one provider's lines. Its state is of one run.
pub(crate) trait Read: Send {
    /// A line that is a JSON object with a `type`.
    fn line(&mut self, line: &Line<'_>, run: &mut Run);

    /// A line that is not: banners, warnings, and for some the only place that tells the reason.
    fn plain(&mut self, _text: &str, _run: &mut Run) {}

    /// Whether a line can only be the first of another run.
    fn begins_run(&self, line: &Line<'_>) -> bool;
}
