//! The providers: one file each, and the one list of them.

mod claude;
mod claude_lines;
mod codex;
mod gemini;
mod goose;
mod mock;
mod opencode;
mod pi;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Category;
use crate::line::Line;
use crate::object::Object;
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
    /// A line that is a JSON object with a `type`, which comes first.
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run);

    /// Whether a plain line of standard output is the provider's own and says no more than this takes.
    fn banner(&mut self, _text: &str, _run: &mut Run) -> bool {
        false
    }

    /// A plain line of either stream, which may tell why the run fails.
    fn diagnose(&mut self, _text: &str, _run: &mut Run) {}

    /// What an exit code alone tells.
    fn exit_code(&self, _code: i32) -> Option<Category> {
        None
    }

    /// Whether a line can only be the first of another run. Asked after the last line of one.
    fn begins_run(&self, line: &Line<'_>) -> bool;
}
