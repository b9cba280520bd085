//! Gemini.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};

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
                DonePattern::done(line_of_type!("result")),
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

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
