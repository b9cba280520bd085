//! The table.

use super::{Action, Event, Exit, Purpose, Sequel, Settings, State, StopStep, Then};
use crate::task::{KillReason, Leftovers, MainExit, Reason, Recipient, SignalNumber, StopSettings};

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
        (S::Running, E::NotExecuted) => end(settings, None),

        (S::Running | S::Lingering { .. }, E::Pause) => (state, vec![Action::PauseTree]),
        (S::Running | S::Lingering { .. }, E::Resume) => (state, vec![Action::ResumeTree]),
        // Also to what is being ended: whoever sends it knows the program.
        (S::Running | S::Stopping { .. }, E::Signal(signal, recipient)) => {
            (state, vec![Action::Deliver(signal, recipient)])
        }
        (S::Lingering { .. } | S::Clearing { .. }, E::Signal(signal, Recipient::Tree)) => {
            (state, vec![Action::Deliver(signal, Recipient::Tree)])
        }

        (S::Lingering { exit }, E::TreeGone) => finish(settings, after(settings, Some(exit))),
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
        // Without its owner no other run follows.
        (
            S::Stopping {
                purpose: Purpose::End(reason),
                step,
            },
            E::Limit(OWNER_GONE),
        ) if reason != STOPPED && matches!(settings.after_failure, Sequel::Run { .. }) => (stopping(Purpose::End(OWNER_GONE))(step), Vec::new()),
        // So does a restart outrank the end for a limit.
        (
            S::Stopping {
                purpose: Purpose::End(reason),
                step,
            },
            E::Restart(stop),
        ) if reason != STOPPED => ask_again(stop, step, stopping(Purpose::Restart)),

        (S::Clearing { then, .. }, E::TreeGone) => finish(settings, then),
        (S::Clearing { then, .. }, E::GraceOver) => kill(clearing(then)),
        (S::Clearing { then, step }, E::Stop(stop)) => {
            ask_again(stop, step, clearing(then.stopped()))
        }
        (S::Clearing { then, step }, E::Restart(_)) => {
            let then = then.restarted();
            (S::Clearing { then, step }, Vec::new())
        }
        (
            S::Clearing {
                then: Then::RunAgain { exit, .. },
                step,
            },
            E::Limit(OWNER_GONE),
        ) => (
            clearing(Then::RecordStopped(exit, OWNER_GONE))(step),
            Vec::new(),
        ),

        (S::Queued, E::TurnCame) | (S::BackingOff, E::DelayOver) => {
            (S::Running, vec![Action::Execute])
        }
        (S::Queued | S::BackingOff, E::Stop(stop)) => end_without_process(settings, stop, STOPPED),
        (S::Queued | S::BackingOff, E::Limit(reason)) => {
            end_without_process(settings, settings.stop, reason)
        }
        (S::Queued | S::BackingOff, E::Restart(_)) => {
            (S::Ended, vec![Action::HandOver, Action::Leave])
        }
        (S::Queued, E::DependencyFailed) => end(settings, Some(Action::RecordDependencyFailed)),

        (S::Hooking, E::HookEnded) => (S::Ended, vec![Action::Leave]),
        (S::Hooking, E::HookTimedOut) => (state, vec![Action::KillHook]),

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
        // A wish that is too late, or for a process that is not there, changes nothing.
        | (S::Stopping { .. } | S::Clearing { .. }, E::Pause | E::Resume)
        | (S::Lingering { .. } | S::Clearing { .. }, E::Signal(_, Recipient::Main))
        | (
            S::Queued | S::BackingOff,
            E::MainEnded { .. }
            | E::TreeGone
            | E::GraceOver
            | E::NotExecuted
            | E::Pause
            | E::Resume
            | E::Signal(..),
        )
        | (S::Queued, E::DelayOver)
        | (
            S::Running
            | S::Lingering { .. }
            | S::Stopping { .. }
            | S::Clearing { .. }
            | S::BackingOff,
            E::TurnCame | E::DependencyFailed,
        )
        | (
            S::Queued
            | S::Running
            | S::Lingering { .. }
            | S::Stopping { .. }
            | S::Clearing { .. }
            | S::BackingOff,
            E::HookEnded | E::HookTimedOut,
        )
        | (
            S::Hooking,
            E::MainEnded { .. }
            | E::TreeGone
            | E::Stop(_)
            | E::Restart(_)
            | E::Limit(_)
            | E::Pause
            | E::Resume
            | E::Signal(..)
            | E::GraceOver
            | E::DelayOver
            | E::NotExecuted
            | E::TurnCame
            | E::DependencyFailed,
        )
        | (S::Ended, _) => (state, Vec::new()),
    }
}

const STOPPED: Reason = Reason::Killed(KillReason::StopRequested);
const OWNER_GONE: Reason = Reason::Killed(KillReason::OwnerGone);

fn stopping(purpose: Purpose) -> impl FnOnce(StopStep) -> State {
    move |step| State::Stopping { purpose, step }
}

fn clearing(then: Then) -> impl FnOnce(StopStep) -> State {
    move |step| State::Clearing { then, step }
}

/// What follows a run that ended like this; `reason` is set where it was ended for a limit.
fn sequel(settings: Settings, exit: Exit, reason: Option<Reason>) -> Sequel {
    match (exit, reason) {
        // For whom should it go on?
        (_, Some(OWNER_GONE)) => Sequel::End,
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
        return finish(settings, then);
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

fn finish(settings: Settings, then: Then) -> (State, Vec<Action>) {
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
fn end(settings: Settings, record: Option<Action>) -> (State, Vec<Action>) {
    let (state, last) = if settings.has_hook {
        (State::Hooking, Action::RunHook)
    } else {
        (State::Ended, Action::Leave)
    };
    (state, record.into_iter().chain([last]).collect())
}

/// The end of a task that has no process at present.
fn end_without_process(
    settings: Settings,
    stop: StopSettings,
    reason: Reason,
) -> (State, Vec<Action>) {
    let (state, mut actions) = end(settings, Some(Action::RecordStopped(None, reason)));
    actions.insert(0, Action::NoteStopRequest(stop, reason));
    (state, actions)
}

fn kill(state: impl FnOnce(StopStep) -> State) -> (State, Vec<Action>) {
    (state(StopStep::Killing), vec![Action::KillTree])
}

/// Begins a stop sequence.
fn ask(
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
