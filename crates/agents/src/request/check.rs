//! What is refused of an agent's request before anything is touched.

use std::path::Path;

use background_tasks_core::request::{invalid, refuse_nul};
use background_tasks_core::{Error, Result};

use super::{AgentRequest, Mcp, Mode, Prompt};
use crate::provider::Provider;
use crate::supports::Missing;

/// The kernel takes no longer argument (Linux; its end counts too), whatever there is in all.
const LONGEST_ARGUMENT: usize = (128 << 10) - 1;
/// What the CLIs' options and quotes add to a value in one argument.
const ROOM: usize = 256;

impl AgentRequest {
    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// [`Error::CommandInput`] that names the field; [`Error::Unsupported`] where the provider
    /// cannot do what is asked.
    pub fn check(&self) -> Result<()> {
        self.check_texts()?;
        self.check_amounts()?;
        self.check_conversation()?;
        self.check_provider()?;
        self.check_confinement()
    }

    fn check_texts(&self) -> Result<()> {
        if let Prompt::File(file) = &self.prompt {
            check_path("agent.prompt.file", &file.file)?;
        }
        if let Some(Mcp::File(path)) = &self.mcp {
            check_path("agent.mcp", path)?;
        }
        let options = [
            ("agent.model", &self.model),
            ("agent.effort", &self.effort),
            ("agent.resume", &self.resume),
        ];
        for (field, text) in options {
            let Some(text) = text else { continue };
            if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
                let problem = format!("{text:?} cannot be one");
                return Err(invalid(
                    field,
                    problem,
                    "Leave it out, or give one that exists.",
                ));
            }
            check_argument(field, text, text.len())?;
        }
        if let Some(text) = &self.system_prompt {
            if text.trim().is_empty() {
                let hint = "Leave it out for the CLI's own.";
                return Err(invalid("agent.system_prompt", "it is empty", hint));
            }
            let length = self.provider.cli().system_prompt_length(text);
            check_argument("agent.system_prompt", text, length)?;
        }
        for word in self.args.iter().flatten() {
            check_argument("agent.args", word, word.len())?;
        }
        Ok(())
    }

    fn check_amounts(&self) -> Result<()> {
        if self
            .max_turns
            .is_some_and(|turns| turns < Self::LEAST_TURNS)
        {
            let hint = "Leave it out for the CLI's own limit.";
            return Err(invalid("agent.max_turns", "it must be at least 1", hint));
        }
        if self
            .max_budget_usd
            .is_some_and(|usd| !usd.is_finite() || usd <= 0.0)
        {
            let hint = "Leave it out for no limit.";
            return Err(invalid(
                "agent.max_budget_usd",
                "it must be more than 0",
                hint,
            ));
        }
        Ok(())
    }

    fn check_conversation(&self) -> Result<()> {
        let has_history = self.history.as_ref().is_some_and(|said| !said.is_empty());
        if has_history && self.resume.is_some() {
            return Err(invalid(
                "agent.history",
                "the session that is resumed has its own",
                "Leave out history, or resume.",
            ));
        }
        Ok(())
    }

    /// What is asked of a CLI and ignored by it would be a lie.
    fn check_provider(&self) -> Result<()> {
        let provider = self.provider;
        let cli = provider.cli();
        let supports = cli.supports();
        if let Some(missing) = supports.first_missing(self) {
            let field = missing.field();
            let message = match missing {
                Missing::Mode => format!(
                    "agent.mode: {provider} cannot be run in mode {}",
                    self.mode().as_str()
                ),
                _ => format!("agent.{field}: {provider} has nothing for {field}"),
            };
            let hint = cli.instead(missing).unwrap_or(missing.instead());
            return Err(unsupported(message, hint));
        }
        if let Some(effort) = &self.effort
            && !supports.efforts.is_empty()
            && !supports.efforts.contains(&effort.as_str())
        {
            return Err(unsupported(
                format!("agent.effort: {provider} knows no effort {effort:?}"),
                format!("It knows {}.", supports.efforts.join(", ")),
            ));
        }
        if let Some((problem, hint)) = self.model.as_deref().and_then(|it| cli.refuses_model(it)) {
            return Err(invalid("agent.model", problem, hint));
        }
        Ok(())
    }

    fn check_confinement(&self) -> Result<()> {
        if self.sandbox == Some(true) {
            return Err(unsupported(
                "agent.sandbox: this build cannot confine an agent",
                "Use mode plan or edit; or run all of it in a container, and say so with \"allow_unsandboxed\": true.",
            ));
        }
        let is_allowed = self.allow_unsandboxed == Some(true);
        if self.mode() == Mode::Full && !is_allowed {
            return Err(invalid(
                "agent.mode",
                "in mode full the agent may do everything that its user may, and nothing confines it",
                "Use mode plan or edit, or accept that with \"allow_unsandboxed\": true.",
            ));
        }
        let loose = self.provider.cli().full_options();
        let option = |word: &String| word.split('=').next().unwrap_or_default().to_owned();
        let found = self.args.iter().flatten().map(option);
        if let Some(word) = found
            .into_iter()
            .find(|word| loose.contains(&word.as_str()))
            && self.mode() != Mode::Full
        {
            return Err(invalid(
                "agent.args",
                format!("{word} takes away what mode {} keeps", self.mode().as_str()),
                "Leave it out, or ask for mode full.",
            ));
        }
        Ok(())
    }
}

fn unsupported(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Unsupported {
        message: message.into(),
        hint: hint.into(),
    }
}

fn check_path(field: &str, path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Err(invalid(field, "a path may not be empty", "Name a file."));
    }
    refuse_nul(field, &path.to_string_lossy())
}

fn check_argument(field: &str, text: &str, length: usize) -> Result<()> {
    refuse_nul(field, text)?;
    if length + ROOM > LONGEST_ARGUMENT {
        let problem = format!("it is too long for an argument of a program ({length} bytes)");
        let hint = "Put long texts into the prompt or into a file.";
        return Err(invalid(field, problem, hint));
    }
    Ok(())
}

/// Refuses a session id that a provider could not have given; it becomes an argument.
///
/// # Errors
/// [`Error::CommandInput`] that names `agent.resume`.
pub fn check_session(provider: Provider, session: &str) -> Result<()> {
    if session.is_empty() || session.starts_with('-') || session.contains(char::is_control) {
        let problem = format!("{session:?} is no session of {provider}");
        return Err(invalid(
            "agent.resume",
            problem,
            "Leave resume out for a new conversation.",
        ));
    }
    Ok(())
}
