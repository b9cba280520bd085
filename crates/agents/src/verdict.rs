//! How a run ended: what its lines say, held against what became of its process.

use background_tasks_core::task::{FailReason, SignalNumber};

use crate::event::{AgentError, AgentEvent, Category};
use crate::evidence::{NOT_EXECUTED, evidence, explained, unbegun};
use crate::provider::Provider;
use crate::run::{End, Run};
use crate::tail::Tail;

/// What became of the process of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited.
    Exited(i32),
    /// A signal that nobody here sent ended it.
    Signalled(SignalNumber),
    /// It had printed its last line and did not exit, so it was ended.
    Completed,
    /// It was asked to stop, or its owner is gone.
    Stopped,
    /// It ran for longer than it may.
    TimedOut {
        /// The limit in milliseconds.
        ms: u64,
    },
    /// It was silent for longer than it may.
    Idle {
        /// The limit in milliseconds.
        ms: u64,
    },
    /// The task failed, and its run was ended.
    Failed(FailReason),
    /// Nobody knows: the machine or the supervisor went down.
    Lost,
    /// There is no process, only its lines.
    EndOfInput,
}

/// The one terminal event of a run.
pub(crate) fn verdict(
    provider: Provider,
    run: &Run,
    tail: &Tail,
    outcome: Outcome,
    known_code: Option<Category>,
) -> AgentEvent {
    let ended = |error, synthetic| AgentEvent::End {
        error,
        usage: run.usage(),
        cost_usd: run.cost_usd(),
        synthetic,
    };
    let end = run.end().filter(|end| counts(end, outcome));
    if outcome == Outcome::Stopped {
        let error = AgentError::new(Category::Stopped, "it was stopped on request");
        return ended(Some(error), end.is_none());
    }
    if let Some(end) = end {
        let error = match end.error.clone() {
            Some(error) => Some(explained(error, run, tail)),
            None => despite_success(provider, run, tail, outcome),
        };
        return ended(error, end.synthetic);
    }
    if let Some(error) = own_limit(outcome) {
        return ended(Some(error), true);
    }
    if run.is_cut() && matches!(outcome, Outcome::Exited(0) | Outcome::Completed) {
        return ended(None, true);
    }
    if outcome == Outcome::Exited(NOT_EXECUTED.into())
        && let Some(error) = unbegun(run, tail)
    {
        return ended(Some(error), true);
    }
    let evidence = evidence(run, tail);
    let known = evidence
        .clone()
        .filter(|error| error.category != Category::Unknown)
        .or_else(|| Some(from_exit_code(provider, known_code?, outcome, tail.shown())));
    match (outcome, known) {
        (_, Some(error)) => ended(Some(error), true),
        (Outcome::Exited(0) | Outcome::EndOfInput | Outcome::Completed, None) => {
            let error = evidence.unwrap_or_else(|| {
                AgentError::new(
                    Category::Unknown,
                    &format!("{provider} ended without a result"),
                )
            });
            ended(Some(error), true)
        }
        (_, None) => AgentEvent::Crashed {
            message: crash_message(provider, outcome, evidence.as_ref()),
            exit_code: match outcome {
                Outcome::Exited(code) => Some(code),
                _ => None,
            },
            signal: match outcome {
                Outcome::Signalled(signal) => Some(signal),
                _ => None,
            },
            output: tail.shown().to_owned(),
        },
    }
}

/// Whether what the provider said of its end holds.
pub(crate) fn counts(end: &End, outcome: Outcome) -> bool {
    end.is_final
        || match outcome {
            Outcome::Exited(0) | Outcome::EndOfInput | Outcome::Completed => true,
            // It had gone on, and this is what it came to.
            Outcome::TimedOut { .. } | Outcome::Idle { .. } => false,
            _ => !end.synthetic,
        }
}

/// A process that failed after it said that all went well.
fn despite_success(
    provider: Provider,
    run: &Run,
    tail: &Tail,
    outcome: Outcome,
) -> Option<AgentError> {
    let fate = match outcome {
        Outcome::Exited(code) if code != 0 => format!("exited with code {code}"),
        Outcome::Signalled(signal) => format!("was ended by {signal}"),
        _ => return None,
    };
    let said = format!("{provider} {fate} after it had reported success");
    Some(match evidence(run, tail) {
        Some(error) => AgentError {
            message: format!("{said}: {}", error.message),
            ..error
        },
        None => AgentError::new(Category::Unknown, &said),
    })
}

fn own_limit(outcome: Outcome) -> Option<AgentError> {
    let message = match outcome {
        Outcome::TimedOut { ms } => format!("it ran for longer than its {ms} ms"),
        Outcome::Idle { ms } => format!("it was silent for {ms} ms"),
        _ => return None,
    };
    Some(AgentError::new(Category::Limit, &message))
}

/// Some CLIs tell the reason by their exit code; the words for it are the last that they printed.
fn from_exit_code(
    provider: Provider,
    category: Category,
    outcome: Outcome,
    output: &str,
) -> AgentError {
    let last_line = output.lines().rev().find(|line| !line.trim().is_empty());
    let Outcome::Exited(code) = outcome else {
        return AgentError::new(category, last_line.unwrap_or_default());
    };
    let unsaid = format!("{provider} exited with code {code}");
    AgentError::new(category, last_line.unwrap_or(&unsaid))
}

fn crash_message(provider: Provider, outcome: Outcome, evidence: Option<&AgentError>) -> String {
    let fate = match outcome {
        Outcome::Exited(code) => format!("exited with code {code} without a result"),
        Outcome::Signalled(signal) => format!("was ended by {signal} without a result"),
        Outcome::Failed(FailReason::SpawnFailed) => "could not be executed".to_owned(),
        Outcome::Failed(reason) => {
            format!("was ended without a result, because of {}", reason.as_str())
        }
        _ => "was lost before it had a result: its machine or supervisor went down".to_owned(),
    };
    match evidence {
        Some(error) => format!("{provider} {fate}: {}", error.message),
        None => format!("{provider} {fate}"),
    }
}
