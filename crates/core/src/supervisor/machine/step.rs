//! The table.

use super::moves::*;
use super::{Action, Event, Purpose, Sequel, Settings, State, Then};
use crate::task::Recipient;

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
