//! goose: `goose run --output-format stream-json`.

use serde_json::Value;

use super::goose_names::{model_options, session_option};
use super::{Cli, Read};
use crate::event::{AgentError, Usage};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Stdin, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::object::Object;
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};
use crate::tool::{Names, Tool, output_text};

/// The CLI.
pub(crate) struct Goose;

impl Cli for Goose {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
    }

    fn program(&self) -> Program {
        Program::Named("goose")
    }

    fn supports(&self) -> Supports {
        Supports {
            system_prompt: true,
            plan_enforced: false,
            edit: false,
            max_turns: true,
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        let (provider, model) = model_options(spec);
        // A plain --resume takes the latest session of the whole machine.
        let resume: &[&str] = if turn.session.is_some() {
            &["--resume"]
        } else {
            &[]
        };
        let session = turn.session.unwrap_or(turn.conversation);
        let args = Argv::new(&["run", "--output-format", "stream-json"])
            .words(resume)
            .option(session_option(session), Some(session))
            .option("--provider", provider)
            .option("--model", model)
            .option("--system", spec.system_prompt.as_deref())
            .option(
                "--max-turns",
                spec.max_turns.map(|it| it.to_string()).as_deref(),
            )
            .extra(turn)
            .words(&["-i", "-"]);
        // The other modes wait for an approval that nobody can give.
        let mut invocation = Invocation::new(self.program(), args, turn).env("GOOSE_MODE", "auto");
        if spec.mode == Mode::Plan {
            invocation.stdin = Stdin::Text(format!("/plan {}", turn.prompt));
        }
        invocation
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(line_of_type!("complete|error")),
                DonePattern::goes_on(line_of_type!("message")),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GOOGLE_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            files: const {
                &[LoginFile::new(
                    Some("XDG_CONFIG_HOME"),
                    ".config",
                    "goose/config.yaml",
                )]
            },
            advice: "Run goose configure, or set GOOSE_PROVIDER, GOOSE_MODEL and the provider's key variable.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::script(
            "https://github.com/block/goose/releases/download/stable/download_cli.sh",
            "CONFIGURE=false",
        ))
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        match missing {
            Missing::Mode => Some(
                "goose cannot be kept from running commands: use mode full with \"allow_unsandboxed\": true, or plan, which it is only told to keep.",
            ),
            Missing::Mcp => Some("Leave mcp out, and add the extensions with goose configure."),
            Missing::Effort => Some("Leave effort out, or set it in goose's own configuration."),
            _ => None,
        }
    }

    fn resumes_by_name(&self) -> bool {
        true
    }
}

const TOOLS: Names = &[
    ("developer__shell", "shell"),
    ("developer__text_editor", "edit"),
    ("text_editor", "edit"),
    ("developer__read_file", "read"),
    ("developer__write_file", "write"),
    ("developer__list_directory", "glob"),
];

#[derive(Default)]
struct Reader {
    /// Whose chunks come in.
    message_id: String,
    /// What it said went wrong; it says so as an assistant, then ends as if all were well.
    error: Option<AgentError>,
}

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        match kind {
            "message" => {
                run.goes_on();
                self.message(&line.object("message"), run);
            }
            "notification" => {
                if let Some(id) = run.last_open_tool() {
                    run.tool_delta(&id, &notice(&line.object("log").value("message")));
                }
            }
            "error" => run.ended(Some(AgentError::from_value(&line.to_value()))),
            "complete" => {
                let usage = Usage {
                    input: line.count("input_tokens"),
                    output: line.count("output_tokens"),
                    cache_read: line.count("cache_read_input_tokens"),
                    cache_write: line.count("cache_write_input_tokens"),
                    reasoning: None,
                };
                run.set_usage(usage, line.number("cost_usd"));
                let told = run.end().and_then(|end| end.error.clone());
                run.ended(self.error.take().or(told));
            }
            _ => run.unknown(),
        }
    }

    /// Four lines before any JSON, and the only place that tells the session's id.
    fn banner(&mut self, text: &str, run: &mut Run) -> bool {
        if let Some(id) = session_of(text) {
            run.session(id);
        } else if !is_first_line(text) {
            return text.contains("goose is ready");
        } else if let Some(model) = model_of(text) {
            run.answers_with(model);
        }
        true
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        match line {
            Line::Json(kind, _) => *kind == "message",
            Line::Plain(text) => is_first_line(text),
        }
    }
}

