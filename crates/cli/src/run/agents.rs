//! What is asked of coding agents.
//!
//! Not inlined: other commands, which are most, would have room on their stacks for it.

use background_tasks_agents::{SendPrompt, logs_text, preview, send_prompt};
use background_tasks_core::op::ArtifactMode;
use background_tasks_core::request::{TaskAnswer, WaitAnswer};
use background_tasks_core::{Client, Error, Result};

use super::{Call, client};
use crate::agent::{self, WithAgent};
use crate::command::Command;
use crate::payload::Payload;
use crate::print;

impl Call {
    /// One of the commands that are about agents only.
    #[inline(never)]
    pub(super) fn agent(self, payload: &Payload) -> Result<u8> {
        match self.command {
            Command::AgentPreview => {
                let answer = preview(&client()?, payload.one()?)?;
                Ok(self.answer(&answer, 0))
            }
            Command::AgentParse => {
                let parsed = agent::parse(&payload.one()?);
                Ok(print::streamed(self.command.name(), parsed))
            }
            Command::AgentInstall => {
                let answer = agent::install(&payload.one()?, self.flags.deadline())?;
                Ok(self.answer(&answer, 0))
            }
            _ => Ok(self.answer(&agent::list(), 0)),
        }
    }

    /// Says something to an agent.
    #[inline(never)]
    pub(super) fn prompt(self, payload: &Payload) -> Result<u8> {
        let client = client()?;
        let request: SendPrompt = payload.one()?;
        let task = send_prompt(&client, &request, self.flags.deadline())?;
        Ok(self.with_agent(&client, TaskAnswer::of(task), 0))
    }

    /// Shows a conversation as text.
    #[inline(never)]
    pub(super) fn conversation(self, payload: &Payload) -> Result<u8> {
        let flags = self.flags;
        let given = [
            ("--follow", flags.follow),
            ("--stream", flags.stream),
            ("--output", flags.output == ArtifactMode::Artifact),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            let problem = format!("{flag} does not go with \"view\": \"text\"");
            let hint =
                "events --follow tells what the agent does as it does it; the text is one answer.";
            return Err(Error::input(problem, hint).with("flag", flag));
        }
        Ok(self.answer(&logs_text(&client()?, &payload.one()?)?, 0))
    }

    /// Checks the host, and which agents it has.
    #[inline(never)]
    pub(super) fn doctor(self) -> Result<u8> {
        Ok(self.answer(&agent::doctor(&client()?), 0))
    }

    /// An answer with how the conversation stands.
    #[inline(never)]
    pub(super) fn with_agent(self, client: &Client, answer: TaskAnswer, code: u8) -> u8 {
        let answer = WithAgent::new(client, answer, |answer| &mut answer.task);
        self.answer(&answer, code)
    }

    /// The same of a wait, which may be about several tasks.
    #[inline(never)]
    pub(super) fn waited_with_agent(self, answer: WaitAnswer, code: u8) -> Result<u8> {
        Ok(self.answer(&WithAgent::of(&client()?, answer), code))
    }
}
