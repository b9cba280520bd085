//! The table.

use super::{Action, Event, Exit, Purpose, Sequel, Settings, State, StopStep, Then};
use crate::task::{KillReason, Leftovers, MainExit, SignalNumber, StopSettings};

/// One step: where the supervisor stands now, and what it is to do on the way.
pub(crate) fn step(settings: Settings, state: State, event: Event) -> (State, Vec<Action>) {
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Running, E::MainEnded { exit, alone }) => main_ended_by_itself(settings, exit, alone),
        (S::Running, E::Stop(stop)) => ask(stop, STOPPED, stopping(Purpose::End(STOPPED))),
        (S::Running, E::Restart(stop)) => ask(stop, STOPPED, stopping(Purpose::Restart)),
        (S::Running, E::Limit(reason)) => {
            ask(settings.stop, reason, stopping(Purpose::End(reason)))
        }
        (S::Running, E::NotExecuted) => (S::Ended, vec![Action::Leave]),

        (S::Lingering { exit }, E::TreeGone) => finish(after(settings, Some(exit))),
        (S::Lingering { exit }, E::Stop(stop)) => ask(
            stop,
            STOPPED,
            clearing(Then::RecordStopped(Some(exit), STOPPED)),
        ),
        (S::Lingering { exit }, E::Restart(stop)) => {
            ask(stop, STOPPED, clearing(Then::HandOver(Some(exit))))
        }
        (S::Lingering { exit }, E::Limit(reason)) => ask(
            settings.stop,
            reason,
            clearing(Then::RecordStopped(Some(exit), reason)),
        ),

        (S::Stopping { purpose, step }, E::MainEnded { exit, alone }) => {
            main_ended_as_asked(settings, purpose, step, exit, alone)
        }
        (S::Stopping { purpose, .. }, E::GraceOver) => kill(stopping(purpose)),
        // A stop outranks what it interrupts.
        (S::Stopping { step, .. }, E::Stop(stop)) => {
            ask_again(stop, step, stopping(Purpose::End(STOPPED)))
        }
        // So does a restart outrank the end for a limit.
        (
            S::Stopping {
                purpose: Purpose::End(reason),
                step,
            },
            E::Restart(stop),
        ) if reason != STOPPED => ask_again(stop, step, stopping(Purpose::Restart)),

        (S::Clearing { then, .. }, E::TreeGone) => finish(then),
        (S::Clearing { then, .. }, E::GraceOver) => kill(clearing(then)),
        (S::Clearing { then, step }, E::Stop(stop)) => {
            ask_again(stop, step, clearing(then.stopped()))
        }
        (S::Clearing { then, step }, E::Restart(_)) => {
            let then = then.restarted();
            (S::Clearing { then, step }, Vec::new())
        }

        (S::BackingOff, E::DelayOver) => (S::Running, vec![Action::Execute]),
        (S::BackingOff, E::Stop(stop)) => (
            S::Ended,
            vec![
                Action::NoteStopRequest(stop, STOPPED),
                Action::RecordStopped(None, STOPPED),
                Action::Leave,
            ],
        ),
        (S::BackingOff, E::Restart(_)) => (S::Ended, vec![Action::HandOver, Action::Leave]),

        // Written out so that a new state or event has to be thought about.
        (S::Running, E::TreeGone | E::GraceOver | E::DelayOver)
        | (
            S::Lingering { .. },
            E::MainEnded { .. } | E::GraceOver | E::DelayOver | E::NotExecuted,
        )
        | (
            S::Stopping { .. },
            E::TreeGone | E::Restart(_) | E::Limit(_) | E::DelayOver | E::NotExecuted,
        )
        | (S::Clearing { .. }, E::MainEnded { .. } | E::Limit(_) | E::DelayOver | E::NotExecuted)
        | (
            S::BackingOff,
            E::MainEnded { .. } | E::TreeGone | E::Limit(_) | E::GraceOver | E::NotExecuted,
        )
        | (S::Ended, _) => (state, Vec::new()),
    }
}

const STOPPED: KillReason = KillReason::StopRequested;

fn stopping(purpose: Purpose) -> impl FnOnce(StopStep) -> State {
    move |step| State::Stopping { purpose, step }
}

fn clearing(then: Then) -> impl FnOnce(StopStep) -> State {
    move |step| State::Clearing { then, step }
}

/// What follows a run that ended like this; `reason` is set where it was ended for a limit.
fn sequel(settings: Settings, exit: Exit, reason: Option<KillReason>) -> Sequel {
    match (exit, reason) {
        (Some(MainExit::Code(0)), None) => settings.after_success,
        _ => settings.after_failure,
    }
}

/// What follows a main process that ended by itself.
fn after(settings: Settings, exit: Exit) -> Then {
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

fn main_ended_by_itself(settings: Settings, exit: Exit, alone: bool) -> (State, Vec<Action>) {
    if let (false, Leftovers::Wait, Some(exit)) = (alone, settings.leftovers, exit) {
        let linger = Action::RecordLingering(exit);
        return (State::Lingering { exit }, vec![linger]);
    }
    let then = after(settings, exit);
    if alone {
        return finish(then);
    }
    let (then, mut actions) = then.recorded_at_once();
    let (state, mut asking) = ask(settings.stop, STOPPED, clearing(then));
    // What is left was never told that the task is stopped, so this is no stop request.
    asking.retain(|action| !matches!(action, Action::NoteStopRequest(..)));
    actions.extend(asking);
    (state, actions)
}

fn main_ended_as_asked(
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
        return finish(then);
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
    fn stopped(self) -> Self {
        match self {
            Self::HandOver(exit) | Self::RunAgain { exit, .. } => {
                Self::RecordStopped(exit, STOPPED)
            }
            other => other,
        }
    }

    /// The same after a wish for a restart: it does not wait for the delay.
    fn restarted(self) -> Self {
        match self {
            Self::RunAgain { exit, .. } => Self::HandOver(exit),
            other => other,
        }
    }
}

fn finish(then: Then) -> (State, Vec<Action>) {
    let action = match then {
        Then::HandOver(exit) => Some(Action::RecordRestarting(exit)),
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
            return (State::BackingOff, vec![back_off]);
        }
        then => then.record(),
    };
    (
        State::Ended,
        action.into_iter().chain([Action::Leave]).collect(),
    )
}

fn kill(state: impl FnOnce(StopStep) -> State) -> (State, Vec<Action>) {
    (state(StopStep::Killing), vec![Action::KillTree])
}

/// Begins a stop sequence.
fn ask(
    stop: StopSettings,
    reason: KillReason,
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
fn ask_again(
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
