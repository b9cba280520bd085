//! What the entries of the table have in common.

use super::{Action, Exit, Purpose, Sequel, Settings, State, StopStep, Then};
use crate::task::{KillReason, Leftovers, MainExit, Reason, SignalNumber, StopSettings};

pub(super) const STOPPED: Reason = Reason::Killed(KillReason::StopRequested);
pub(super) const OWNER_GONE: Reason = Reason::Killed(KillReason::OwnerGone);

pub(super) fn stopping(purpose: Purpose) -> impl FnOnce(StopStep) -> State {
    move |step| State::Stopping { purpose, step }
}

pub(super) fn clearing(then: Then) -> impl FnOnce(StopStep) -> State {
    move |step| State::Clearing { then, step }
}

/// What follows a run that ended like this; `reason` is set where it was ended for a limit.
pub(super) fn sequel(settings: Settings, exit: Exit, reason: Option<Reason>) -> Sequel {
    match (exit, reason) {
        // For whom should it go on?
        (_, Some(OWNER_GONE)) => Sequel::End,
        (_, Some(Reason::COMPLETED)) | (Some(MainExit::Code(0)), None) => settings.after_success,
        _ => settings.after_failure,
    }
}

/// What follows a main process that ended by itself.
pub(super) fn after(settings: Settings, exit: Exit) -> Then {
    match sequel(settings, exit, None) {
        Sequel::Run { delay_ms } => Then::RunAgain {
            exit,
            reason: None,
            delay_ms,
        },
        Sequel::End => Then::RecordEnd(exit),
        Sequel::GiveUp => Then::GiveUp(exit, None),
    }
}

pub(super) fn main_ended_by_itself(
    settings: Settings,
    exit: Exit,
    alone: bool,
) -> (State, Vec<Action>) {
    if let (false, Leftovers::Wait, Some(exit)) = (alone, settings.leftovers, exit) {
        let linger = Action::RecordLingering(exit);
        return (State::Lingering { exit }, vec![linger]);
    }
    let then = after(settings, exit);
    if alone {
        return finish(settings, then);
    }
    let (then, mut actions) = then.recorded_at_once();
    let (state, mut asking) = ask(settings.stop, STOPPED, clearing(then));
    // What is left was never told that the task is stopped, so this is no stop request.
    asking.retain(|action| !matches!(action, Action::NoteStopRequest(..)));
    actions.extend(asking);
    (state, actions)
}

pub(super) fn main_ended_as_asked(
    settings: Settings,
    purpose: Purpose,
    step: StopStep,
    exit: Exit,
    alone: bool,
) -> (State, Vec<Action>) {
    let then = match purpose {
        Purpose::Restart => Then::HandOver(exit),
        Purpose::End(STOPPED) => Then::RecordStopped(exit, STOPPED),
        Purpose::End(reason) => match sequel(settings, exit, Some(reason)) {
            Sequel::End => Then::RecordStopped(exit, reason),
            Sequel::GiveUp => Then::GiveUp(exit, Some(reason)),
            Sequel::Run { delay_ms } => Then::RunAgain {
                exit,
                reason: Some(reason),
                delay_ms,
            },
        },
    };
    if alone {
        return finish(settings, then);
    }
    let (then, actions) = then.recorded_at_once();
    (State::Clearing { then, step }, actions)
}

impl Then {
    /// Whoever waits for the end need not wait for what is left: it is recorded before that is gone.
    fn recorded_at_once(self) -> (Self, Vec<Action>) {
        match self.record() {
            Some(record) => (Self::Leave, vec![record]),
            None => (self, Vec::new()),
        }
    }

    /// How the end is put on record, if this is one.
    fn record(self) -> Option<Action> {
        match self {
            Self::RecordEnd(exit) => Some(Action::RecordEnd(exit)),
            Self::RecordStopped(exit, reason) => Some(Action::RecordStopped(exit, reason)),
            Self::GiveUp(exit, reason) => Some(Action::RecordGivenUp(exit, reason)),
            Self::Leave | Self::HandOver(_) | Self::RunAgain { .. } => None,
        }
    }

    /// The same after a stop.
    pub(super) fn stopped(self) -> Self {
        match self {
            Self::HandOver(exit) | Self::RunAgain { exit, .. } => {
                Self::RecordStopped(exit, STOPPED)
            }
            other => other,
        }
    }

    /// The same after a wish for a restart: it does not wait for the delay.
    pub(super) fn restarted(self) -> Self {
        match self {
            Self::RunAgain { exit, .. } => Self::HandOver(exit),
            other => other,
        }
    }
}

pub(super) fn finish(settings: Settings, then: Then) -> (State, Vec<Action>) {
    match then {
        Then::HandOver(exit) => (
            State::Ended,
            vec![Action::RecordRestarting(exit), Action::Leave],
        ),
        Then::RunAgain {
            exit,
            reason,
            delay_ms,
        } => {
            let back_off = Action::BackOff {
                exit,
                reason,
                delay_ms,
            };
            (State::BackingOff, vec![back_off])
        }
        then => end(settings, then.record()),
    }
}

/// The task has ended for good, and nothing of it is left; `record` unless that is on record.
pub(super) fn end(settings: Settings, record: Option<Action>) -> (State, Vec<Action>) {
    let (state, last) = if settings.has_hook {
        (State::Hooking, Action::RunHook)
    } else {
        (State::Ended, Action::Leave)
    };
    (state, record.into_iter().chain([last]).collect())
}

/// The end of a task that has no process at present.
pub(super) fn end_without_process(
    settings: Settings,
    stop: StopSettings,
    reason: Reason,
) -> (State, Vec<Action>) {
    let (state, mut actions) = end(settings, Some(Action::RecordStopped(None, reason)));
    actions.insert(0, Action::NoteStopRequest(stop, reason));
    (state, actions)
}

pub(super) fn kill(state: impl FnOnce(StopStep) -> State) -> (State, Vec<Action>) {
    (state(StopStep::Killing), vec![Action::KillTree])
}

/// Begins a stop sequence.
pub(super) fn ask(
    stop: StopSettings,
    reason: Reason,
    state: impl FnOnce(StopStep) -> State,
) -> (State, Vec<Action>) {
    let note = Action::NoteStopRequest(stop, reason);
    if stop.signal == SignalNumber::KILL {
        return (state(StopStep::Killing), vec![note, Action::KillTree]);
    }
    let actions = vec![
        note,
        Action::SignalTree(stop.signal),
        Action::LimitGrace(stop.grace_ms),
    ];
    (state(StopStep::Asked), actions)
}

/// Asks once more while a stop sequence is under way: it can only become harsher.
pub(super) fn ask_again(
    stop: StopSettings,
    step: StopStep,
    state: impl FnOnce(StopStep) -> State,
) -> (State, Vec<Action>) {
    match step {
        StopStep::Asked => ask(stop, STOPPED, state),
        StopStep::Killing => (
            state(StopStep::Killing),
            vec![Action::NoteStopRequest(stop, STOPPED)],
        ),
    }
}
