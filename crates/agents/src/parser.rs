//! One run of one provider, line by line.

use crate::event::{AgentEvent, Usage};
use crate::line::{Cleaned, Line};
use crate::provider::{Provider, Read};
use crate::run::Run;
use crate::tail::Tail;
use crate::verdict::{Outcome, counts, verdict};

/// Makes events of the lines of one run. A pure function of them: the same lines in the same order
/// make the same events.
///
/// The end is held until [`finish`](Self::finish), since only the fate of the process makes it true.
pub struct Parser {
    provider: Provider,
    reader: Box<dyn Read>,
    run: Run,
    tail: Tail,
    /// The last line that told of the end.
    terminal_line: Option<Vec<u8>>,
}

impl Parser {
    /// For a run that begins.
    pub fn new(provider: Provider) -> Self {
        Self {
            provider,
            reader: provider.cli().reader(),
            run: Run::default(),
            tail: Tail::default(),
            terminal_line: None,
        }
    }

    /// Says what the session had used before this run. Codex counts a session on when it resumes
    /// one; for others this changes nothing.
    pub fn resumed_from(&mut self, before: Usage) {
        self.run.resumed_from(before);
    }

    /// Reads a complete line of standard output, without its newline.
    pub fn line(&mut self, raw: &[u8]) -> Vec<AgentEvent> {
        let cleaned = Cleaned::new(raw);
        match cleaned.line() {
            Line::Json(kind, object) => self.reader.line(kind, &object, &mut self.run),
            Line::Plain(text) if text.trim().is_empty() => {}
            Line::Plain(text) => {
                if !self.reader.banner(text, &mut self.run) {
                    self.run.unknown();
                    self.plain(text);
                }
            }
        }
        if self.run.take_progress() {
            self.tail.progress();
        }
        self.note_end(raw);
        self.run.take_events()
    }

    /// Reads a complete line of standard error. It makes no event, but may tell why the run failed.
    /// Lines are given in the order of their time as far as it is known: what is said or done after
    /// an error shows that it was got over.
    pub fn stderr(&mut self, raw: &[u8]) {
        let cleaned = Cleaned::new(raw);
        match cleaned.line() {
            Line::Json(..) => self.plain(&String::from_utf8_lossy(raw)),
            Line::Plain(text) => self.plain(text),
        }
        self.note_end(raw);
    }

    /// Counts a line that is too long to be looked at.
    pub fn oversized_line(&mut self) {
        self.run.unknown();
        self.run.take_events();
    }

    /// Says that some of the run's lines are gone, perhaps the last ones.
    pub fn lines_are_gone(&mut self) {
        self.run.lines_are_gone();
    }

    fn note_end(&mut self, raw: &[u8]) {
        if self.run.take_end() {
            self.terminal_line = Some(raw.to_vec());
        }
    }

    /// The line that the end of the run is told of, where the provider told it and it counts.
    pub fn terminal_line(&self, outcome: Outcome) -> Option<&[u8]> {
        let _ = self.run.end().filter(|end| counts(end, outcome))?;
        self.terminal_line.as_deref()
    }

    fn plain(&mut self, text: &str) {
        self.tail.push(text);
        self.reader.diagnose(text, &mut self.run);
    }

    /// Ends the run: tools that are open are closed, and the terminal event comes last.
    pub fn finish(mut self, outcome: Outcome) -> Vec<AgentEvent> {
        self.run.close_tools();
        let known_code = match outcome {
            Outcome::Exited(code) => self.reader.exit_code(code),
            _ => None,
        };
        let last = verdict(self.provider, &self.run, &self.tail, outcome, known_code);
        let mut events = self.run.take_events();
        events.push(last);
        events
    }

    /// Whether the line can only be the first of another run.
    pub fn begins_run(&self, raw: &[u8]) -> bool {
        self.reader.begins_run(&Cleaned::new(raw).line())
    }

    /// Whether the provider printed its last line, and nothing since that shows otherwise.
    pub fn is_complete(&self) -> bool {
        self.run.is_complete()
    }

    /// The session as the provider calls it; the last one that it named.
    pub fn session_id(&self) -> Option<&str> {
        self.run.session_id()
    }

    /// The model that answers.
    pub fn model(&self) -> Option<&str> {
        self.run.model()
    }

    /// What this run used so far.
    pub fn usage(&self) -> Usage {
        self.run.usage()
    }

    /// What it cost so far, in US dollars, as far as the provider says.
    pub fn cost_usd(&self) -> Option<f64> {
        self.run.cost_usd()
    }

    /// The last text that was said, in full.
    pub fn last_text(&self) -> &str {
        self.run.last_text()
    }

    /// Lines of standard output that were no event of a known type.
    pub fn unparsed_lines(&self) -> u64 {
        self.run.unparsed_lines()
    }
}
