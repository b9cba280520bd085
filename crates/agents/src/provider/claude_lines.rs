//! Lines as Claude Code prints them, and the mock.

use serde_json::Value;

use super::Read;
use crate::event::{AgentError, Category, Usage};
use crate::line::Line;
use crate::object::Object;
use crate::run::Run;
use crate::sign::Signs;
use crate::tool::{Names, Tool, output_text};

const TOOLS: Names = &[
    ("Bash", "shell"),
    ("MultiEdit", "edit"),
    ("NotebookEdit", "edit"),
    ("LS", "glob"),
    ("WebSearch", "web_search"),
    ("web_search", "web_search"),
];

/// Types that tell nothing that is told on.
const SILENT: &[&str] = &[
    "system",
    "rate_limit_event",
    "control_request",
    "control_response",
    "control_cancel_request",
    "tool_progress",
    "tool_use_summary",
    "auth_status",
    "keep_alive",
    "prompt_suggestion",
];

/// Reads them.
#[derive(Default)]
pub(super) struct Reader {
    /// The message that came in parts already, and which kinds of its blocks did.
    streamed: Streamed,
    /// What an assistant line says of its own failure; the text is in the result.
    error_code: String,
    has_answered: bool,
}

#[derive(Default)]
struct Streamed {
    message_id: String,
    text: bool,
    thinking: bool,
}

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        match kind {
            "system" if line.text_or_empty("subtype") == "init" => {
                run.goes_on();
                run.session(&line.text_or_empty("session_id"));
                run.answers_with(&line.text_or_empty("model"));
            }
            "assistant" => {
                run.goes_on();
                run.session(&line.text_or_empty("session_id"));
                self.assistant(line, run);
            }
            "user" => {
                run.session(&line.text_or_empty("session_id"));
                for block in line.object("message").objects("content") {
                    tool_result(&block, run);
                }
            }
            "result" => {
                run.session(&line.text_or_empty("session_id"));
                self.result(line, run);
            }
            "stream_event" => self.part(line, run),
            "tool_use" => tool_use(line, None, run),
            "tool_result" => tool_result(line, run),
            _ if SILENT.contains(&kind) => {}
            _ => run.unknown(),
        }
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        matches!(line, Line::Json("system", object) if object.text_or_empty("subtype") == "init")
    }
}

impl Reader {
    fn assistant(&mut self, line: &Object<'_>, run: &mut Run) {
        let parent = line.word("parent_tool_use_id");
        let message = line.object("message");
        if parent.is_none() {
            let model = message.text_or_empty("model");
            if model != "<synthetic>" {
                run.answers_with(&model);
            }
            self.has_answered = true;
            self.error_code = line.text_or_empty("error").into_owned();
        }
        let id = message.text_or_empty("id");
        let is_streamed = parent.is_none() && self.streamed.message_id == id;
        if let Some(text) = message.text("content") {
            run.text(&text);
        }
        for block in message.objects("content") {
            match &*block.text_or_empty("type") {
                "text" => match &parent {
                    // A subagent talks to the agent, not to the reader.
                    Some(parent) => run.tool_delta(parent, &block.text_or_empty("text")),
                    None if is_streamed && self.streamed.text => {}
                    None => run.text(&block.text_or_empty("text")),
                },
                "thinking" if parent.is_none() && !(is_streamed && self.streamed.thinking) => {
                    run.thinking(&block.text_or_empty("thinking"));
                }
                "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                    tool_use(&block, parent.as_deref(), run);
                }
                kind if kind.ends_with("_tool_result") => tool_result(&block, run),
                _ => {}
            }
        }
    }

    /// Parts of messages that follow as a whole (`--include-partial-messages`).
    fn part(&mut self, line: &Object<'_>, run: &mut Run) {
        if line.word("parent_tool_use_id").is_some() {
            return;
        }
        let event = line.object("event");
        match &*event.text_or_empty("type") {
            "message_start" => {
                run.goes_on();
                self.streamed = Streamed {
                    message_id: event.object("message").text_or_empty("id").into_owned(),
                    ..Streamed::default()
                };
            }
            "content_block_start" => run.new_block(),
            "content_block_delta" => {
                let delta = event.object("delta");
                match &*delta.text_or_empty("type") {
                    "text_delta" => {
                        self.streamed.text = true;
                        run.text_delta(&delta.text_or_empty("text"));
                    }
                    "thinking_delta" => {
                        self.streamed.thinking = true;
                        run.thinking(&delta.text_or_empty("thinking"));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn result(&self, line: &Object<'_>, run: &mut Run) {
        let used = line.object("usage");
        let usage = Usage {
            input: used.count("input_tokens"),
            output: used.count("output_tokens"),
            cache_read: used.count("cache_read_input_tokens"),
            cache_write: used.count("cache_creation_input_tokens"),
            reasoning: None,
        };
        run.set_usage(usage, line.number("total_cost_usd"));
        run.ended(self.error_of(line));
    }

    fn error_of(&self, line: &Object<'_>) -> Option<AgentError> {
        let subtype = line.text_or_empty("subtype");
        let said = line.word("result");
        // A slash command that does not exist is a success to claude, but nothing was done.
        let is_refusal = !self.has_answered
            && said
                .as_ref()
                .is_some_and(|said| said.starts_with("Unknown command: "));
        if !line.is_true("is_error") && !subtype.starts_with("error") && !is_refusal {
            return None;
        }
        let listed = || match line.value("errors") {
            Value::Array(errors) => errors.first().map(|error| output_text(error.clone())),
            _ => None,
        };
        let text = said.map(Into::into).or_else(listed);
        let text = text.unwrap_or_else(|| subtype.clone().into_owned());
        let ending = line.text_or_empty("terminal_reason");
        let category = if ["max_turns", "budget_exhausted"].contains(&&*ending)
            || subtype.starts_with("error_max_")
        {
            Category::Limit
        } else {
            Category::of(&Signs::of(&format!("{text} {}", self.error_code)))
        };
        Some(AgentError::new(category, &text))
    }
}

fn tool_use(block: &Object<'_>, parent: Option<&str>, run: &mut Run) {
    let id = block
        .word("id")
        .map_or_else(|| run.unnamed_tool(), Into::into);
    let tool = Tool::new(&block.text_or_empty("name"), block.value("input"), TOOLS);
    run.tool_start(&id, tool, parent);
}

fn tool_result(block: &Object<'_>, run: &mut Run) {
    if !block.text_or_empty("type").ends_with("tool_result") {
        return;
    }
    let named = block.word("tool_use_id").map(Into::into);
    let Some(id) = named.or_else(|| run.last_open_tool()) else {
        return run.unknown();
    };
    let output = output_text(block.value("content"));
    run.tool_end(&id, output, block.is_true("is_error"));
}
