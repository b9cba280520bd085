//! `skill`: what a coding agent needs to know, as a file that agents are given.

use schemars::JsonSchema;
use serde::Serialize;

const TEXT: &str = include_str!("../../skill/SKILL.md");

/// What `skill` answers to a program.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Skill {
    /// Of the skill.
    name: &'static str,
    /// What the file is called where agents look for it.
    file: &'static str,
    /// The file.
    text: &'static str,
}

impl Skill {
    pub(crate) fn of_this_build() -> Self {
        Self {
            name: "background-tasks",
            file: "SKILL.md",
            text: TEXT,
        }
    }

    /// The file itself.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }
}