impl Reader {
    fn message(&mut self, message: &Object<'_>, run: &mut Run) {
        let is_user = message.text_or_empty("role") == "user";
        let id = message.text_or_empty("id");
        if *id != *self.message_id {
            run.new_block();
            self.message_id = id.into_owned();
        }
        for part in message.objects("content") {
            match &*part.text_or_empty("type") {
                "text" if !is_user => self.text(&part.text_or_empty("text"), run),
                "thinking" => run.thinking(&part.text_or_empty("thinking")),
                "toolRequest" => {
                    self.error = None;
                    tool_request(&part, run);
                }
                "toolResponse" => tool_response(&part, run),
                _ => {}
            }
        }
    }

    fn text(&mut self, text: &str, run: &mut Run) {
        let Some(reason) = failure_of(text) else {
            if !text.trim().is_empty() {
                self.error = None;
            }
            return run.text_delta(text);
        };
        let error = AgentError::from_text(reason);
        run.remember(error.clone());
        self.error = Some(error);
    }
}

fn tool_request(part: &Object<'_>, run: &mut Run) {
    let id = part
        .word("id")
        .map_or_else(|| run.unnamed_tool(), Into::into);
    let call = part.object("toolCall");
    let value = call.object("value");
    let name = value.word("name").unwrap_or("unknown".into());
    let input = value.value("arguments");
    let tool = if name.ends_with("text_editor") && input["command"] == "view" {
        Tool::named("read".into(), &name, input)
    } else {
        Tool::new(&name, input, TOOLS)
    };
    run.tool_start(&id, tool, None);
    if call.text_or_empty("status") == "error" {
        run.tool_end(&id, output_text(call.value("error")), true);
    }
}

fn tool_response(part: &Object<'_>, run: &mut Run) {
    let named = part.word("id").map(Into::into);
    let Some(id) = named.or_else(|| run.last_open_tool()) else {
        return run.unknown();
    };
    let result = part.object("toolResult");
    if result.text_or_empty("status") == "error" {
        return run.tool_end(&id, output_text(result.value("error")), true);
    }
    let value = result.object("value");
    let output = match value.raw("content") {
        Some(_) => output_text(value.value("content")),
        None => output_text(result.value("value")),
    };
    run.tool_end(&id, output, value.is_true("isError"));
}

/// What a running tool prints; older versions send the bare text.
fn notice(message: &Value) -> String {
    let text = message.as_str().or_else(|| message["output"].as_str());
    text.unwrap_or_default().to_owned()
}

fn is_first_line(text: &str) -> bool {
    text.contains("__( O)>")
}

/// `\____)    20260523_1 · /home/me`
fn session_of(text: &str) -> Option<&str> {
    let id = text
        .trim_start()
        .strip_prefix(r"\____)")?
        .split_whitespace()
        .next()?;
    let (day, number) = id.split_once('_')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (day.len() == 8 && is_number(day) && is_number(number)).then_some(id)
}

/// `__( O)>  ● new session · anthropic claude-sonnet-4`
fn model_of(text: &str) -> Option<&str> {
    let (_, names) = text.rsplit_once('·')?;
    match names.split_whitespace().collect::<Vec<_>>()[..] {
        [_provider, model] => Some(model),
        _ => None,
    }
}

/// The reason in what it says of its own failure.
fn failure_of(text: &str) -> Option<&str> {
    let reason = text.trim().strip_prefix("Ran into this error: ")?;
    let advice = "Please retry if you think this is a transient or recoverable error";
    let reason = reason.split(advice).next().unwrap_or(reason).trim_end();
    Some(reason.strip_suffix('.').unwrap_or(reason))
}
