//! `logs` with `"view": "text"`: a conversation as a person would read it.

use background_tasks_core::request::{Logs, Request, invalid};
use background_tasks_core::task::TaskId;
use background_tasks_core::{Client, Result, op};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::AgentError;
use crate::kept::{Kept, Piece};
use crate::start::mentions;
use crate::translate::Conversation;

/// Of what a tool answered so many lines are shown.
const OUTPUT_LINES: usize = 20;

/// Show a conversation as a person would read it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsText {
    /// The task.
    pub id: TaskId,
    /// As text.
    pub view: TextView,
    /// So many lines from the end.
    #[schemars(extend("default" = Logs::DEFAULT_LINES))]
    pub lines: Option<usize>,
}

/// The view that only conversations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextView {
    /// What was said and done, without the format of the CLI's lines.
    Text,
}

impl Request for LogsText {
    const COMMAND: &'static str = "logs";

    fn task_id(&self) -> Option<&TaskId> {
        Some(&self.id)
    }
}

/// A conversation as lines of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TextAnswer {
    /// The task.
    pub task_id: TaskId,
    /// How many lines there are.
    pub total_lines: usize,
    /// How many are shown.
    pub shown_lines: usize,
    /// Whether there are more.
    pub has_more: bool,
    /// The last ones.
    pub lines: Vec<String>,
    /// Whether the agent is at work.
    pub running: bool,
}

/// Whether the payload of `logs` asks for a conversation as text.
pub fn asks_for_text(payload: &[u8]) -> bool {
    mentions(payload, b"\"text\"")
        && serde_json::from_slice::<Value>(payload)
            .is_ok_and(|payload| payload.get("view").is_some_and(|view| view == "text"))
}

/// Shows a conversation as text.
///
/// # Errors
/// [`background_tasks_core::Error::TaskNotFound`]; [`background_tasks_core::Error::CommandInput`]
/// when the task is no agent's; [`background_tasks_core::Error::Store`].
pub fn logs_text(client: &Client, request: &LogsText) -> Result<TextAnswer> {
    let id = &request.id;
    let Some(extension) = op::extension(client, id)? else {
        let problem = format!("{id} is no agent's task");
        let hint = "Use the views clean or raw.";
        return Err(invalid("view", problem, hint));
    };
    let mut reader = Reader {
        client,
        id,
        conversation: Conversation::new(Kept::of(&extension)?, false),
        page: Page::default(),
    };
    let observed = reader.read()?;
    let mut lines = reader.page.lines;
    let total_lines = lines.len();
    let shown = request
        .lines
        .unwrap_or(Logs::DEFAULT_LINES)
        .min(total_lines);
    lines.drain(..total_lines - shown);
    Ok(TextAnswer {
        task_id: id.clone(),
        total_lines,
        shown_lines: shown,
        has_more: shown < total_lines,
        lines,
        running: !observed.status().is_terminal(),
    })
}

struct Reader<'a> {
    client: &'a Client,
    id: &'a TaskId,
    conversation: Conversation,
    page: Page,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<background_tasks_core::store::Observed> {
        let (client, id) = (self.client, self.id);
        let page = &mut self.page;
        let mut begun = Begun {
            conversation: &mut self.conversation,
            runs: Vec::new(),
        };
        // The lines of a run come behind what it was told, which is known by its number alone.
        let mut run = 0;
        let mut told = Vec::new();
        let observed = op::replay(client, id, &mut begun, &mut |one| told.push(one))?;
        for one in told {
            let Value::Object(data) = one.data else {
                continue;
            };
            let number = data.get("run").and_then(Value::as_u64).unwrap_or_default();
            if number != run {
                run = number;
                let work = begun.runs.iter().find(|it| u64::from(it.number) == run);
                let piece = work.and_then(|run| op::piece_of_work(client, id, run.work).ok());
                page.prompt(run, piece.and_then(|piece| Piece::decode(&piece).ok()));
            }
            page.event(one.r#type, &data);
        }
        page.end_text();
        Ok(observed)
    }
}

/// The conversation, and which runs have begun.
struct Begun<'a> {
    conversation: &'a mut Conversation,
    runs: Vec<background_tasks_core::event::Run>,
}

impl background_tasks_core::event::Translate for Begun<'_> {
    fn begin(&mut self, run: background_tasks_core::event::Run) {
        self.runs.push(run);
        self.conversation.begin(run);
    }
    fn line(
        &mut self,
        stream: background_tasks_core::event::StreamName,
        line: &str,
        told: &mut Vec<background_tasks_core::event::Told>,
    ) {
        self.conversation.line(stream, line, told);
    }
    fn end(
        &mut self,
        end: &background_tasks_core::event::RunEnd,
        told: &mut Vec<background_tasks_core::event::Told>,
    ) {
        self.conversation.end(end, told);
    }
}

/// Lines in the making.
#[derive(Default)]
struct Page {
    lines: Vec<String>,
    /// A text that goes on.
    text: String,
}

impl Page {
    fn prompt(&mut self, run: u64, piece: Option<Piece>) {
        self.end_text();
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        let prompt = piece.map_or_else(|| format!("(run {run})"), |piece| piece.prompt);
        self.lines
            .extend(prompt.lines().map(|line| format!("> {line}")));
        self.lines.push(String::new());
    }

    fn event(&mut self, name: &str, data: &Map<String, Value>) {
        let text = |field: &str| data.get(field).and_then(Value::as_str).unwrap_or_default();
        match name {
            "agent.text" => {
                if data.get("delta") != Some(&Value::Bool(true)) {
                    self.end_text();
                }
                self.text.push_str(text("text"));
            }
            "agent.tool_start" => {
                self.end_text();
                let subject = subject(data.get("input"));
                let line = format!("[{}] {subject}", text("name"));
                self.lines.push(line.trim_end().to_owned());
            }
            "agent.tool_end" => {
                self.end_text();
                let is_error = data.get("is_error") == Some(&Value::Bool(true));
                self.output(text("output"), is_error);
            }
            "agent.end" => {
                self.end_text();
                let error = data.get("error").cloned();
                let error = error.and_then(|it| serde_json::from_value::<AgentError>(it).ok());
                if let Some(error) = error {
                    self.lines.push(format!("error: {}", error.message));
                    self.lines.push(format!("  {}", error.hint));
                }
            }
            "agent.crashed" => {
                self.end_text();
                self.lines.push(format!("crashed: {}", text("message")));
                self.output(text("output"), false);
            }
            _ => {}
        }
    }

    fn output(&mut self, output: &str, is_error: bool) {
        let count = output.lines().count();
        let mark = if is_error { "  ! " } else { "  | " };
        let shown = output.lines().take(OUTPUT_LINES);
        self.lines.extend(shown.map(|line| format!("{mark}{line}")));
        if count > OUTPUT_LINES {
            let more = count - OUTPUT_LINES;
            self.lines.push(format!("{mark}... {more} more lines"));
        }
    }

    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.lines.extend(text.lines().map(str::to_owned));
    }
}

/// What a tool is used on, in a few words.
fn subject(input: Option<&Value>) -> String {
    let Some(Value::Object(input)) = input else {
        return String::new();
    };
    let known = [
        "command",
        "file_path",
        "pattern",
        "query",
        "url",
        "description",
    ];
    let known = known.iter().find_map(|name| input.get(*name)?.as_str());
    match known {
        Some(text) => text.lines().next().unwrap_or_default().to_owned(),
        None if input.is_empty() => String::new(),
        None => Value::Object(input.clone())
            .to_string()
            .chars()
            .take(200)
            .collect(),
    }
}
