//! Which part of a history is asked for.

use super::translation::Translation;
use crate::clock::Timestamp;
use crate::event::OpenTranslator;
use crate::log::{Look, Pattern};
use crate::request::{Include, StreamChoice};
use crate::store::Observed;

/// Where a history is begun.
#[derive(Clone, Debug)]
pub(in crate::op) enum Begin {
    /// With so many of the last lines, as many as usual unless told, and all events.
    Tail(Option<usize>),
    /// At its start, as far as that is there.
    Start,
    /// The same, telling how much has been freed of it.
    Whole,
    /// With the first line of the present run.
    PresentRun,
    /// Behind a cursor, given in this field of the request.
    Behind(&'static str, String),
}

/// What of a history is wanted.
#[derive(Clone, Debug)]
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
    /// How lines are told that are not given as they are.
    pub translate: Option<OpenTranslator>,
    /// What else is told of them.
    pub include: Vec<Include>,
}

impl Wanted {
    /// What tells the lines of this task in another language, where there is one.
    pub(super) fn translation<'a>(&self, observed: &Observed) -> Option<Translation<'a>> {
        let extension = observed.record().ok()?.spec.extension.as_ref()?;
        let translator = (self.translate?)(extension, &self.include)?;
        Some(Translation::new(translator, &self.include))
    }

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
