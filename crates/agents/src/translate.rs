//! A conversation, run by run: what its task printed becomes events, and a sum.

use background_tasks_core::event::{Run, RunEnd, StreamName, Told, Translate};
use background_tasks_core::request::Include;
use background_tasks_core::task::{Extension, FailReason, KillReason, Reason};

use crate::event::{AgentEvent, Usage};
use crate::kept::Kept;
use crate::parser::Parser;
use crate::verdict::Outcome;

/// Reads the lines of agents; for [`background_tasks_core::Client::translating`].
pub fn open_translator(extension: &Extension, include: &[Include]) -> Option<Box<dyn Translate>> {
    let kept = Kept::of(extension).ok()?;
    let conversation = Conversation::new(kept, include.contains(&Include::Raw));
    Some(Box::new(conversation))
}

/// A conversation as it is read.
pub(crate) struct Conversation {
    kept: Kept,
    /// Whether each event shows the line that it was made of.
    gives_raw: bool,
    run: u32,
    parser: Option<Parser>,
    /// Of the runs that have ended.
    sum: Sum,
}

/// What the runs of a conversation come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub session_id: Option<String>,
    /// Whether a run has told of it; otherwise it is that which the conversation began with.
    pub is_session_told: bool,
    pub model: Option<String>,
    pub usage: Usage,
    pub cost_usd: Option<f64>,
    pub last_text: String,
    pub unparsed_lines: u64,
    /// What the present session has used in all.
    pub used: Usage,
}

impl Conversation {
    pub(crate) fn new(kept: Kept, gives_raw: bool) -> Self {
        // A session that was another task's has been counted there.
        let sum = Sum {
            session_id: kept.resume.clone(),
            used: kept.used.unwrap_or_default(),
            ..Sum::default()
        };
        Self {
            kept,
            gives_raw,
            run: 0,
            parser: None,
            sum,
        }
    }

    /// What there is so far, the present run included.
    pub(crate) fn sum(&self) -> Sum {
        let mut sum = self.sum.clone();
        if let Some(parser) = &self.parser {
            sum.add(parser);
        }
        sum
    }

    fn outcome(&self, end: &RunEnd) -> Outcome {
        let by_itself = match (end.exit_code, end.signal) {
            (Some(code), _) => Outcome::Exited(code),
            (None, Some(signal)) => Outcome::Signalled(signal),
            (None, None) => Outcome::Lost,
        };
        match end.reason {
            None => by_itself,
            Some(Reason::Exited(_)) => Outcome::Completed,
            Some(Reason::Failed(FailReason::RestartLimit)) => by_itself,
            Some(Reason::Failed(FailReason::SupervisorLost | FailReason::HostRebooted)) => {
                Outcome::Lost
            }
            Some(Reason::Failed(reason)) => Outcome::Failed(reason),
            Some(Reason::Killed(reason)) => match reason {
                KillReason::StopRequested | KillReason::OwnerGone => Outcome::Stopped,
                KillReason::TimedOut => Outcome::TimedOut {
                    ms: self.kept.timeout_ms.unwrap_or_default(),
                },
                KillReason::Idle => Outcome::Idle {
                    ms: self.kept.idle_timeout_ms.unwrap_or_default(),
                },
                KillReason::OutOfMemory | KillReason::Unhealthy | KillReason::Signalled => {
                    by_itself
                }
            },
        }
    }

    fn told(&self, event: AgentEvent, line: Option<&str>) -> Told {
        let only_with = matches!(event, AgentEvent::Thinking { .. }).then_some(Include::Thinking);
        let r#type = event.name();
        let mut data = event.into_data(self.run);
        if let Some(line) = line.filter(|_| self.gives_raw) {
            data.insert("raw".to_owned(), line.into());
        }
        Told {
            r#type,
            data: data.into(),
            only_with,
        }
    }
}

impl Sum {
    fn add(&mut self, parser: &Parser) {
        let session = parser.session_id();
        self.is_session_told |= session.is_some();
        if session.is_some() && session != self.session_id.as_deref() {
            self.session_id = session.map(str::to_owned);
            self.used = Usage::default();
        }
        if let Some(model) = parser.model() {
            self.model = Some(model.to_owned());
        }
        self.usage = self.usage + parser.usage();
        self.used = self.used + parser.usage();
        self.cost_usd = match (self.cost_usd, parser.cost_usd()) {
            (Some(before), Some(now)) => Some(before + now),
            (before, now) => before.or(now),
        };
        if !parser.last_text().is_empty() {
            parser.last_text().clone_into(&mut self.last_text);
        }
        self.unparsed_lines += parser.unparsed_lines();
    }
}

impl Translate for Conversation {
    fn begin(&mut self, run: Run) {
        self.run = run.number;
        self.parser = Some(Parser::new(self.kept.spec.provider));
    }

    fn line(&mut self, stream: StreamName, line: &str, told: &mut Vec<Told>) {
        let Some(parser) = &mut self.parser else {
            return;
        };
        // An unfinished line keeps what a terminal's line would end with.
        let line = line.strip_suffix('\r').unwrap_or(line);
        if stream == StreamName::STDERR {
            parser.stderr(line.as_bytes());
            return;
        }
        let was_named = parser.session_id().is_some();
        let events = parser.line(line.as_bytes());
        if !was_named && parser.session_id().is_some() {
            // Some count a session on from run to run.
            if parser.session_id() == self.sum.session_id.as_deref() {
                parser.resumed_from(self.sum.used);
            }
        }
        told.extend(events.into_iter().map(|event| self.told(event, Some(line))));
    }

    fn end(&mut self, end: &RunEnd, told: &mut Vec<Told>) {
        let outcome = self.outcome(end);
        let Some(mut parser) = self.parser.take() else {
            return;
        };
        if end.is_cut {
            parser.lines_are_gone();
        }
        self.sum.add(&parser);
        let line = parser.terminal_line(outcome);
        let line = line.map(|line| String::from_utf8_lossy(line).into_owned());
        for event in parser.finish(outcome) {
            let line = line.as_deref().filter(|_| event.is_terminal());
            told.push(self.told(event, line));
        }
    }
}
