//! What a supervisor does next, as a pure function: no I/O, no clock. `chores.rs` turns what
//! happens into [`Event`]s and carries out the [`Action`]s. It begins when the command has been
//! executed (`run.rs`).
//!
//! ```text
//! Running ──MainEnded──▶ Clearing ──TreeGone──▶ Ended
//!    │  └─(leftovers: wait)─▶ Lingering ──TreeGone──▶ Ended
//!    └──Stop, Restart──▶ Stopping ──MainEnded──▶ Clearing ──TreeGone──▶ Ended
//! ```

use crate::task::{Leftovers, MainExit, SignalNumber, StopSettings};

/// What a task's spec says about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub leftovers: Leftovers,
    pub stop: StopSettings,
}

/// Where a supervisor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The main process is alive and nobody has asked it to end.
    Running,
    /// The main process ended by itself and the task goes on until what it left is gone.
    Lingering { exit: MainExit },
    /// The main process is alive and has been asked to end.
    Stopping { purpose: Purpose, step: StopStep },
    /// The main process has ended; what it left is being ended.
    Clearing { then: Then, step: StopStep },
    /// Nothing is left to do.
    Ended,
}

/// Why a main process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The task is to end.
    Stop,
    /// A successor is to execute the command again.
    Restart,
}

/// How far a stop sequence has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopStep {
    /// Asked by signal; the grace period runs.
    Asked,
    /// SIGKILL, again and again until nothing is left.
    Killing,
}

/// What follows once nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The end is on record already.
    Leave,
    /// Record that the task was stopped.
    RecordStopped(Exit),
    /// Hand over to the successor.
    HandOver(Exit),
}

/// How a main process ended; `None` when nobody could see (it was not our child).
pub(crate) type Exit = Option<MainExit>;

/// What can happen to a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The main process has ended. `alone`: and nothing of the task is left.
    MainEnded { exit: Exit, alone: bool },
    /// Nothing of the task is left.
    TreeGone,
    /// Someone wants the task to end.
    Stop(StopSettings),
    /// A successor wants to run the command again.
    Restart(StopSettings),
    /// The grace period is over.
    GraceOver,
}

/// What a supervisor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Record that the main process has ended and that the task waits for what it left.
    RecordLingering(MainExit),
    /// Record the end of a main process that nobody asked to end, and wake whoever waits.
    RecordEnd(Exit),
    /// Record the end of a task that was asked to end, and wake whoever waits.
    RecordStopped(Exit),
    /// Record that another run follows.
    RecordRestarting(Exit),
    /// Note in the journal that the task was asked to end.
    NoteStopRequest(StopSettings),
    /// Send a signal to every process of the task, then SIGCONT: what is stopped cannot hear.
    SignalTree(SignalNumber),
    /// The grace period ends so many milliseconds from now, or earlier if it already does.
    LimitGrace(u64),
    /// SIGKILL to every process of the task, again and again until nothing is left.
    KillTree,
    /// Let go of everything and end.
    Leave,
}

