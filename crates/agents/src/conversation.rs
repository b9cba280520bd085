//! A conversation as a whole: how it stands, what it has come to, and one more prompt.

use std::path::PathBuf;

use background_tasks_core::op::EXTENSION_FILE;
use background_tasks_core::request::{Request, invalid};
use background_tasks_core::task::{Task, TaskId};
use background_tasks_core::{Client, Deadline, Result, op};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Usage;
use crate::kept::{Kept, Piece};
use crate::provider::Provider;
use crate::request::{Mode, Prompt, check_prompt};
use crate::start::mentions;
use crate::translate::{Conversation, Sum};

/// How a conversation stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentStatus {
    /// Whose CLI runs.
    pub provider: Provider,
    /// The model that answers, as the CLI calls it; what was asked for until it tells.
    pub model: Option<String>,
    /// What it may do.
    pub mode: Mode,
    /// The session as the provider calls it.
    pub session_id: Option<String>,
    /// The present run, or the last; from 1.
    pub run: u32,
    /// How many prompts wait for their runs.
    pub queued: u64,
    /// What all runs used.
    pub usage: Usage,
    /// What they cost, in US dollars, as far as the provider says.
    pub cost_usd: Option<f64>,
    /// The last text that the agent said.
    pub last_text: Option<String>,
    /// Lines that are no event of a known type: noise, and what later versions of the CLI print.
    pub unparsed_lines: u64,
}

/// How the conversation of a task stands; `None` when it is no agent's.
///
/// # Errors
/// [`background_tasks_core::Error::TaskNotFound`]; [`background_tasks_core::Error::Store`]; [`background_tasks_core::Error::Unsupported`] when a newer build wrote it.
pub fn agent_status(client: &Client, id: &TaskId) -> Result<Option<AgentStatus>> {
    let Some(extension) = op::extension(client, id)? else {
        return Ok(None);
    };
    let kept = Kept::of(&extension)?;
    let mut conversation = Conversation::new(kept.clone(), false);
    let observed = op::replay(client, id, &mut conversation, &mut drop)?;
    let sum = conversation.sum();
    let session_id = reported_session(client, observed.task().run, id, &sum);
    Ok(Some(AgentStatus {
        provider: kept.spec.provider,
        model: sum.model.or(kept.spec.model),
        mode: kept.spec.mode,
        session_id,
        run: observed.task().run,
        queued: op::waiting_work(client, id)?,
        usage: sum.usage,
        cost_usd: sum.cost_usd,
        last_text: Some(sum.last_text).filter(|text| !text.is_empty()),
        unparsed_lines: sum.unparsed_lines,
    }))
}

/// Adds to a task how its conversation stands, where it is an agent's.
///
/// # Errors
/// As [`agent_status`].
pub fn describe(client: &Client, task: &mut Task) -> Result<()> {
    if task.agent.is_some()
        && let Some(status) = agent_status(client, &task.id)?
    {
        task.agent = serde_json::to_value(status).ok();
    }
    Ok(())
}

/// The session of another task.
pub(crate) struct Session {
    pub provider: Provider,
    pub session_id: Option<String>,
    /// What its runs have told of it.
    pub reported: Option<String>,
    /// What it has used in all.
    pub used: Usage,
    pub workdir: Option<PathBuf>,
}

/// The session of a task; `None` when it is no agent's.
pub(crate) fn session_of(client: &Client, id: &TaskId) -> Result<Option<Session>> {
    let Some(extension) = op::extension(client, id)? else {
        return Ok(None);
    };
    let kept = Kept::of(&extension)?;
    let mut conversation = Conversation::new(kept.clone(), false);
    let observed = op::replay(client, id, &mut conversation, &mut drop)?;
    let provider = kept.spec.provider;
    // One that began with another's session goes by that one's name.
    let name = kept.resume.clone().unwrap_or_else(|| conversation_name(id));
    let sum = conversation.sum();
    let reported = reported_session(client, observed.task().run, id, &sum);
    let session_id = provider.session_to_resume(reported.as_deref(), &name);
    Ok(Some(Session {
        provider,
        session_id: session_id.map(str::to_owned),
        reported: reported.clone(),
        used: sum.used,
        workdir: observed.task().workdir,
    }))
}

/// The session that was told last. The lines that told it may be gone: then it is the one that the
/// latest run went on with. Before the second run that is an earlier task's.
fn reported_session(client: &Client, run: u32, id: &TaskId, sum: &Sum) -> Option<String> {
    let gone_on_with = || {
        let folder = client.home_path().join("tasks").join(id.as_str());
        std::fs::read_to_string(folder.join(session_name())).ok()
    };
    let kept = (!sum.is_session_told && run > 1).then(gone_on_with);
    kept.flatten().or_else(|| sum.session_id.clone())
}

/// The name of the file with the session that the latest run went on with, in the task's folder.
pub(crate) fn session_name() -> String {
    format!("{EXTENSION_FILE}session")
}

/// What some CLIs call the session of a task.
pub(crate) fn conversation_name(id: &TaskId) -> String {
    format!("bt-{id}")
}

/// Say something more to an agent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendPrompt {
    /// The task.
    pub id: TaskId,
    /// What the agent is told: words, or a file that holds them. For tasks without an agent, left
    /// out.
    #[schemars(extend("examples" = ["Now the tests."]))]
    pub prompt: Prompt,
}

impl Request for SendPrompt {
    const COMMAND: &'static str = "send";

    fn task_id(&self) -> Option<&TaskId> {
        Some(&self.id)
    }
}

/// Whether the payload of `send` says something to an agent.
pub fn is_prompt(payload: &[u8]) -> bool {
    mentions(payload, b"\"prompt\"")
        && serde_json::from_slice::<Value>(payload)
            .is_ok_and(|payload| payload.get("prompt").is_some())
}

/// Says something more to an agent: at once when it is idle, else when it has done what was said
/// before.
///
/// # Errors
/// [`background_tasks_core::Error::TaskNotFound`]; [`background_tasks_core::Error::CommandInput`] when the task is no agent's or the prompt cannot
/// be given; [`background_tasks_core::Error::ProviderNotInstalled`]; otherwise as [`op::give_work`].
pub fn send_prompt(client: &Client, request: &SendPrompt, deadline: Deadline) -> Result<Task> {
    let id = &request.id;
    let Some(extension) = op::extension(client, id)? else {
        let problem = format!("{id} is no agent's task: it takes no prompt");
        let hint = "send {\"id\", \"text\"} writes to a task's standard input, where start said \"stdin\": \"open\".";
        return Err(invalid("prompt", problem, hint));
    };
    let kept = Kept::of(&extension)?;
    let provider = kept.spec.provider;
    let prompt = request.prompt.read("prompt")?;
    check_prompt(provider, "prompt", &prompt)?;
    let program = provider.find_for_task(kept.path.as_deref())?;
    let piece = Piece { prompt, program }.encode()?;
    op::give_work(client, id, &piece, deadline)
}
