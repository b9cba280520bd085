//! Lines that are told in another language: what a task's command prints is read by whoever knows
//! its format, and told as frames of that reader's own kind instead of `task.log.line`.

use serde_json::Value;

use super::StreamName;
use crate::request::Include;
use crate::task::{Extension, Reason, SignalNumber};

/// Reads what a task has printed, run by run, and tells it in frames of its own kind.
///
/// What it tells may depend on nothing but what it is given: a reader that goes on behind a cursor
/// has everything of that run told anew, up to there, and passes it over.
pub trait Translate {
    /// A run begins.
    fn begin(&mut self, run: Run);

    /// A line of the run, without its end. What is told of a line of standard error counts for
    /// nothing: it may come sooner or later than the lines of standard output beside it.
    fn line(&mut self, stream: StreamName, line: &str, told: &mut Vec<Told>);

    /// The run is over.
    fn end(&mut self, end: &RunEnd, told: &mut Vec<Told>);
}

impl<T: Translate + ?Sized> Translate for &mut T {
    fn begin(&mut self, run: Run) {
        (**self).begin(run);
    }
    fn line(&mut self, stream: StreamName, line: &str, told: &mut Vec<Told>) {
        (**self).line(stream, line, told);
    }
    fn end(&mut self, end: &RunEnd, told: &mut Vec<Told>) {
        (**self).end(end, told);
    }
}

/// A run that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which execution of the command, from 1.
    pub number: u32,
    /// Which piece of the task's work it is about, 0 where it takes none.
    pub work: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// The exit code of its main process.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<SignalNumber>,
    /// Why it was ended, or could not go on.
    pub reason: Option<Reason>,
    /// The same for people, where it failed.
    pub problem: Option<String>,
    /// Whether some of what it printed on standard output has been freed.
    pub is_cut: bool,
}

/// One thing that a translator tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The `type` of the frame.
    pub r#type: &'static str,
    /// Its `data`.
    pub data: Value,
    /// It is given only to who asks for such.
    pub only_with: Option<Include>,
}

/// Opens a translator for a task with this extension, where it knows its kind.
pub type OpenTranslator = fn(&Extension, &[Include]) -> Option<Box<dyn Translate>>;
