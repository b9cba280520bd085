//! What opencode tells of failed requests in its log.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Deserializer, Value};

use crate::event::AgentError;
use crate::invocation::DonePattern;

/// The forms in which its log tells of a failed request. Versions that print no JSON for it try again
/// for ever.
macro_rules! log_error {
    (stream) => {
        r#"^\s*(?:[\w.]+=\S+\s+)*level=ERROR\b.*\bmessage="stream error".*?\berror\.error="#
    };
    (session) => {
        r"^\s*ERROR\s.*?\bservice=session\.processor\b.*?\berror="
    };
    (request) => {
        r"^\s*ERROR\s.*?\bservice=llm\b.*?\berror="
    };
}
/// Titles and summaries are made beside the work; they may fail.
const ASIDE: &str = r"\bagent=(?:title|summary)\b|\bsmall=true\b|failed to generate title";

pub(super) const STREAM_ERROR: DonePattern = DonePattern::done(log_error!(stream)).unless(ASIDE);
pub(super) const SESSION_ERROR: DonePattern = DonePattern::done(log_error!(session)).unless(ASIDE);
/// One is tried again, the second is not.
pub(super) const REQUEST_ERROR: DonePattern =
    DonePattern::done(concat!(log_error!(request), r"\{"))
        .unless(ASIDE)
        .times(2);

/// What a line of the log tells.
pub(super) enum Failure {
    /// That nothing follows.
    Session(AgentError),
    /// That a request failed, which may be tried again.
    Request(AgentError),
}

impl Failure {
    pub(super) fn of(text: &str) -> Option<Self> {
        if !text.contains("ERROR") {
            return None;
        }
        let found = LOG_ERROR.captures(text)?;
        if SIDE_SHOW.is_match(text) {
            return None;
        }
        if let Some(quoted) = found.name("quoted") {
            // A text in quotes, escaped as JSON escapes.
            let said: String = serde_json::from_str(quoted.as_str())
                .unwrap_or_else(|_| quoted.as_str().trim_matches('"').to_owned());
            return Some(Self::Session(AgentError::from_text(&said)));
        }
        if let Some(said) = found.name("session") {
            return Some(Self::Session(AgentError::from_text(said.as_str())));
        }
        let json = found.name("llm")?.as_str();
        let mut values = Deserializer::from_str(json).into_iter::<Value>();
        Some(Self::Request(match values.next() {
            Some(Ok(value)) => AgentError::from_value(&value),
            _ => AgentError::from_text(json),
        }))
    }
}

/// With what it says in each form.
static LOG_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        log_error!(stream),
        r#"(?<quoted>"(?:[^"\\]|\\.)*"?|\S+)"#,
        r"|",
        log_error!(session),
        r"(?<session>.*?)(?:\s+stack=.*)?$",
        r"|",
        log_error!(request),
        r"(?<llm>\{.*)$",
    ))
    .expect("the pattern is fixed")
});

static SIDE_SHOW: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(ASIDE).expect("the pattern is fixed"));
