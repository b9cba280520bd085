//! Mock.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn};
use crate::line::Line;
use crate::login::LoginTraces;
use crate::mock;
use crate::run::Run;
use crate::supports::Supports;

/// The CLI.
pub(crate) struct Mock;

impl Cli for Mock {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
    }

    fn program(&self) -> Program {
        Program::Itself
    }

    fn supports(&self) -> Supports {
        Supports::LEAST
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

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
