//! Which part of a history is asked for.

use crate::clock::Timestamp;
use crate::log::{Look, Pattern};
use crate::request::StreamChoice;

/// Where a history is begun.
#[derive(Clone, Debug)]
pub(in crate::op) enum Begin {
    /// With so many of the last lines, and all events.
    Tail(usize),
    /// At its start.
    Start,
    /// With the first line of the present run.
    PresentRun,
    /// Behind a cursor, given in this field of the request.
    Behind(&'static str, String),
}

/// What of a history is wanted.
#[derive(Debug)]
pub(in crate::op) struct Wanted {
    pub streams: StreamChoice,
    pub look: Look,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only lines that match.
    pub pattern: Option<Pattern>,
    /// At most so many lines; it ends where one more would come.
    pub most: Option<usize>,
    /// Whether events are given beside lines.
    pub events: bool,
    /// Whether it ends with the terminal event. What is written later, by what a main process left
    /// behind, is given otherwise.
    pub ends_with_task: bool,
}

impl Wanted {
    /// How lines are read. A pattern is matched against more of a line than is shown.
    pub(super) fn reading(&self) -> Look {
        const SEARCHED: usize = 1 << 20;
        match self.pattern {
            Some(_) => Look {
                max_line_bytes: SEARCHED,
                ..self.look
            },
            None => self.look,
        }
    }
}
