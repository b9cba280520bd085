//! A task as it was found: its record, completed by what was worked out.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::task::{
    Facts, FailReason, Generation, Health, Reason, Task, TaskId, TaskRecord, TaskState, TaskStatus,
};

/// Who looks after a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nobody needs to: it has ended.
    Ended,
    /// The supervisor with this pid.
    Supervised(i32),
    /// A supervisor in another pid namespace, out of our reach.
    SupervisedElsewhere,
    /// A caller is changing it right now, or its supervisor is just beginning.
    Changing,
    /// Nobody, though its command is alive.
    Unsupervised,
    /// Nobody, and its command is gone: the end was worked out, not recorded.
    Lost,
    /// It cannot be said: the record is unreadable.
    Unreadable,
}

/// Whether a task does what it was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Its health probe has succeeded; without a probe, it runs.
    Ready,
    /// Not now.
    NotYet,
    /// It has ended.
    Over,
}

/// A task as it was found.
#[derive(Debug)]
pub struct Observed {
    /// Its id.
    pub id: TaskId,
    /// Who looks after it.
    pub condition: Condition,
    pub(super) record: std::result::Result<TaskRecord, Unreadable>,
    pub(super) log_path: PathBuf,
}

/// Why there is no record.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub problem: String,
    pub newer: Option<u32>,
}

impl Observed {
    /// The record, completed by what was worked out.
    ///
    /// # Errors
    /// [`Error::Store`] when it is damaged, [`Error::Unsupported`] when a newer build wrote it.
    pub fn record(&self) -> Result<&TaskRecord> {
        self.record.as_ref().map_err(|unreadable| match unreadable.newer {
            Some(version) => Error::Unsupported {
                message: format!(
                    "task {} was written by a newer background-tasks: format {version}, this one knows {}",
                    self.id,
                    super::FORMAT_VERSION
                ),
                hint: "Update background-tasks, or use the newer one for this task.".to_owned(),
            },
            None => Error::Store {
                action: "read the record of",
                path: PathBuf::from(self.id.as_str()),
                problem: unreadable.problem.clone(),
                errno: None,
                hint: "Start the task anew under the same id to replace the record.".to_owned(),
            },
        })
    }

    /// Which run of which start it is; `None` where the record is unreadable.
    pub(crate) fn run(&self) -> Option<(Generation, u32)> {
        let facts = self.record.as_ref().ok().map(|record| &record.facts)?;
        Some((facts.generation.clone(), facts.run))
    }

    /// Whether the command of that run has been executed, whatever has become of it since.
    pub(crate) fn has_begun(&self, is_that_run: impl FnOnce(&Facts) -> bool) -> bool {
        let is_that_run = (self.record.as_ref()).is_ok_and(|record| is_that_run(&record.facts));
        is_that_run && self.task().started_at.is_some()
    }

    /// Whether a newer build wrote the record, so that this one must not touch it.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(&self.record, Err(Unreadable { newer: Some(_), .. }))
    }

    /// Where the task stands.
    pub fn status(&self) -> TaskStatus {
        match &self.record {
            Ok(record) => record.facts.state.status(),
            Err(_) => TaskStatus::Failed,
        }
    }

    /// Whether the task does what it was started for. Of one whose supervisor is lost, the last word
    /// on record counts.
    pub(crate) fn readiness(&self) -> Readiness {
        let record = match &self.record {
            Ok(record) if !record.facts.state.status().is_terminal() => record,
            _ => return Readiness::Over,
        };
        match (&record.facts.state, &record.spec.health) {
            (TaskState::Running { .. }, None) => Readiness::Ready,
            (TaskState::Running { health, .. }, Some(_)) if *health == Health::Healthy => {
                Readiness::Ready
            }
            _ => Readiness::NotYet,
        }
    }

    /// The task as answers show it.
    pub fn task(&self) -> Task {
        match &self.record {
            Ok(record) => {
                let supervised = matches!(
                    self.condition,
                    Condition::Supervised(_) | Condition::SupervisedElsewhere | Condition::Changing
                );
                Task::of(record, &self.log_path, supervised)
            }
            Err(unreadable) => {
                let mut task = Task::unknown(self.id.clone(), self.log_path.clone());
                task.reason = Some(Reason::Failed(FailReason::RecordCorrupt));
                task.problem = Some(unreadable.problem.clone());
                task
            }
        }
    }
}
