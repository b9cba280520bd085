//! Mock.

use super::{Cli, Read};
use crate::line::Line;
use crate::run::Run;

/// The CLI.
pub(crate) struct Mock;

impl Cli for Mock {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
    }
}

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
