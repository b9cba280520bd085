//! How the task fares: its probes, and what follows from them.

use super::super::command::Command;
use super::super::machine::{Event, State};
use super::super::probe::{Probing, Verdict};
use super::Chores;
use crate::task::{FailReason, Health, HealthProbe, KillReason, MainExit, Reason, RestartPolicy};

impl Chores<'_> {
    /// Begins to ask about the run that goes on, if anybody wants to know.
    pub(super) fn begin_probing(&mut self) {
        let Some(probe) = &self.ledger.record.spec.health else {
            return;
        };
        if !is_asked_about(self.state) {
            return;
        }
        match &mut self.probing {
            Some(probing) => probing.begin_next(probe),
            none => *none = Some(Probing::begin(probe, self.ledger.health())),
        }
        if self.ledger.is_paused() {
            self.pause_probing();
        }
        self.look_after_health();
    }

    /// A child has ended that may have been a probe.
    pub(super) fn take_in_probe(&mut self, pid: i32, exit: MainExit) {
        if let Some(probing) = &mut self.probing {
            probing.take_in(pid, exit);
        }
    }

    /// Hears the present probe, and asks anew when it is time.
    pub(super) fn look_after_health(&mut self) {
        let Some(probing) = &mut self.probing else {
            return;
        };
        if !is_asked_about(self.state) {
            return self.end_probing();
        }
        if !probing.due().has_passed() {
            return;
        }
        let Some(probe) = self.ledger.record.spec.health.clone() else {
            return;
        };
        let heard = probing.hear(&probe, self.ledger.health());
        self.tree.leave_out(probing.pid());
        if let Some(verdict) = heard {
            self.judge(&probe, verdict);
        }
        self.end_if_not_ready();
        self.ask(&probe);
    }

    fn ask(&mut self, probe: &HealthProbe) {
        let Some(probing) = self.probing.as_mut().filter(|_| is_asked_about(self.state)) else {
            return;
        };
        let record = &self.ledger.record;
        let command = Command {
            home: self.home,
            id: &record.id,
            spec: &record.spec,
            facts: &record.facts,
        };
        let failed = probing.ask_if_due(probe, self.ledger.health(), &self.ledger.dir, &command);
        self.tree.leave_out(probing.pid());
        if let Some(verdict) = failed {
            self.judge(probe, verdict);
        }
    }

    /// A line that its log probe waits for has been written, perhaps before probing has begun.
    pub(super) fn found_ready(&mut self) {
        match self.ledger.record.spec.health.clone() {
            Some(probe) if self.probing.is_some() => self.judge(&probe, Ok(())),
            _ => self.ledger.set_health(Health::Healthy, None),
        }
    }

    fn judge(&mut self, probe: &HealthProbe, verdict: Verdict) {
        let Some(probing) = &mut self.probing else {
            return;
        };
        let new = probing.judge(probe, self.ledger.health(), &verdict);
        let (failed, problem) = (verdict.is_err(), verdict.err());
        self.ledger.last_problem.clone_from(&problem);
        if let Some(health) = new {
            self.ledger.set_health(health, problem);
        }
        // Also one that was unhealthy before we took it over.
        let is_unhealthy = failed && self.ledger.health() == Health::Unhealthy;
        if is_unhealthy && self.ledger.record.spec.restart.policy != RestartPolicy::Never {
            self.happen(Event::Limit(Reason::Killed(KillReason::Unhealthy)));
        }
    }

    fn end_if_not_ready(&mut self) {
        if self.probing.as_ref().is_some_and(Probing::is_too_late) {
            self.end_probing();
            self.happen(Event::Limit(Reason::Failed(FailReason::NotReady)));
        }
    }

    pub(super) fn pause_probing(&mut self) {
        if let Some(probing) = &mut self.probing {
            probing.pause();
        }
    }

    pub(super) fn resume_probing(&mut self) {
        if let (Some(probing), Some(probe)) = (&mut self.probing, &self.ledger.record.spec.health) {
            probing.resume(probe);
        }
    }

    /// Nobody asks about a run that is being ended.
    pub(super) fn end_probing(&mut self) {
        if let Some(probing) = &mut self.probing {
            probing.end();
            self.tree.leave_out(probing.pid());
        }
    }

    /// The last thing that is done.
    pub(super) fn part_with_probe(&mut self) {
        self.end_probing();
        if let Some(probing) = &mut self.probing {
            probing.part();
        }
    }
}

/// Whether its command does what it was started for, as far as anybody knows.
pub(super) fn is_asked_about(state: State) -> bool {
    matches!(state, State::Running | State::Lingering { .. })
}
