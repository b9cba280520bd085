//! opencode: `opencode run --format json`. What fails is often only in its log.

use super::opencode_log::{Failure, REQUEST_ERROR, SESSION_ERROR, STREAM_ERROR};
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
pub(crate) struct Opencode;

impl Cli for Opencode {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
    }

    fn program(&self) -> Program {
        Program::Named("opencode")
    }

    fn supports(&self) -> Supports {
        // What it calls variants differs from model to model.
        Supports {
            effort: true,
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        // Whatever is still to be asked for is refused when nobody is there.
        let (agent, permissions) = match spec.mode {
            Mode::Plan => (Some("plan"), PLAN),
            Mode::Edit => (None, EDIT),
            Mode::Full => (None, FULL),
        };
        // Only its log on standard error tells why a provider fails. A message among the arguments
        // would be put into quotes.
        let args = Argv::new(&[
            "run",
            "--format",
            "json",
            "--print-logs",
            "--log-level",
            "ERROR",
        ])
        .option("--agent", agent)
        .option("--model", spec.model.as_deref())
        .option("--variant", spec.effort.as_deref())
        .option("--session", turn.session)
        .extra(turn);
        Invocation::new(self.program(), args, turn).env("OPENCODE_PERMISSION", permissions)
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(concat!(
                    line_of_type!("step_finish"),
                    r#".*[,{]\s*"reason"\s*:\s*"stop"\s*[,}]"#
                )),
                DonePattern::done(line_of_type!("error|done")),
                // Where the two streams are one, its log is on standard output.
                STREAM_ERROR,
                STREAM_ERROR.on_stderr(),
                SESSION_ERROR,
                SESSION_ERROR.on_stderr(),
                REQUEST_ERROR,
                REQUEST_ERROR.on_stderr(),
                DonePattern::goes_on(line_of_type!("step_start|text|tool_use|reasoning")),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "GOOGLE_GENERATIVE_AI_API_KEY",
                "OPENROUTER_API_KEY",
                "OPENCODE_API_KEY",
            ],
            files: const {
                &[LoginFile::new(
                    Some("XDG_DATA_HOME"),
                    ".local/share",
                    "opencode/auth.json",
                )]
            },
            advice: "Run opencode auth login, or set the key variable of the model's provider; some free models need none.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::npm("opencode-ai"))
    }

    fn full_options(&self) -> &'static [&'static str] {
        &["--auto", "--yolo", "--dangerously-skip-permissions"]
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        match missing {
            Missing::SystemPrompt => Some(
                "Put the instructions at the start of the prompt, or into AGENTS.md in the workdir.",
            ),
            Missing::Mcp => Some("Leave mcp out, and describe the servers in opencode.json."),
            _ => None,
        }
    }

    fn refuses_model(&self, model: &str) -> Option<(String, &'static str)> {
        let (provider, name) = model.split_once('/').unwrap_or_default();
        (provider.is_empty() || name.is_empty()).then(|| {
            let problem = format!("{model:?} does not say whose model it is");
            (problem, "Write provider/model, such as anthropic/claude-sonnet-4-5; opencode models lists them.")
        })
    }
}

const PLAN: &str = r#"{"edit":"deny","bash":"deny","external_directory":"deny"}"#;
const EDIT: &str =
    r#"{"edit":"allow","bash":"deny","webfetch":"allow","external_directory":"deny"}"#;
const FULL: &str =
    r#"{"edit":"allow","bash":"allow","webfetch":"allow","external_directory":"allow"}"#;

const TOOLS: Names = &[("bash", "shell"), ("websearch", "web_search")];

#[derive(Default)]
struct Reader {
    /// Whether the end that is held is from a log line; a step after it is a retry.
    ended_in_log: bool,
    /// Failed requests since the last progress: one is tried again, the second is not.
    failed_requests: u32,
}

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        if run.session_id().is_none() {
            run.session(&line.text_or_empty("sessionID"));
        }
        let part = line.object("part");
        match kind {
            "step_start" => self.progress(run),
            "text" => {
                self.progress(run);
                run.text(&part.text_or_empty("text"));
            }
            "reasoning" => run.thinking(&part.text_or_empty("text")),
            "tool_use" => {
                self.progress(run);
                tool_use(&part, run);
            }
            "step_finish" => step_finish(&part, run),
            "error" => {
                self.ended_in_log = false;
                run.ended(Some(AgentError::from_value(&line.value("error"))));
            }
            "done" if run.end().is_none() => run.ended(None),
            "done" => {}
            _ => run.unknown(),
        }
    }

    fn diagnose(&mut self, text: &str, run: &mut Run) {
        match Failure::of(text) {
            None => {}
            Some(Failure::Session(error)) => self.log_end(error, run),
            Some(Failure::Request(error)) => {
                self.failed_requests += 1;
                if self.failed_requests > 1 {
                    self.log_end(error, run);
                } else {
                    run.overhear(error);
                }
            }
        }
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        !self.ended_in_log && matches!(line, Line::Json("step_start", _))
    }
}

impl Reader {
    fn progress(&mut self, run: &mut Run) {
        self.failed_requests = 0;
        if std::mem::take(&mut self.ended_in_log) {
            run.tries_again();
        } else {
            run.goes_on();
        }
    }

    fn log_end(&mut self, error: AgentError, run: &mut Run) {
        run.overhear(error.clone());
        // A provider that has said how it ended knows better than its log.
        if self.ended_in_log || !run.is_complete() {
            self.ended_in_log = true;
            run.ended_in_log(error);
        }
    }
}

fn tool_use(part: &Object<'_>, run: &mut Run) {
    let state = part.object("state");
    let id = part.word("callID").or_else(|| part.word("id"));
    let id = id.map_or_else(|| run.unnamed_tool(), Into::into);
    let tool = Tool::new(&part.text_or_empty("tool"), state.value("input"), TOOLS);
    run.tool_start(&id, tool, None);
    match &*state.text_or_empty("status") {
        "error" => run.tool_end(&id, output_text(state.value("error")), true),
        "pending" | "running" => {}
        _ => run.tool_end(&id, output_text(state.value("output")), false),
    }
}

fn step_finish(part: &Object<'_>, run: &mut Run) {
    let (tokens, cache) = (part.object("tokens"), part.object("tokens").object("cache"));
    let usage = Usage {
        input: tokens.count("input"),
        output: tokens.count("output"),
        cache_read: cache.count("read"),
        cache_write: cache.count("write"),
        reasoning: tokens.count("reasoning"),
    };
    run.add_usage(usage, part.number("cost"));
    match &*part.text_or_empty("reason") {
        "stop" => run.ended(None),
        "tool-calls" => {}
        "length" => run.may_have_ended(Some(AgentError::new(
            Category::Limit,
            "the answer was cut off: it reached the model's longest output",
        ))),
        _ => run.may_have_ended(None),
    }
}
