//! The providers: one file each, and the one list of them.

mod claude;
mod claude_lines;
mod codex;
mod gemini;
mod goose;
mod goose_names;
mod mock;
mod opencode;
mod opencode_log;
mod pi;

use std::fmt;

use background_tasks_core::request::MAX_PAYLOAD_BYTES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Category;
use crate::install::Installer;
use crate::invocation::{DonePattern, Invocation, Program, Turn};
use crate::line::Line;
use crate::login::LoginTraces;
use crate::object::Object;
use crate::run::Run;
use crate::supports::{Missing, Supports};

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

    /// What its CLI can do.
    pub fn supports(self) -> Supports {
        self.cli().supports()
    }

    /// What is executed for a turn.
    pub fn invocation(self, turn: &Turn<'_>) -> Invocation {
        self.cli().invocation(turn)
    }

    /// The lines by which its run is known to be over before its process is gone.
    pub fn done_patterns(self) -> &'static [DonePattern] {
        self.cli().done_patterns()
    }

    /// What [`Turn::session`] is to be, to go on with a conversation of this program: the session
    /// that was reported, or for some the name that the conversation was given.
    pub fn session_to_resume<'a>(
        self,
        reported: Option<&'a str>,
        conversation: &'a str,
    ) -> Option<&'a str> {
        let is_named = self.cli().resumes_by_name();
        reported.map(|session| if is_named { conversation } else { session })
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

    /// What is executed; looked up on the PATH, but for what is built in.
    fn program(&self) -> Program;

    /// What it can do.
    fn supports(&self) -> Supports;

    /// What is executed for a turn. Whatever [`Cli::supports`] denies is not asked for.
    fn invocation(&self, turn: &Turn<'_>) -> Invocation;

    /// The lines by which a run is known to be over. They decide that a process which stays is
    /// stopped: one that is taken for the end by mistake is worse than one that is missed.
    fn done_patterns(&self) -> &'static [DonePattern];

    /// Where it is seen that somebody has logged in.
    fn login(&self) -> LoginTraces;

    /// How it is installed; `None` for what is built in.
    fn installer(&self) -> Option<Installer>;

    /// Options that take away what the modes other than `full` keep.
    fn full_options(&self) -> &'static [&'static str] {
        &[]
    }

    /// What to do instead of something it lacks, where that is particular.
    fn instead(&self, _missing: Missing) -> Option<&'static str> {
        None
    }

    /// Why it has no such model, and what to do: known only where names have a form.
    fn refuses_model(&self, _model: &str) -> Option<(String, &'static str)> {
        None
    }

    /// So many bytes it reads of a prompt.
    fn longest_prompt(&self) -> usize {
        MAX_PAYLOAD_BYTES
    }

    /// So many bytes the argument with this system prompt has.
    fn system_prompt_length(&self, text: &str) -> usize {
        text.len()
    }

    /// Whether it finds a session again by the name that it was given at first.
    fn resumes_by_name(&self) -> bool {
        false
    }
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
