//! A recorded log in any cuts: lines, runs, and numbered frames.

use memchr::memchr;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::event::{AgentEvent, Usage};
use crate::parser::Parser;
use crate::provider::Provider;
use crate::verdict::Outcome;

/// The longest line that is read; of a longer one it is only known that it was there.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// One event, as `agent parse` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TranscriptFrame {
    /// What kind of thing; says what `data` holds.
    pub r#type: &'static str,
    /// Counts up by one from 0.
    pub sequence: u64,
    /// The facts, with the number of the run, from 1.
    pub data: Map<String, Value>,
}

/// What is told beside the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// What the agent thinks.
    pub thinking: bool,
    /// The line that each event was made of.
    pub raw: bool,
}

/// Makes frames of the bytes of a log with one run or several. How the bytes are cut makes no
/// difference.
pub struct Transcript {
    provider: Provider,
    include: Include,
    runs: Runs,
    /// A line that has no end yet.
    rest: Vec<u8>,
    /// Whether the line that has no end yet is too long already.
    is_oversized: bool,
}

struct Runs {
    parser: Parser,
    run: u32,
    sequence: u64,
    /// Whether the run has a line.
    has_begun: bool,
    /// The session of the run before, and all that it had used by then.
    before: Option<(String, Usage)>,
}

impl Transcript {
    /// For a log that begins.
    pub fn new(provider: Provider, include: Include) -> Self {
        Self {
            provider,
            include,
            runs: Runs {
                parser: Parser::new(provider),
                run: 1,
                sequence: 0,
                has_begun: false,
                before: None,
            },
            rest: Vec::new(),
            is_oversized: false,
        }
    }

    /// Reads more of the log.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(TranscriptFrame)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.rest.is_empty() && !self.is_oversized && line.len() <= MAX_LINE_BYTES {
                self.line(line, sink);
            } else {
                self.keep(line);
                self.end_line(sink);
            }
        }
        self.keep(bytes);
    }

    /// Ends the log.
    pub fn finish(mut self, sink: &mut impl FnMut(TranscriptFrame)) {
        if !self.rest.is_empty() || self.is_oversized {
            self.end_line(sink);
        }
        if self.runs.has_begun {
            let next = Parser::new(self.provider);
            self.runs.finish(next, self.include, sink);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.is_oversized |= self.rest.len() + bytes.len() > MAX_LINE_BYTES;
        if self.is_oversized {
            self.rest = Vec::new();
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, sink: &mut impl FnMut(TranscriptFrame)) {
        if std::mem::take(&mut self.is_oversized) {
            self.runs.has_begun = true;
            self.runs.parser.oversized_line();
            return;
        }
        let mut line = std::mem::take(&mut self.rest);
        self.line(&line, sink);
        line.clear();
        self.rest = line;
    }

    fn line(&mut self, line: &[u8], sink: &mut impl FnMut(TranscriptFrame)) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Self {
            provider,
            include,
            runs,
            ..
        } = self;
        if runs.parser.is_complete() && runs.parser.begins_run(line) {
            runs.begin_next(*provider, *include, sink);
        }
        runs.has_begun |= !line.is_empty();
        let was_named = runs.parser.session_id().is_some();
        let events = runs.parser.line(line);
        if !was_named
            && let (Some(session), Some((before, used))) =
                (runs.parser.session_id(), runs.before.as_ref())
            && session == before
        {
            runs.parser.resumed_from(*used);
        }
        for event in events {
            let frame = frame(event, runs.run, &mut runs.sequence, *include, Some(line));
            frame.into_iter().for_each(&mut *sink);
        }
    }
}

impl Runs {
    fn begin_next(
        &mut self,
        provider: Provider,
        include: Include,
        sink: &mut impl FnMut(TranscriptFrame),
    ) {
        let session = self.parser.session_id().map(str::to_owned);
        let of_session = self
            .before
            .take()
            .filter(|(before, _)| session.as_ref() == Some(before));
        let used = of_session.map(|(_, used)| used).unwrap_or_default() + self.parser.usage();
        self.before = session.map(|session| (session, used));
        let next = Parser::new(provider);
        self.finish(next, include, sink);
        self.run += 1;
    }

    /// Tells the end of the run; the next has a parser of its own.
    fn finish(&mut self, next: Parser, include: Include, sink: &mut impl FnMut(TranscriptFrame)) {
        let parser = std::mem::replace(&mut self.parser, next);
        let line = parser
            .terminal_line(Outcome::EndOfInput)
            .map(<[u8]>::to_vec);
        for event in parser.finish(Outcome::EndOfInput) {
            let line = line.as_deref().filter(|_| event.is_terminal());
            let frame = frame(event, self.run, &mut self.sequence, include, line);
            frame.into_iter().for_each(&mut *sink);
        }
    }
}

fn frame(
    event: AgentEvent,
    run: u32,
    sequence: &mut u64,
    include: Include,
    line: Option<&[u8]>,
) -> Option<TranscriptFrame> {
    if !include.thinking && matches!(event, AgentEvent::Thinking { .. }) {
        return None;
    }
    let r#type = event.name();
    let mut data = event.into_data(run);
    if let Some(line) = line.filter(|_| include.raw) {
        data.insert("raw".into(), String::from_utf8_lossy(line).into());
    }
    let frame = TranscriptFrame {
        r#type,
        sequence: *sequence,
        data,
    };
    *sequence += 1;
    Some(frame)
}
