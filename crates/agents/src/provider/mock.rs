//! The mock: prints what Claude Code would.

use super::{Cli, Read, claude_lines};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn};
use crate::login::LoginTraces;
use crate::mock;
use crate::supports::Supports;

/// The CLI.
pub(crate) struct Mock;

impl Cli for Mock {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(claude_lines::Reader::default())
    }

    fn program(&self) -> Program {
        Program::Itself
    }

    fn supports(&self) -> Supports {
        // It does as its script says, whatever the mode.
        Supports {
            plan_enforced: false,
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let args = Argv::new(&[mock::SUBCOMMAND]);
        let args = match turn.session {
            Some(session) => args.option("--resume", Some(session)),
            None => args.option("--session-id", Some(&mock::session_id(turn.conversation))),
        };
        let args = args
            .option("--model", turn.spec.model.as_deref())
            .extra(turn);
        Invocation::new(self.program(), args, turn)
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        &super::claude::DONE_PATTERNS
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[],
            files: &[],
            advice: "It needs no login.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        None
    }
}
