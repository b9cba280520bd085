//! Opencode.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};

/// The CLI.
pub(crate) struct Opencode;

impl Cli for Opencode {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
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
                DonePattern::done(STREAM_ERROR).on_stderr(),
                DonePattern::done(PROCESSOR_ERROR).on_stderr(),
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

/// Versions that print no JSON for it try again for ever. What small helpers such as the one that
/// finds a title run into does not matter: their agents are `title` and `summary`.
const STREAM_ERROR: &str = r#"^timestamp=\S+ level=ERROR (?:run=\S+ )?message="stream error" (?:\S+ )*?small=false agent=(?:[^ts\s"]\S*|t(?:[^i\s]\S*)?|s(?:[^u\s]\S*)?) (?:\S+ )*?error\.error="#;
/// The same of earlier versions.
const PROCESSOR_ERROR: &str =
    r"^ERROR +\S+ \+\d+ms service=session\.processor (?:\S+=\S+ )*?error=";

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