/// One step: where the supervisor stands now, and what it is to do on the way.
pub(crate) fn step(settings: Settings, state: State, event: Event) -> (State, Vec<Action>) {
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Running, E::MainEnded { exit, alone }) => main_ended_by_itself(settings, exit, alone),
        (S::Running, E::Stop(stop)) => ask(stop, |step| S::Stopping {
            purpose: Purpose::Stop,
            step,
        }),
        (S::Running, E::Restart(stop)) => ask(stop, |step| S::Stopping {
            purpose: Purpose::Restart,
            step,
        }),

        (S::Lingering { exit }, E::TreeGone) => {
            (S::Ended, vec![Action::RecordEnd(Some(exit)), Action::Leave])
        }
        (S::Lingering { exit }, E::Stop(stop)) => ask(stop, |step| S::Clearing {
            then: Then::RecordStopped(Some(exit)),
            step,
        }),
        (S::Lingering { exit }, E::Restart(stop)) => ask(stop, |step| S::Clearing {
            then: Then::HandOver(Some(exit)),
            step,
        }),

        (S::Stopping { purpose, step }, E::MainEnded { exit, alone }) => {
            main_ended_as_asked(purpose, step, exit, alone)
        }
        (S::Stopping { purpose, .. }, E::GraceOver) => (
            S::Stopping {
                purpose,
                step: StopStep::Killing,
            },
            vec![Action::KillTree],
        ),
        // A stop outranks the restart that it interrupts.
        (S::Stopping { step, .. }, E::Stop(stop)) => ask_again(stop, step, |step| S::Stopping {
            purpose: Purpose::Stop,
            step,
        }),

        (S::Clearing { then, .. }, E::TreeGone) => (S::Ended, finish(then)),
        (S::Clearing { then, .. }, E::GraceOver) => (
            S::Clearing {
                then,
                step: StopStep::Killing,
            },
            vec![Action::KillTree],
        ),
        (S::Clearing { then, step }, E::Stop(stop)) => {
            let then = match then {
                Then::HandOver(exit) => Then::RecordStopped(exit),
                other => other,
            };
            ask_again(stop, step, |step| S::Clearing { then, step })
        }

        // Written out so that a new state or event has to be thought about.
        (S::Running, E::TreeGone | E::GraceOver)
        | (S::Lingering { .. }, E::MainEnded { .. } | E::GraceOver)
        | (S::Stopping { .. }, E::TreeGone | E::Restart(_))
        | (S::Clearing { .. }, E::MainEnded { .. } | E::Restart(_))
        | (S::Ended, _) => (state, Vec::new()),
    }
}

fn main_ended_by_itself(settings: Settings, exit: Exit, alone: bool) -> (State, Vec<Action>) {
    match (alone, settings.leftovers, exit) {
        (true, ..) => (State::Ended, vec![Action::RecordEnd(exit), Action::Leave]),
        (false, Leftovers::Wait, Some(exit)) => (
            State::Lingering { exit },
            vec![Action::RecordLingering(exit)],
        ),
        (false, ..) => {
            let (state, asking) = ask(settings.stop, |step| State::Clearing {
                then: Then::Leave,
                step,
            });
            // What is left was never told that the task is stopped, so this is no stop request.
            let asking = asking
                .into_iter()
                .filter(|action| !matches!(action, Action::NoteStopRequest(_)));
            (
                state,
                [Action::RecordEnd(exit)]
                    .into_iter()
                    .chain(asking)
                    .collect(),
            )
        }
    }
}

fn main_ended_as_asked(
    purpose: Purpose,
    step: StopStep,
    exit: Exit,
    alone: bool,
) -> (State, Vec<Action>) {
    match (purpose, alone) {
        (Purpose::Stop, true) => (State::Ended, finish(Then::RecordStopped(exit))),
        (Purpose::Restart, true) => (State::Ended, finish(Then::HandOver(exit))),
        (Purpose::Stop, false) => (
            State::Clearing {
                then: Then::Leave,
                step,
            },
            vec![Action::RecordStopped(exit)],
        ),
        (Purpose::Restart, false) => (
            State::Clearing {
                then: Then::HandOver(exit),
                step,
            },
            Vec::new(),
        ),
    }
}

fn finish(then: Then) -> Vec<Action> {
    match then {
        Then::Leave => vec![Action::Leave],
        Then::RecordStopped(exit) => vec![Action::RecordStopped(exit), Action::Leave],
        Then::HandOver(exit) => vec![Action::RecordRestarting(exit), Action::Leave],
    }
}

/// Begins a stop sequence.
fn ask(stop: StopSettings, state: impl FnOnce(StopStep) -> State) -> (State, Vec<Action>) {
    let note = Action::NoteStopRequest(stop);
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
        StopStep::Asked => ask(stop, state),
        StopStep::Killing => (
            state(StopStep::Killing),
            vec![Action::NoteStopRequest(stop)],
        ),
    }
}

#[cfg(test)]
mod tests;
