//! What is known of a run while its lines come in, and the events of the line that is being read.

use std::collections::BTreeSet;

use crate::event::{AgentError, AgentEvent, Category, Usage};
use crate::tool::Tool;

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
    end: Option<End>,
    /// What went wrong, as told in passing; void once the run goes on.
    told: Option<AgentError>,
    has_progressed: bool,
}

/// How the provider says that the run ended.
pub(crate) struct End {
    /// What went wrong.
    pub(crate) error: Option<AgentError>,
    /// Whether the provider is done; otherwise it is only what is believed if it exits now.
    pub(crate) is_final: bool,
    /// Whether it was concluded from lines that are no event.
    pub(crate) synthetic: bool,
}

impl Run {
    /// The events of the line that was read.
    pub(crate) fn take_events(&mut self) -> Vec<AgentEvent> {
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

    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.is_final)
    }

    pub(crate) fn told(&self) -> Option<&AgentError> {
        self.told.as_ref()
    }

    /// Whether something was said or done since this was last asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progressed)
    }

    /// A line of no known type.
    pub(crate) fn unknown(&mut self) {
        self.unparsed_lines += 1;
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

    /// A tool is done; told twice, it is done once.
    pub(crate) fn tool_end(&mut self, tool_id: &str, output: String, is_error: bool) {
        if !self.ended_tools.insert(tool_id.to_owned()) {
            return;
        }
        self.open_tools.retain(|open| open != tool_id);
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

    /// The provider's last line.
    pub(crate) fn ended(&mut self, error: Option<AgentError>) {
        self.end = Some(End {
            error,
            is_final: true,
            synthetic: false,
        });
    }

    /// Lines that are no events, but after which nothing follows.
    pub(crate) fn ended_in_log(&mut self, error: AgentError) {
        self.end = Some(End {
            error: Some(error),
            is_final: true,
            synthetic: true,
        });
    }

    /// The last line, if the provider exits now.
    pub(crate) fn may_have_ended(&mut self, error: Option<AgentError>) {
        self.end = Some(End {
            error,
            is_final: false,
            synthetic: true,
        });
    }

    /// It goes on after its last line, which stays true if nothing better follows.
    pub(crate) fn goes_on(&mut self) {
        if let Some(end) = &mut self.end {
            end.is_final = false;
        }
    }

    /// It tries again: what it said of the end is void, but for the reason.
    pub(crate) fn tries_again(&mut self) {
        if let Some(error) = self.end.take().and_then(|end| end.error) {
            self.remember(error);
        }
    }

    /// A reason that the provider told, in case the run ends without another. The last one counts,
    /// unless it says less than the one before.
    pub(crate) fn remember(&mut self, error: AgentError) {
        let says_more = |known: &AgentError| known.category != Category::Unknown;
        if error.category != Category::Unknown || !self.told.as_ref().is_some_and(says_more) {
            self.told = Some(error);
        }
    }

    fn progress(&mut self) {
        self.told = None;
        self.has_progressed = true;
    }
}
