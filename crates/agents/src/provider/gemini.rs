//! Gemini CLI: `--output-format stream-json`.

use super::{Cli, Read};
use crate::event::{AgentError, Category, Usage};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::object::Object;
use crate::reason::reason;
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};
use crate::tool::{Names, Tool, output_text};

/// The CLI.
pub(crate) struct Gemini;

impl Cli for Gemini {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
    }

    fn program(&self) -> Program {
        Program::Named("gemini")
    }

    fn supports(&self) -> Supports {
        Supports::LEAST
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        let approval: &[&str] = match spec.mode {
            Mode::Plan => &["--approval-mode", "plan"],
            Mode::Edit => &["--approval-mode", "auto_edit"],
            Mode::Full => &["--yolo"],
        };
        // Without a terminal it takes standard input for the prompt, to which that of -p would only
        // be appended.
        let args = Argv::new(&["--output-format", "stream-json"])
            .words(approval)
            .option("--model", spec.model.as_deref())
            .option("--resume", turn.session)
            .extra(turn);
        // In a folder that nobody has called trusted it would refuse to work. Versions that do not
        // know the variable do not know --skip-trust either, and would refuse that.
        Invocation::new(self.program(), args, turn).env("GEMINI_CLI_TRUST_WORKSPACE", "true")
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(line_of_type!(r"result|assistant\.complete")),
                DonePattern::goes_on(line_of_type!("init|message|tool_use|tool_result")),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "GEMINI_API_KEY",
                "GOOGLE_GENAI_USE_VERTEXAI",
                "GOOGLE_GENAI_USE_GCA",
            ],
            files: const {
                &[
                    LoginFile::new(None, ".gemini", "oauth_creds.json"),
                    LoginFile::new(None, ".gemini", ".env"),
                ]
            },
            advice: "Run gemini and log in, or set GEMINI_API_KEY.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::npm("@google/gemini-cli"))
    }

    fn full_options(&self) -> &'static [&'static str] {
        &["--yolo", "-y", "--approval-mode"]
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        match missing {
            Missing::SystemPrompt => Some(
                "Put the instructions at the start of the prompt, or into GEMINI.md in the workdir.",
            ),
            Missing::Mcp => Some("Leave mcp out, and set the servers up with gemini mcp add."),
            Missing::MaxTurns => Some(
                "Leave max_turns out; model.maxSessionTurns in .gemini/settings.json limits them.",
            ),
            _ => None,
        }
    }

    /// It stops reading there, and works with what it has.
    fn longest_prompt(&self) -> usize {
        8 << 20
    }
}

const TOOLS: Names = &[
    ("run_shell_command", "shell"),
    ("write_file", "write"),
    ("read_file", "read"),
    ("replace", "edit"),
    ("grep_search", "grep"),
    ("search_file_content", "grep"),
    ("list_directory", "glob"),
];

struct Reader;

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        match kind {
            "init" => {
                run.session(&line.text_or_empty("session_id"));
                run.answers_with(&line.text_or_empty("model"));
            }
            // The prompt comes back as a message of the user.
            "message" if line.text_or_empty("role") == "user" => {}
            "message" if line.is_true("delta") => run.text_delta(&line.text_or_empty("content")),
            "message" => run.text(&line.text_or_empty("content")),
            "tool_use" => {
                let id = line
                    .word("tool_id")
                    .map_or_else(|| run.unnamed_tool(), Into::into);
                let name = line.text_or_empty("tool_name");
                run.tool_start(&id, Tool::new(&name, line.value("parameters"), TOOLS), None);
            }
            "tool_result" => tool_result(line, run),
            // Warnings among them; the result tells what it comes to.
            "error" => run.remember(AgentError::from_value(&line.to_value())),
            "result" => result(line, run),
            "assistant.delta" => run.text_delta(&line.text_or_empty("text")),
            "assistant.complete" => run.ended(None),
            "tool.start" => {
                let id = run.unnamed_tool();
                let name = line.text_or_empty("name");
                run.tool_start(&id, Tool::new(&name, line.value("input"), TOOLS), None);
            }
            "tool.delta" => {
                if let Some(id) = run.last_open_tool() {
                    run.tool_delta(&id, &line.text_or_empty("text"));
                }
            }
            "tool.end" => {
                if let Some(id) = run.last_open_tool() {
                    run.tool_end(&id, output_text(line.value("output")), false);
                }
            }
            _ => run.unknown(),
        }
    }

    /// The true reason is often only in a dump before the result: its first line, and in the result
    /// "unknown error".
    fn diagnose(&mut self, text: &str, run: &mut Run) {
        let lowercase = text.to_ascii_lowercase();
        let has_reason = || REASONS.iter().any(|reason| lowercase.contains(reason));
        if tells_error(&lowercase) || (run.told().is_none() && has_reason()) {
            run.overhear(AgentError::from_text(&without_report(text)));
        }
    }

    fn exit_code(&self, code: i32) -> Option<Category> {
        match code {
            41 => Some(Category::Auth),
            53 => Some(Category::Limit),
            55 => Some(Category::Permission),
            _ => None,
        }
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        matches!(line, Line::Json("init", _))
    }
}

fn tool_result(line: &Object<'_>, run: &mut Run) {
    let named = line.word("tool_id").map(Into::into);
    let Some(id) = named.or_else(|| run.last_open_tool()) else {
        return run.unknown();
    };
    let is_error = line.text_or_empty("status") == "error" || line.raw("error").is_some();
    let output = match line.word("output") {
        Some(output) => output.into_owned(),
        None if is_error => reason(&line.value("error")),
        None => output_text(line.value("output")),
    };
    run.tool_end(&id, output, is_error);
}

fn result(line: &Object<'_>, run: &mut Run) {
    let stats = line.object("stats");
    let usage = Usage {
        input: stats.count("input_tokens"),
        output: stats.count("output_tokens"),
        cache_read: stats.count("cached"),
        cache_write: None,
        reasoning: None,
    };
    run.set_usage(usage, None);
    let is_error = line.text_or_empty("status") == "error" || line.raw("error").is_some();
    let error = is_error.then(|| {
        let told = AgentError::from_value(&line.object("error").to_value());
        let says_nothing = told.message.contains("unknown error");
        let before = run.told().filter(|before| {
            told.category == Category::Unknown
                && (before.category != Category::Unknown || says_nothing)
        });
        before.cloned().unwrap_or(told)
    });
    run.ended(error);
}

/// Whether a line begins the telling of an error.
fn tells_error(lowercase: &str) -> bool {
    let text = lowercase.trim_start().trim_start_matches("[api ");
    let rest = text.strip_prefix("error");
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
}

/// Words that no line has without a reason.
const REASONS: &[&str] = &[
    "quota exceeded",
    "insufficient balance",
    "resource_exhausted",
    "permission_denied",
];

/// Where the dump was written to is not the reason, and may hold words that look like one.
fn without_report(text: &str) -> String {
    let Some((before, report)) = text.split_once("Full report available at: ") else {
        return text.to_owned();
    };
    let after = report
        .split_once(char::is_whitespace)
        .map_or("", |(_, after)| after);
    format!("{} {}", before.trim_end(), after.trim_start())
}
