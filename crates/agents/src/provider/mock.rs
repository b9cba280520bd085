//! The mock: prints what Claude Code would.

use super::{Cli, Read, claude_lines};

/// The CLI.
pub(crate) struct Mock;

impl Cli for Mock {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(claude_lines::Reader::default())
    }
}
