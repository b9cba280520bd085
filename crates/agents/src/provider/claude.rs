//! Claude Code: `--output-format stream-json`.

use super::{Cli, Read, claude_lines};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::supports::Supports;

/// The CLI.
pub(crate) struct Claude;

impl Cli for Claude {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(claude_lines::Reader::default())
    }

    fn program(&self) -> Program {
        Program::Named("claude")
    }

    fn supports(&self) -> Supports {
        Supports {
            system_prompt: true,
            effort: true,
            efforts: &["low", "medium", "high", "xhigh", "max"],
            max_turns: true,
            max_budget_usd: true,
            mcp: true,
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        let mcp = turn.mcp_file.map(|path| path.to_string_lossy());
        let permissions: &[&str] = match spec.mode {
            Mode::Plan => &["--permission-mode", "plan"],
            Mode::Edit => &["--permission-mode", "acceptEdits"],
            Mode::Full => &["--dangerously-skip-permissions"],
        };
        // stream-json needs --verbose. --mcp-config takes every word up to the next option: one
        // must follow.
        let args = Argv::new(&["-p", "--output-format", "stream-json", "--verbose"])
            .option("--mcp-config", mcp.as_deref())
            .words(permissions)
            .option("--model", spec.model.as_deref())
            .option("--system-prompt", spec.system_prompt.as_deref())
            .option("--effort", spec.effort.as_deref())
            .option(
                "--max-turns",
                spec.max_turns.map(|it| it.to_string()).as_deref(),
            )
            .option(
                "--max-budget-usd",
                spec.max_budget_usd.map(|it| it.to_string()).as_deref(),
            )
            .option("--resume", turn.session)
            .extra(turn);
        let invocation = Invocation::new(self.program(), args, turn);
        // As root it does not go without permissions, unless it is told that this is no harm.
        match spec.mode {
            Mode::Full if turn.is_root => invocation.env("IS_SANDBOX", "1"),
            _ => invocation,
        }
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        &DONE_PATTERNS
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "ANTHROPIC_API_KEY",
                "CLAUDE_CODE_OAUTH_TOKEN",
                "ANTHROPIC_AUTH_TOKEN",
            ],
            files: const {
                &[
                    LoginFile::new(Some("CLAUDE_CONFIG_DIR"), ".claude", ".credentials.json"),
                    LoginFile::new(None, "", ".claude.json"),
                ]
            },
            advice: "Run claude and log in, or set ANTHROPIC_API_KEY.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::npm("@anthropic-ai/claude-code"))
    }

    fn full_options(&self) -> &'static [&'static str] {
        &["--dangerously-skip-permissions", "--permission-mode"]
    }
}

/// After its result it goes on when something that ran in the background wakes the model again.
pub(super) const DONE_PATTERNS: [DonePattern; 3] = [
    DonePattern::done(line_of_type!("result")),
    DonePattern::goes_on(line_of_type!("assistant|user|stream_event")),
    DonePattern::goes_on(concat!(
        line_of_type!("system"),
        r#"\s*"subtype"\s*:\s*"init""#
    )),
];
