//! What each CLI can do of what may be asked.

use schemars::JsonSchema;
use serde::Serialize;

use crate::request::{AgentRequest, Mode};

/// What a CLI can do. Whatever is `false` is refused before anything starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Supports {
    /// Takes `system_prompt`.
    pub system_prompt: bool,
    /// Goes on with an earlier session.
    pub resume: bool,
    /// Mode `plan`: reads, changes nothing.
    pub plan: bool,
    /// Whether `plan` is kept by the CLI; otherwise the model is only told.
    pub plan_enforced: bool,
    /// Mode `edit`: changes files.
    pub edit: bool,
    /// Mode `full`: everything, without asking.
    pub full: bool,
    /// Takes `model`.
    pub model: bool,
    /// Takes `effort`.
    pub effort: bool,
    /// The efforts that it knows; where there are none listed, any text is passed on.
    pub efforts: &'static [&'static str],
    /// Takes `max_turns`.
    pub max_turns: bool,
    /// Takes `max_budget_usd`.
    pub max_budget_usd: bool,
    /// Takes `mcp`.
    pub mcp: bool,
}

impl Supports {
    /// What all of them can do.
    pub(crate) const LEAST: Self = Self {
        system_prompt: false,
        resume: true,
        plan: true,
        plan_enforced: true,
        edit: true,
        full: true,
        model: true,
        effort: false,
        efforts: &[],
        max_turns: false,
        max_budget_usd: false,
        mcp: false,
    };

    /// Whether it can be run in that mode.
    pub fn mode(&self, mode: Mode) -> bool {
        match mode {
            Mode::Plan => self.plan,
            Mode::Edit => self.edit,
            Mode::Full => self.full,
        }
    }

    /// The first thing that was asked for and cannot be done, with the field that asks for it.
    pub(crate) fn first_missing(&self, request: &AgentRequest) -> Option<Missing> {
        let switches = [
            (
                Missing::SystemPrompt,
                request.system_prompt.is_some(),
                self.system_prompt,
            ),
            (Missing::Resume, request.resume.is_some(), self.resume),
            (Missing::Mode, true, self.mode(request.mode())),
            (Missing::Model, request.model.is_some(), self.model),
            (Missing::Effort, request.effort.is_some(), self.effort),
            (
                Missing::MaxTurns,
                request.max_turns.is_some(),
                self.max_turns,
            ),
            (
                Missing::MaxBudget,
                request.max_budget_usd.is_some(),
                self.max_budget_usd,
            ),
            (Missing::Mcp, request.mcp.is_some(), self.mcp),
        ];
        switches
            .into_iter()
            .find(|(_, is_asked, is_there)| *is_asked && !is_there)
            .map(|(missing, ..)| missing)
    }
}

/// What a CLI may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    SystemPrompt,
    Resume,
    Mode,
    Model,
    Effort,
    MaxTurns,
    MaxBudget,
    Mcp,
}

impl Missing {
    /// The field that asks for it.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::SystemPrompt => "system_prompt",
            Self::Resume => "resume",
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Effort => "effort",
            Self::MaxTurns => "max_turns",
            Self::MaxBudget => "max_budget_usd",
            Self::Mcp => "mcp",
        }
    }

    /// What to do instead, where the provider knows nothing better.
    pub(crate) fn instead(self) -> &'static str {
        match self {
            Self::SystemPrompt => "Put the instructions at the start of the prompt.",
            Self::Resume => "Give the conversation so far as history.",
            Self::Mode => "Choose another mode.",
            Self::Model => "Leave model out.",
            Self::Effort => "Leave effort out, or choose a model that thinks as much as is wanted.",
            Self::MaxTurns => "Leave max_turns out; timeout_ms bounds the run.",
            Self::MaxBudget => {
                "Leave max_budget_usd out; timeout_ms bounds the run, and the account may have a limit."
            }
            Self::Mcp => "Leave mcp out, and set the servers up in the CLI's own configuration.",
        }
    }
}
