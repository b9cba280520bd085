//! Claude Code: `--output-format stream-json`.

use super::{Cli, Read, claude_lines};

/// The CLI.
pub(crate) struct Claude;

impl Cli for Claude {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(claude_lines::Reader::default())
    }
}
