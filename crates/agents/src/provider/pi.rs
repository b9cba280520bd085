//! Pi.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};

/// The CLI.
pub(crate) struct Pi;

impl Cli for Pi {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
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
                DonePattern::done(line_of_type!("agent_end")),
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

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
