//! The lines that say that a run is done, or not after all.

use crate::event::StreamName;
use crate::log::Pattern;
use crate::task::{Done, LinePattern};

#[derive(Debug)]
pub(super) struct DoneLines {
    done: Vec<DoneLine>,
    revoked: Vec<DoneLine>,
}

#[derive(Debug)]
struct DoneLine {
    stream: StreamName,
    pattern: Pattern,
    unless: Option<Pattern>,
    /// So many more are needed.
    missing: u32,
    needed: u32,
}

impl DoneLines {
    pub(super) fn new(done: &Done) -> Self {
        Self {
            done: compile(&done.lines),
            revoked: compile(&done.revoked_by),
        }
    }

    /// What a line says of it, if anything.
    pub(super) fn says(&mut self, stream: StreamName, line: &str) -> Option<bool> {
        let found = self.done.iter_mut().find(|it| it.matches(stream, line));
        if let Some(found) = found {
            found.missing = found.missing.saturating_sub(1);
            return (found.missing == 0).then_some(true);
        }
        let is_revoked = self.revoked.iter().any(|it| it.matches(stream, line));
        if is_revoked {
            self.done.iter_mut().for_each(|it| it.missing = it.needed);
        }
        is_revoked.then_some(false)
    }
}

impl DoneLine {
    fn matches(&self, stream: StreamName, line: &str) -> bool {
        let is_none = || self.unless.as_ref().is_some_and(|it| it.matches(line));
        self.stream == stream && self.pattern.matches(line) && !is_none()
    }
}

/// What does not compile is no pattern of an embedding program's that was ever tried.
fn compile(lines: &[LinePattern]) -> Vec<DoneLine> {
    let pattern = |text: &String| Pattern::compile("done", text).ok();
    let compile = |line: &LinePattern| {
        let needed = line.count.unwrap_or(1);
        Some(DoneLine {
            stream: line.stream,
            pattern: pattern(&line.pattern)?,
            unless: line.unless.as_ref().and_then(pattern),
            missing: needed,
            needed,
        })
    };
    lines.iter().filter_map(compile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pattern: &str) -> LinePattern {
        LinePattern {
            stream: StreamName::STDOUT,
            pattern: pattern.to_owned(),
            unless: None,
            count: None,
        }
    }

    #[test]
    fn lines_are_counted_until_something_is_taken_back() {
        let twice = LinePattern {
            unless: Some("aside".to_owned()),
            count: Some(2),
            ..line("^error")
        };
        let mut lines = DoneLines::new(&Done {
            lines: vec![line("^over"), twice],
            revoked_by: vec![line("^more")],
            grace_ms: 1,
        });
        let told = [
            "error",
            "aside error",
            "error aside",
            "more",
            "error",
            "hm",
            "error",
            "error",
            "more",
            "over",
            "error",
        ];
        let says = told.map(|line| lines.says(StreamName::STDOUT, line));
        let (yes, no) = (Some(true), Some(false));
        let expected = [None, None, None, no, None, None, yes, yes, no, yes, None];
        assert_eq!(says, expected);
        assert_eq!(lines.says(StreamName::STDERR, "over"), None);
    }
}
