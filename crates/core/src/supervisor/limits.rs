//! How long a run may last, and how long without output.

use std::time::Duration;

use super::growth::Growth;
use super::ledger::Ledger;
use crate::clock::Deadline;
use crate::task::{KillReason, TaskSpec};

/// The limits of the present run. Without any there is nothing to wake up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    run: Deadline,
    /// While the task is paused: what is left of its time.
    left: Option<Duration>,
    idle: Option<Idle>,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    most: Duration,
    /// When to look whether there has been output.
    look_at: Deadline,
}

impl RunLimits {
    /// None at all.
    pub(crate) const NONE: Self = Self {
        run: Deadline::NEVER,
        left: None,
        idle: None,
    };

    /// Those of a run that begins now.
    pub(crate) fn of(spec: &TaskSpec) -> Self {
        let run = spec.timeout_ms.map(Duration::from_millis);
        let idle = spec.idle_timeout_ms.map(Duration::from_millis);
        Self {
            run: run.map_or(Deadline::NEVER, Deadline::after),
            left: None,
            idle: idle.map(|most| Idle {
                most,
                look_at: Deadline::after(most),
            }),
        }
    }

    /// The same for a run that has lasted for so long already.
    pub(crate) fn after(mut self, run_time: Duration) -> Self {
        if let Some(left) = self.run.remaining() {
            self.run = Deadline::after(left.saturating_sub(run_time));
        }
        self
    }

    /// The task stands still, and so does its time.
    pub(crate) fn pause(&mut self) {
        self.left = self.run.remaining();
        self.run = Deadline::NEVER;
        if let Some(idle) = &mut self.idle {
            idle.look_at = Deadline::NEVER;
        }
    }

    /// It goes on. Its silence begins anew: it could not speak.
    pub(crate) fn resume(&mut self, ledger: &mut Ledger) {
        if let Some(left) = self.left.take() {
            self.run = Deadline::after(left);
        }
        if let Some(idle) = &mut self.idle {
            ledger.with_growth(|growth, _| growth.break_silence());
            idle.look_at = Deadline::after(idle.most);
        }
    }

    /// When to ask next.
    pub(crate) fn due(&self) -> Deadline {
        let idle = self.idle.map_or(Deadline::NEVER, |idle| idle.look_at);
        self.run.sooner(idle)
    }

    /// The limit that has been reached, once.
    pub(crate) fn reached(&mut self, ledger: &mut Ledger) -> Option<KillReason> {
        if self.run.has_passed() {
            *self = Self::NONE;
            return Some(KillReason::TimedOut);
        }
        let idle = self
            .idle
            .as_mut()
            .filter(|idle| idle.look_at.has_passed())?;
        let silence = ledger.growth.as_mut().map_or(idle.most, Growth::silence);
        if silence >= idle.most {
            *self = Self::NONE;
            return Some(KillReason::Idle);
        }
        idle.look_at = Deadline::after(idle.most - silence);
        None
    }
}
