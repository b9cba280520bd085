//! Why a run ended that did not say so itself.

use crate::event::{AgentError, Category};
use crate::run::Run;
use crate::sign::{Sign, Signs};
use crate::tail::Tail;

/// The exit code of a run whose CLI could not be executed.
pub(crate) const NOT_EXECUTED: u8 = 127;
/// How lines begin in which this program tells why.
pub(crate) const OWN_VOICE: &str = "background-tasks: ";

/// Why the CLI could not be executed, and what to do.
pub(crate) fn unbegun(run: &Run, tail: &Tail) -> Option<AgentError> {
    let lines = tail.whole().lines();
    let mut lines = lines.filter_map(|line| line.strip_prefix(OWN_VOICE));
    let message = lines.next().filter(|_| run.session_id().is_none())?;
    let hint = lines.next().unwrap_or(Category::Unknown.hint());
    Some(AgentError {
        hint: hint.to_owned(),
        message: message.to_owned(),
        category: Category::Unknown,
        retryable: false,
    })
}

/// How a provider says that a run failed, unless that says less than its plain lines do: then they
/// are looked at once more, wherever in the run they stood.
pub(crate) fn explained(error: AgentError, run: &Run, tail: &Tail) -> AgentError {
    if error.category != Category::Unknown {
        return error;
    }
    let says_nothing = error.message.to_lowercase().contains("unknown error");
    let overheard = run.overheard();
    let known = overheard.filter(|it| says_nothing || it.category != Category::Unknown);
    match known.cloned().or_else(|| last_reason(tail.whole())) {
        None => error,
        Some(reason) if says_nothing || reason.message == error.message => reason,
        Some(reason) => AgentError {
            message: format!("{}: {}", error.message, reason.message),
            ..reason
        },
    }
}

/// What the provider told in passing, unless plain lines say more: the last of them that shows what
/// kind of trouble it is. They are searched only now, when nothing better is known.
pub(crate) fn evidence(run: &Run, tail: &Tail) -> Option<AgentError> {
    let told = run.told();
    if let Some(told) = told.filter(|told| told.category != Category::Unknown) {
        return Some(told.clone());
    }
    last_reason(tail.since_progress()).or_else(|| told.cloned())
}

fn last_reason(lines: &str) -> Option<AgentError> {
    lines.lines().rev().find_map(|line| {
        let signs = Signs::of(line);
        let category = Category::of(&signs);
        let is_reason = category != Category::Unknown && !signs.show(Sign::Aside);
        is_reason.then(|| AgentError::new(category, line))
    })
}
