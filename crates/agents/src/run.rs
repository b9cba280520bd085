//! What is known of a run while its lines come in, and the events of the line that is being read.

mod end;

use std::collections::BTreeSet;

use crate::event::{AgentError, AgentEvent, Usage};
use crate::tool::Tool;

pub(crate) use end::End;

/// Takes what a reader finds. The end is held: what follows a provider's last line may revoke it,
/// and no duplicate of it makes a second one.
#[derive(Default)]
pub(crate) struct Run {
    events: Vec<AgentEvent>,
    session_id: Option<String>,
    model: Option<String>,
    usage: Usage,
    /// The total of the session before this run, for providers that count on.
    before: Usage,
    cost_usd: Option<f64>,
    last_text: String,
    /// Whether the next delta continues the last text.
    text_is_open: bool,
    /// In the order of their beginnings.
    open_tools: Vec<String>,
    ended_tools: BTreeSet<String>,
    unparsed_lines: u64,
    /// Whether the line that is being read is counted as one that is no event.
    is_unknown: bool,
    end: Option<End>,
    /// Whether the line that is being read tells of the end.
    tells_end: bool,
    /// What went wrong, as told in passing; void once the run goes on.
    told: Option<AgentError>,
    /// The same as told by plain lines, whose place among the others is not sure; never void.
    overheard: Option<AgentError>,
    has_progressed: bool,
    /// Whether some of its lines are gone.
    is_cut: bool,
}

impl Run {
    /// The events of the line that was read.
    pub(crate) fn take_events(&mut self) -> Vec<AgentEvent> {
        self.is_unknown = false;
        std::mem::take(&mut self.events)
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn cost_usd(&self) -> Option<f64> {
        self.cost_usd
    }

    pub(crate) fn last_text(&self) -> &str {
        &self.last_text
    }

    pub(crate) fn unparsed_lines(&self) -> u64 {
        self.unparsed_lines
    }

    /// Whether something was said or done since this was last asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progressed)
    }

    /// The line is of no known type, or tells of what nobody knows.
    pub(crate) fn unknown(&mut self) {
        self.unparsed_lines += u64::from(!self.is_unknown);
        self.is_unknown = true;
    }

    /// The session's id, told once however often it is on a line.
    pub(crate) fn session(&mut self, session_id: &str) {
        if !session_id.is_empty() && self.session_id() != Some(session_id) {
            self.session_id = Some(session_id.to_owned());
            self.events.push(AgentEvent::Session {
                session_id: session_id.to_owned(),
            });
        }
    }

    /// Which model answers.
    pub(crate) fn answers_with(&mut self, model: &str) {
        if !model.is_empty() && self.model() != Some(model) {
            self.model = Some(model.to_owned());
        }
    }

    /// A whole block of text.
    pub(crate) fn text(&mut self, text: &str) {
        self.say(text, false);
    }

    /// More of the block that is being said.
    pub(crate) fn text_delta(&mut self, text: &str) {
        self.say(text, true);
    }

    /// The next delta begins a block.
    pub(crate) fn new_block(&mut self) {
        self.text_is_open = false;
    }

    fn say(&mut self, text: &str, delta: bool) {
        if text.is_empty() {
            return;
        }
        if !(delta && self.text_is_open) {
            self.last_text.clear();
        }
        self.text_is_open = delta;
        self.last_text.push_str(text);
        self.progress();
        self.events.push(AgentEvent::Text {
            text: text.to_owned(),
            delta,
        });
    }

    pub(crate) fn thinking(&mut self, text: &str) {
        if !text.is_empty() {
            self.text_is_open = false;
            self.events.push(AgentEvent::Thinking {
                text: text.to_owned(),
            });
        }
    }

    /// A tool begins; told twice, it begins once.
    pub(crate) fn tool_start(&mut self, tool_id: &str, tool: Tool, parent: Option<&str>) {
        if self.open_tools.iter().any(|open| open == tool_id) {
            return;
        }
        self.text_is_open = false;
        self.progress();
        // Some models number their calls anew in every answer.
        self.ended_tools.remove(tool_id);
        self.open_tools.push(tool_id.to_owned());
        self.events.push(AgentEvent::ToolStart {
            tool_id: tool_id.to_owned(),
            name: tool.name,
            raw_name: tool.raw_name,
            input: tool.input,
            parent_tool_id: parent.map(str::to_owned),
        });
    }

    /// The tool that began last and has not ended, for lines that name none.
    pub(crate) fn last_open_tool(&self) -> Option<String> {
        self.open_tools.last().cloned()
    }

    /// A name for a tool call that has none.
    pub(crate) fn unnamed_tool(&self) -> String {
        format!(
            "tool-{}",
            self.open_tools.len() + self.ended_tools.len() + 1
        )
    }

    /// What an open tool prints.
    pub(crate) fn tool_delta(&mut self, tool_id: &str, text: &str) {
        if !text.is_empty() && self.open_tools.iter().any(|open| open == tool_id) {
            self.events.push(AgentEvent::ToolDelta {
                tool_id: tool_id.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    /// A tool is done; told twice, it is done once, and what never began does not end.
    pub(crate) fn tool_end(&mut self, tool_id: &str, output: String, is_error: bool) {
        let Some(at) = self.open_tools.iter().position(|open| open == tool_id) else {
            if !self.ended_tools.contains(tool_id) {
                self.unknown();
            }
            return;
        };
        self.open_tools.remove(at);
        self.ended_tools.insert(tool_id.to_owned());
        self.text_is_open = false;
        self.events.push(AgentEvent::ToolEnd {
            tool_id: tool_id.to_owned(),
            output,
            is_error,
            synthetic: false,
        });
    }

    /// Closes what the provider left open.
    pub(crate) fn close_tools(&mut self) {
        for tool_id in std::mem::take(&mut self.open_tools) {
            self.events.push(AgentEvent::ToolEnd {
                tool_id,
                output: String::new(),
                is_error: true,
                synthetic: true,
            });
        }
    }

    /// What a step used.
    pub(crate) fn add_usage(&mut self, usage: Usage, cost_usd: Option<f64>) {
        self.usage = self.usage + usage;
        if let Some(cost) = cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost);
        }
    }

    /// What the run used.
    pub(crate) fn set_usage(&mut self, usage: Usage, cost_usd: Option<f64>) {
        self.usage = usage;
        self.cost_usd = cost_usd.or(self.cost_usd);
    }

    /// What the session has used so far, this run and those before.
    pub(crate) fn set_session_usage(&mut self, total: Usage) {
        self.usage = total.since(self.before).unwrap_or(total);
    }

    pub(crate) fn resumed_from(&mut self, before: Usage) {
        self.before = before;
    }

    fn progress(&mut self) {
        self.told = None;
        self.has_progressed = true;
    }
}
