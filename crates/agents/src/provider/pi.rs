//! pi: `--mode json`. Its lines repeat the whole message so far; only what is new is looked at.

use std::collections::BTreeMap;

use super::{Cli, Read};
use crate::event::{AgentError, Category, Usage};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::object::Object;
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};
use crate::tool::{Names, Tool, output_text};

/// The CLI.
pub(crate) struct Pi;

impl Cli for Pi {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
    }

    fn program(&self) -> Program {
        Program::Named("pi")
    }

    fn supports(&self) -> Supports {
        Supports {
            system_prompt: true,
            effort: true,
            efforts: &["off", "minimal", "low", "medium", "high", "xhigh"],
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        // It asks for nothing: what it may not do, it must not have.
        let tools = match spec.mode {
            Mode::Plan => Some("read,grep,find,ls"),
            Mode::Edit => Some("read,edit,write,grep,find,ls"),
            Mode::Full => None,
        };
        // --continue would take the latest session of the folder, whosever it is.
        let args = Argv::new(&["--mode", "json", "-p"])
            .pair("--tools", tools)
            .pair("--model", spec.model.as_deref())
            .pair("--thinking", spec.effort.as_deref())
            .pair("--system-prompt", spec.system_prompt.as_deref())
            .pair("--session", turn.session)
            .extra(turn);
        Invocation::new(self.program(), args, turn)
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(line_of_type!("agent_end|error")),
                DonePattern::done(concat!(
                    line_of_type!("auto_retry_end"),
                    r#"(?:.*,)?\s*"success"\s*:\s*false\s*[,}]"#
                )),
                DonePattern::goes_on(line_of_type!(
                    "agent_start|turn_start|message_start|auto_retry_start|compaction_start|auto_compaction_start"
                )),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_OAUTH_TOKEN",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "GROQ_API_KEY",
                "XAI_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            files: const {
                &[LoginFile::new(
                    Some("PI_CODING_AGENT_DIR"),
                    ".pi/agent",
                    "auth.json",
                )]
            },
            advice: "Run pi and type /login, or set the key variable of the model's provider.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::npm("@mariozechner/pi-coding-agent"))
    }

    fn full_options(&self) -> &'static [&'static str] {
        &["--tools"]
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        (missing == Missing::Mcp)
            .then_some("Leave mcp out: pi has no MCP; its extensions can be given in args.")
    }
}

const TOOLS: Names = &[("bash", "shell"), ("find", "glob"), ("ls", "glob")];

/// Types that tell nothing that is told on.
const SILENT: &[&str] = &[
    "turn_start",
    "compaction_start",
    "compaction_end",
    "auto_compaction_start",
    "auto_compaction_end",
    "queue_update",
];

#[derive(Default)]
struct Reader {
    /// Whether the message came in parts; otherwise its text is told when it ends.
    is_streamed: bool,
    /// How the last message failed.
    error: Option<AgentError>,
    /// What open tools have printed so far.
    outputs: BTreeMap<String, String>,
}

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        match kind {
            "session" => run.session(&line.text_or_empty("id")),
            "agent_start" => run.goes_on(),
            "message_start" => {
                self.is_streamed = false;
                run.new_block();
            }
            "message_update" => self.update(&line.object("assistantMessageEvent"), run),
            "message_end" => self.message_end(&line.object("message"), run),
            // The message of a turn has ended before; what it used is counted once.
            "turn_end" => self.note_failure(&line.object("message")),
            "tool_execution_start" => {
                let name = line.text_or_empty("toolName");
                let tool = Tool::new(&name, line.value("args"), TOOLS);
                run.tool_start(&line.text_or_empty("toolCallId"), tool, None);
            }
            "tool_execution_update" => self.tool_update(line, run),
            "tool_execution_end" => {
                let id = line.text_or_empty("toolCallId");
                self.outputs.remove(&*id);
                run.tool_end(&id, answer(line, "result"), line.is_true("isError"));
            }
            "agent_end" => {
                // What tools have answered comes behind what failed.
                let mut messages = line.objects("messages").rev();
                if let Some(last) = messages.find(is_assistant) {
                    self.note_failure(&last);
                }
                run.ended(self.error.clone());
            }
            // Every attempt ends by itself before it is said that there is another.
            "auto_retry_start" => run.tries_again(),
            "auto_retry_end" if line.raw("success") == Some("false") => {
                let told = line
                    .word("finalError")
                    .map(|text| AgentError::from_text(&text));
                let told = told.or_else(|| self.error.clone());
                run.ended(told.or_else(|| Some(AgentError::from_value(&line.to_value()))));
            }
            "auto_retry_end" => {}
            "error" => run.ended(Some(AgentError::from_value(&line.to_value()))),
            _ if SILENT.contains(&kind) => {}
            _ => run.unknown(),
        }
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        matches!(line, Line::Json("session", _))
    }
}

impl Reader {
    fn update(&mut self, event: &Object<'_>, run: &mut Run) {
        match &*event.text_or_empty("type") {
            "text_start" => run.new_block(),
            "text_delta" => {
                self.is_streamed = true;
                run.text_delta(&event.text_or_empty("delta"));
            }
            "thinking_delta" => {
                self.is_streamed = true;
                run.thinking(&event.text_or_empty("delta"));
            }
            _ => {}
        }
    }

    fn message_end(&mut self, message: &Object<'_>, run: &mut Run) {
        if !is_assistant(message) {
            return;
        }
        run.answers_with(&message.text_or_empty("model"));
        let used = message.object("usage");
        let usage = Usage {
            input: used.count("input"),
            output: used.count("output"),
            cache_read: used.count("cacheRead"),
            cache_write: used.count("cacheWrite"),
            reasoning: None,
        };
        run.add_usage(usage, used.object("cost").number("total"));
        if !self.is_streamed {
            for part in message.objects("content") {
                run.text(&part.text_or_empty("text"));
            }
        }
        self.note_failure(message);
        if let Some(error) = &self.error {
            run.remember(error.clone());
        }
    }

    fn note_failure(&mut self, message: &Object<'_>) {
        if !is_assistant(message) {
            return;
        }
        let said = message.word("errorMessage");
        self.error = match &*message.text_or_empty("stopReason") {
            "error" => Some(AgentError::from_text(
                said.as_deref()
                    .unwrap_or("the model's answer ended with an error"),
            )),
            "aborted" => Some(AgentError::from_text(said.as_deref().unwrap_or("aborted"))),
            "length" => Some(AgentError::new(
                Category::Limit,
                "the answer was cut off: it reached the model's longest output",
            )),
            _ => None,
        };
    }

    /// The output so far comes again and again; what is new is its end, unless it was cut in front.
    fn tool_update(&mut self, line: &Object<'_>, run: &mut Run) {
        let id = line.text_or_empty("toolCallId");
        let output = answer(line, "partialResult");
        let before = self.outputs.entry(id.clone().into_owned()).or_default();
        run.tool_delta(&id, output.strip_prefix(before.as_str()).unwrap_or(&output));
        *before = output;
    }
}

fn is_assistant(message: &Object<'_>) -> bool {
    message.text_or_empty("role") == "assistant"
}

fn answer(line: &Object<'_>, name: &str) -> String {
    let result = line.object(name);
    match result.raw("content") {
        Some(_) => output_text(result.value("content")),
        None => output_text(line.value(name)),
    }
}
