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
        idle: None,
    };

    /// Those of a run that begins now.
    pub(crate) fn of(spec: &TaskSpec) -> Self {
        let run = spec.timeout_ms.map(Duration::from_millis);
        let idle = spec.idle_timeout_ms.map(Duration::from_millis);
        Self {
            run: run.map_or(Deadline::NEVER, Deadline::after),
            idle: idle.map(|most| Idle {
                most,
                look_at: Deadline::after(most),
            }),
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
