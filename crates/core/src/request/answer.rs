//! Answers of the commands that are about tasks as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::LogsAnswer;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::task::{Task, TaskId, TaskStatus};

/// What `start` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StartAnswer {
    /// The task.
    pub task: Task,
    /// How the start went.
    pub lifecycle: Lifecycle,
    /// With `--wait`: the last log lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsAnswer>,
}

/// How a start went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lifecycle {
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// Whether the answer waited for the end.
    pub waited: bool,
    /// Whether the time to wait was over first.
    pub timed_out: bool,
    /// Where the task stands.
    pub status: TaskStatus,
    /// The same once it is terminal.
    pub terminal_status: Option<TaskStatus>,
}

/// What commands about one task answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskAnswer {
    /// The task's id.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// The task.
    pub task: Task,
}

impl TaskAnswer {
    /// The answer about a task.
    pub fn of(task: Task) -> Self {
        Self {
            task_id: task.id.clone(),
            status: task.status,
            task,
        }
    }
}

/// What `list` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListAnswer {
    /// How many tasks match, on this page or not.
    pub total: usize,
    /// This page, newest first.
    pub tasks: Vec<Task>,
    /// Goes into `after` for the next page; `null` on the last one.
    pub next: Option<String>,
}

/// What `wait` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum WaitAnswer {
    /// For one task.
    One {
        /// The task.
        #[serde(flatten)]
        answer: Box<TaskAnswer>,
        /// Its last log lines.
        logs: LogsAnswer,
        /// With `until: {"log"}`: the line.
        #[serde(skip_serializing_if = "Option::is_none")]
        r#match: Option<LineMatch>,
    },
    /// For several.
    Many(WaitManyAnswer),
}

/// What `wait` answers for several tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitManyAnswer {
    /// Whether all got there, or only as many as were needed.
    pub outcome: WaitOutcome,
    /// Those that have got there.
    pub tasks: Vec<Task>,
    /// The ids of those that have not.
    pub pending: Vec<TaskId>,
    /// With `until: {"log"}`: the line of each task that has got there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<BTreeMap<TaskId, LineMatch>>,
}

/// The line that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineMatch {
    /// Its text, without its end.
    pub line: String,
    /// Counts from 1, within its stream.
    pub number: u64,
    /// Where a reader stands who has seen it.
    pub cursor: String,
}

/// Whether all tasks got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitOutcome {
    /// All of them.
    Reached,
    /// As many as `mode` asked for.
    Partial,
}

/// What a batch answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchAnswer<T> {
    /// How it went as a whole.
    pub outcome: BatchOutcome,
    /// How many items there were.
    pub total: usize,
    /// How many succeeded.
    pub success_count: usize,
    /// How many failed.
    pub error_count: usize,
    /// How many were worked on at once, at most.
    pub concurrency: usize,
    /// One per item, in input order.
    pub results: Vec<BatchItem<T>>,
}

/// How a batch went as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchOutcome {
    /// Every item succeeded.
    Succeeded,
    /// Some did.
    PartialFailure,
    /// None did.
    Failed,
}

/// How one item of a batch went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchItem<T> {
    /// Its place in the input, from 0.
    pub index: usize,
    /// Whether it succeeded.
    pub ok: bool,
    /// What it was about.
    pub target: Target,
    /// The answer, if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<T>,
    /// The error, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Value")]
    pub error: Option<Error>,
}

/// What an item of a batch was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Target {
    /// The task; `null` when no id was given and none came to be.
    pub id: Option<TaskId>,
}

impl<T> BatchAnswer<T> {
    /// Sums up the results of a batch.
    pub fn of(results: Vec<(Target, Result<T, Error>)>, concurrency: usize) -> Self {
        let total = results.len();
        let success_count = results.iter().filter(|(_, result)| result.is_ok()).count();
        let error_count = total - success_count;
        let outcome = match (success_count, error_count) {
            (_, 0) => BatchOutcome::Succeeded,
            (0, _) => BatchOutcome::Failed,
            _ => BatchOutcome::PartialFailure,
        };
        let item = |(index, (target, result)): (usize, (Target, Result<T, Error>))| {
            let ok = result.is_ok();
            let (data, error) = match result {
                Ok(data) => (Some(data), None),
                Err(error) => (None, Some(error)),
            };
            BatchItem {
                index,
                ok,
                target,
                data,
                error,
            }
        };
        let results = results.into_iter().enumerate().map(item).collect();
        Self {
            outcome,
            total,
            success_count,
            error_count,
            concurrency,
            results,
        }
    }
}
