//! How a run has ended.

use super::Ledger;
use crate::store::{ended_by_itself, failed};
use crate::task::{FailReason, MainExit, Reason, TaskState};

impl Ledger {
    /// The main process has ended and the task goes on.
    pub(crate) fn lingering(&mut self, exit: MainExit) {
        if let TaskState::Running { main_exit, .. } = &mut self.record.facts.state {
            *main_exit = Some(exit);
            // On a full disk the end, when it comes, says the same.
            let _ = self.rewrite();
        }
    }

    /// The main process has ended without being asked to; `None`: nobody saw how. `cleared`: and
    /// nothing of it is left.
    pub(crate) fn ended(&mut self, exit: Option<MainExit>, cleared: bool) {
        self.record.facts.cleared = cleared;
        let state = match (exit, self.span()) {
            (Some(exit), Some(span)) => ended_by_itself(exit, span),
            _ => failed(
                &self.record.facts.state,
                FailReason::SupervisorLost,
                "its supervisor was killed before it could record the end, and the command is gone"
                    .to_owned(),
            ),
        };
        self.conclude(state);
    }

    /// It has ended after it was asked to.
    pub(crate) fn stopped(&mut self, exit: Option<MainExit>, reason: Reason, cleared: bool) {
        self.record.facts.cleared = cleared;
        let span = self.span();
        self.conclude(match reason {
            Reason::Killed(reason) => TaskState::Killed { reason, exit, span },
            Reason::Failed(reason) => TaskState::Failed {
                reason,
                problem: self.why_it_failed(reason),
                exit,
                span,
            },
        });
    }

    fn why_it_failed(&self, reason: FailReason) -> String {
        match (reason, &self.record.spec.health) {
            (FailReason::NotReady, Some(health)) => {
                let most = health.startup_timeout_ms;
                let last = self.last_problem.as_ref();
                let last = last.map_or(String::new(), |problem| format!("; the last: {problem}"));
                format!("its health probe did not succeed within {most} ms{last}")
            }
            _ => format!("it was ended ({})", reason.as_str()),
        }
    }

    /// A task that it waited for has not got where it had to.
    pub(crate) fn dependency_failed(&mut self, problem: String) {
        self.record.facts.cleared = true;
        self.conclude(TaskState::Failed {
            reason: FailReason::DependencyFailed,
            problem,
            exit: None,
            span: None,
        });
    }

    /// It has ended, and has been started again as often as it may be.
    pub(crate) fn given_up(
        &mut self,
        exit: Option<MainExit>,
        reason: Option<Reason>,
        cleared: bool,
    ) {
        self.record.facts.cleared = cleared;
        let span = self.span();
        let restart = &self.record.spec.restart;
        let how = match (exit, reason) {
            (_, Some(reason)) => format!("was ended ({})", reason.as_str()),
            (Some(MainExit::Code(code)), None) => format!("exited with code {code}"),
            (Some(MainExit::Signal(signal)), None) => format!("was ended by {signal}"),
            (None, None) => "ended".to_owned(),
        };
        let problem = format!(
            "it {how}, and had been started again {} times in a row already",
            restart.max_retries
        );
        self.conclude(TaskState::Failed {
            reason: FailReason::RestartLimit,
            problem,
            exit,
            span,
        });
    }

    /// The next run could not be executed, and the one before is over.
    pub(crate) fn failed_to_start(&mut self, problem: String) {
        self.record.facts.cleared = true;
        self.conclude(failed(
            &TaskState::Starting,
            FailReason::SpawnFailed,
            problem,
        ));
        let _ = self.journal.publish(&self.dir);
    }

    /// Nothing is left of a run whose end is on record: nobody needs to look for it any more.
    pub(crate) fn cleared(&mut self) {
        if !self.record.facts.cleared {
            self.record.facts.cleared = true;
            // Where it cannot be written, someone looks in vain later.
            let ended_at = self.record.facts.updated_at;
            self.prepare(self.record.facts.state.clone());
            self.record.facts.updated_at = ended_at;
            let _ = self.dir.write_record(&self.record);
        }
    }
}
