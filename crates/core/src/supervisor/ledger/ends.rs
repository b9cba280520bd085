//! How a run has ended.

use super::{Leaf, Ledger};
use crate::event::EventData;
use crate::store::{Replaces, end_unseen, ended_by_itself, failed};
use crate::task::{ExitReason, FailReason, KillReason, MainExit, Reason, SignalNumber, TaskState};

const KILLED: MainExit = MainExit::Signal(SignalNumber::KILL);

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
            (exit, span @ Some(_)) if self.has_run_out_of_memory(exit) => TaskState::Killed {
                reason: KillReason::OutOfMemory,
                exit: Some(KILLED),
                span,
            },
            (Some(exit), Some(span)) => ended_by_itself(exit, span),
            _ => end_unseen(&self.record.facts.state, &self.dir),
        };
        self.conclude(state);
    }

    /// Nothing is left of a run whose end nobody saw: it is what readers have worked out. Another run
    /// follows.
    pub(crate) fn end_unseen(&mut self) {
        self.remove_leaf();
        self.record.facts.state = end_unseen(&self.record.facts.state, &self.dir);
        self.record.facts.cleared = true;
        self.end_found();
    }

    /// The end that was worked out is put on record, if it has ended: what follows comes after it.
    pub(crate) fn end_found(&mut self) {
        if let Some(event) = EventData::of_end(&self.record.facts.state, &self.record.spec) {
            self.note(event);
        }
    }

    /// What the kernel has done to a main process that nobody asked to end, if that is known.
    pub(super) fn reason_of(&self, exit: Option<MainExit>) -> Option<Reason> {
        self.has_run_out_of_memory(exit)
            .then_some(Reason::Killed(KillReason::OutOfMemory))
    }

    /// The kernel kills all of a group or nothing. An end that nobody saw was this one if it did.
    fn has_run_out_of_memory(&self, exit: Option<MainExit>) -> bool {
        exit.is_none_or(|exit| exit == KILLED)
            && self.leaf.as_ref().is_some_and(Leaf::has_run_out_of_memory)
    }

    /// It has ended after it was asked to.
    pub(crate) fn stopped(&mut self, exit: Option<MainExit>, reason: Reason, cleared: bool) {
        self.record.facts.cleared = cleared;
        let span = self.span();
        self.conclude(match reason {
            Reason::Killed(reason) => TaskState::Killed { reason, exit, span },
            Reason::Exited(ExitReason::Completed) => TaskState::Completed { exit, span },
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
        let reason = reason.or(self.reason_of(exit));
        let restart = &self.record.spec.restart;
        let how = match (exit, reason) {
            (_, Some(reason)) => format!("was ended ({})", reason.as_str()),
            (Some(MainExit::Code(code)), None) => format!("exited with code {code}"),
            (Some(MainExit::Signal(signal)), None) => format!("was ended by {signal}"),
            (None, None) => "ended".to_owned(),
        };
        let times = match restart.max_retries {
            1 => "once".to_owned(),
            count => format!("{count} times in a row"),
        };
        let problem = format!("it {how}, and had been started again {times} already");
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
        self.remove_leaf();
        if !self.record.facts.cleared {
            self.record.facts.cleared = true;
            // Where it cannot be written, someone looks in vain later.
            let ended_at = self.record.facts.updated_at;
            self.prepare(self.record.facts.state.clone());
            self.record.facts.updated_at = ended_at;
            // No cache holds a task of which something may be left.
            let _ = self.dir.write_record(&self.record, Replaces::NoEnd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::event::Journal;
    use crate::request::{Start, decode};
    use crate::store::{FORMAT_VERSION, TaskDir, file, read_all};
    use crate::task::{Facts, Generation, Health, ProcessIdentity, RunToken, TaskId, TaskRecord};
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    /// The ledger of a running task whose group, a folder here, has seen so many processes killed
    /// for want of memory.
    fn ledger(folder: &Path, killed: u32) -> Ledger {
        let request: Start =
            decode(br#"{"command": "x", "limits": {"memory_bytes": 4096}}"#).unwrap();
        let now = Timestamp::now();
        let main = ProcessIdentity {
            pid: 4711,
            start_time: 1,
        };
        let record = TaskRecord {
            version: FORMAT_VERSION,
            id: TaskId::parse("a").unwrap(),
            facts: Facts {
                revision: 1,
                generation: Generation::generate(),
                run: 1,
                run_token: RunToken::generate(),
                restart_count: 0,
                boot_id: String::new(),
                created_at: now,
                updated_at: now,
                wish_done: 0,
                cleared: false,
                work: 0,
                work_closed: 0,
                state: TaskState::running(main, now, Health::None),
            },
            spec: request.resolve().unwrap(),
        };
        let group = folder.join(format!("background-tasks.a.{}", record.facts.run_token));
        fs::create_dir(&group).unwrap();
        let events = format!("oom 1\noom_kill {killed}\n");
        fs::write(group.join("memory.events"), events).unwrap();
        fs::write(folder.join(file::CGROUP), group.to_str().unwrap()).unwrap();
        let dir = TaskDir::open_path(folder).unwrap();
        let journal = Journal::continued(&dir);
        let (_, live) = std::io::pipe().unwrap();
        let mut ledger = Ledger::open(dir, record, journal, live.into());
        ledger.adopted();
        ledger
    }

    fn reason_of_end(killed: u32, exit: Option<MainExit>) -> Option<Reason> {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(folder.path(), killed);
        ledger.ended(exit, true);
        match ledger.record.facts.state {
            TaskState::Killed { reason, .. } => Some(Reason::Killed(reason)),
            TaskState::Failed { reason, .. } => Some(Reason::Failed(reason)),
            _ => None,
        }
    }

    #[test]
    fn a_kill_of_the_kernels_is_told_from_anyone_elses() {
        let out_of_memory = Some(Reason::Killed(KillReason::OutOfMemory));
        let signalled = Some(Reason::Killed(KillReason::Signalled));
        let lost = Some(Reason::Failed(FailReason::SupervisorLost));
        let term = Some(MainExit::Signal(SignalNumber::TERM));
        assert_eq!(reason_of_end(2, Some(KILLED)), out_of_memory);
        assert_eq!(reason_of_end(0, Some(KILLED)), signalled);
        assert_eq!(reason_of_end(2, term), signalled);
        assert_eq!(reason_of_end(2, Some(MainExit::Code(1))), None);
        // Nobody saw how it ended, but the kernel has counted.
        assert_eq!(reason_of_end(2, None), out_of_memory);
        assert_eq!(reason_of_end(0, None), lost);
    }

    #[test]
    fn want_of_memory_is_told_between_runs_and_when_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(folder.path(), 1);
        ledger.backing_off(Some(KILLED), None, 5);
        let journal = read_all(ledger.dir.as_fd(), file::EVENTS).unwrap();
        let journal = String::from_utf8(journal).unwrap();
        assert!(journal.contains(r#""reason":"out_of_memory""#), "{journal}");

        let folder = tempfile::tempdir().unwrap();
        let mut ledger = self::ledger(folder.path(), 1);
        ledger.given_up(Some(KILLED), None, true);
        match &ledger.record.facts.state {
            TaskState::Failed { problem, .. } => {
                assert!(problem.contains("out_of_memory"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
}
