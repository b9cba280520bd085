//! The lines that say that a run is done, or not after all.

use crate::event::StreamName;
use crate::log::Pattern;
use crate::task::{Done, LinePattern};

#[derive(Debug)]
pub(super) struct DoneLines {
    done: Vec<(StreamName, Pattern)>,
    revoked: Vec<(StreamName, Pattern)>,
}

impl DoneLines {
    pub(super) fn new(done: &Done) -> Self {
        Self {
            done: compile(&done.lines),
            revoked: compile(&done.revoked_by),
        }
    }

    /// What a line says of it, if anything.
    pub(super) fn says(&self, stream: StreamName, line: &str) -> Option<bool> {
        let matches = |patterns: &[(StreamName, Pattern)]| {
            let mut patterns = patterns.iter();
            patterns.any(|(of, pattern)| *of == stream && pattern.matches(line))
        };
        if matches(&self.done) {
            Some(true)
        } else {
            matches(&self.revoked).then_some(false)
        }
    }
}

/// What does not compile is no pattern of an embedding program's that was ever tried.
fn compile(lines: &[LinePattern]) -> Vec<(StreamName, Pattern)> {
    let compile = |line: &LinePattern| {
        let pattern = Pattern::compile("done", &line.pattern).ok()?;
        Some((line.stream, pattern))
    };
    lines.iter().filter_map(compile).collect()
}
