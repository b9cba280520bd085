//! What a supervisor does next, as a pure function: no I/O, no clock. `chores.rs` turns what
//! happens into [`Event`]s and carries out the [`Action`]s. It begins when the command has been
//! executed, or the task waits for its turn (`run.rs`).
//!
//! ```text
//! Running ──MainEnded──▶ Clearing ──TreeGone──▶ Ended
//!    │  └─(leftovers: wait)─▶ Lingering ──TreeGone──▶ Ended
//!    └──Stop, Restart, Limit──▶ Stopping ──MainEnded──▶ Clearing ──TreeGone──▶ Ended
//! ```
//!
//! Where a restart policy has another run follow, what would be `Ended` is `BackingOff`, and
//! `DelayOver` leads from there to `Running`. A task that has to wait for its turn begins in
//! `Queued`. One with a hook gets to `Ended` by way of `Hooking`.

mod moves;
mod step;

pub(crate) use step::step;

use crate::task::{Leftovers, MainExit, Reason, Recipient, SignalNumber, StopSettings};

/// What a task's spec says about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub leftovers: Leftovers,
    pub stop: StopSettings,
    /// What follows a run that succeeded, were it to end now.
    pub after_success: Sequel,
    /// What follows one that did not.
    pub after_failure: Sequel,
    /// Whether something is to be run when it has ended for good.
    pub has_hook: bool,
}

/// What follows a run that nobody asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// Nothing.
    End,
    /// Another run, so many milliseconds later.
    Run { delay_ms: u64 },
    /// Nothing: it has been started again often enough.
    GiveUp,
}

/// Where a supervisor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The first run begins when it is the task's turn.
    Queued,
    /// The main process is alive and nobody has asked it to end.
    Running,
    /// The main process ended by itself and the task goes on until what it left is gone.
    Lingering { exit: MainExit },
    /// The main process is alive and has been asked to end.
    Stopping { purpose: Purpose, step: StopStep },
    /// The main process has ended; what it left is being ended.
    Clearing { then: Then, step: StopStep },
    /// Nothing of the run is left; the next begins when its delay is over.
    BackingOff,
    /// The task has ended for good, which is on record; its hook runs.
    Hooking,
    /// Nothing is left to do.
    Ended,
}

/// Why a main process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The task is to end, for this reason.
    End(Reason),
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
    /// Record that it ended by itself.
    RecordEnd(Exit),
    /// Record that the task was ended.
    RecordStopped(Exit, Reason),
    /// Record that it has been started again often enough.
    GiveUp(Exit, Option<Reason>),
    /// Hand over to the successor.
    HandOver(Exit),
    /// Execute it again after a while.
    RunAgain {
        exit: Exit,
        reason: Option<Reason>,
        delay_ms: u64,
    },
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
    /// It has reached a limit of its own, and is to end for this reason.
    Limit(Reason),
    /// Someone wants all its processes to stand still.
    Pause,
    /// Someone wants them to go on.
    Resume,
    /// Someone wants it to get a signal.
    Signal(SignalNumber, Recipient),
    /// The grace period is over.
    GraceOver,
    /// It is time for the next run.
    DelayOver,
    /// The next run could not be executed, which is on record.
    NotExecuted,
    /// It is the task's turn.
    TurnCame,
    /// A task that it waits for has not got where it had to, and never will.
    DependencyFailed,
    /// The hook has ended, or could not be run.
    HookEnded,
    /// The hook has had its time.
    HookTimedOut,
}

/// What a supervisor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Record that the main process has ended and that the task waits for what it left.
    RecordLingering(MainExit),
    /// Record the end of a main process that nobody asked to end, and wake whoever waits.
    RecordEnd(Exit),
    /// Record the end of a task that was asked to end, and wake whoever waits.
    RecordStopped(Exit, Reason),
    /// Record the end of a task that has been started again often enough, and wake whoever waits.
    RecordGivenUp(Exit, Option<Reason>),
    /// Record that a task that it waits for has not got where it had to, and wake whoever waits.
    RecordDependencyFailed,
    /// Record that a successor executes the next run.
    RecordRestarting(Exit),
    /// Record that the next run follows, and wait for so many milliseconds.
    BackOff {
        exit: Exit,
        reason: Option<Reason>,
        delay_ms: u64,
    },
    /// Hand the run that was to begin to a successor.
    HandOver,
    /// Execute the next run.
    Execute,
    /// Note in the journal that the task was asked to end, and why.
    NoteStopRequest(StopSettings, Reason),
    /// Send a signal to every process of the task, then SIGCONT: what is stopped cannot hear.
    SignalTree(SignalNumber),
    /// The grace period ends so many milliseconds from now, or earlier if it already does.
    LimitGrace(u64),
    /// SIGKILL to every process of the task, again and again until nothing is left.
    KillTree,
    /// Stop every process of the task until it is resumed.
    PauseTree,
    /// Have them go on.
    ResumeTree,
    /// Send someone's signal.
    Deliver(SignalNumber, Recipient),
    /// Run the hook.
    RunHook,
    /// End it.
    KillHook,
    /// Let go of everything and end.
    Leave,
}

impl Action {
    /// Whether it puts the end of the task on record, after which no run follows by itself.
    pub(crate) fn records_end(&self) -> bool {
        matches!(
            self,
            Self::RecordEnd(_)
                | Self::RecordStopped(..)
                | Self::RecordGivenUp(..)
                | Self::RecordDependencyFailed
        )
    }
}

#[cfg(test)]
mod tests;
