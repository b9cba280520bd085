//! The one public error: what happened, to what, and what to do next.
//!
//! Modules have small errors of their own where they arise; they fold into this one. Every
//! surface shows an error through [`Error::kind`], [`Error::details`] and its text, so that all
//! of them call the same thing by the same name.

mod advice;
mod step;

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::task::{Task, TaskId, TaskStatus};

pub use step::SpawnStep;

/// Shorthand for results with the public error.
pub type Result<T> = std::result::Result<T, Error>;

/// The machine-readable kind of an error, `error.type` in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub enum ErrorKind {
    /// The request cannot be understood; nothing was touched.
    CommandInputError,
    /// No task has that id.
    TaskNotFound,
    /// The id belongs to a task that has not ended.
    TaskAlreadyRunning,
    /// The task has ended, or ended before it got where the caller wanted it.
    TaskNotRunning,
    /// The time to wait is over; the task goes on.
    TaskWaitTimedOut,
    /// The command could not be executed.
    SpawnFailed,
    /// The CLI of a coding agent is not on the PATH.
    ProviderNotInstalled,
    /// The folder with the tasks cannot be used.
    StoreError,
    /// This host, or this build, cannot do what was asked.
    Unsupported,
    /// A mistake in this program.
    InternalError,
}

impl ErrorKind {
    /// Whether errors of this kind may go away by themselves; `None` where it depends on the
    /// error, whose `details.retryable` says it.
    pub fn retryable(self) -> Option<bool> {
        match self {
            Self::TaskWaitTimedOut => Some(true),
            Self::SpawnFailed | Self::StoreError => None,
            _ => Some(false),
        }
    }

    /// Every kind.
    pub const ALL: [ErrorKind; 10] = [
        Self::CommandInputError,
        Self::TaskNotFound,
        Self::TaskAlreadyRunning,
        Self::TaskNotRunning,
        Self::TaskWaitTimedOut,
        Self::SpawnFailed,
        Self::ProviderNotInstalled,
        Self::StoreError,
        Self::Unsupported,
        Self::InternalError,
    ];
}

/// What can go wrong, with the facts that a caller needs to go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be understood.
    #[error("{message}")]
    CommandInput {
        /// What is wrong with it.
        message: String,
        /// How to mend it.
        hint: String,
        /// More facts: `field`, `index`, `allowed`, `available`, …
        details: Map<String, Value>,
    },
    /// No task has that id.
    #[error("task not found: {id}")]
    TaskNotFound {
        /// The id, or what stands for it, as asked.
        id: String,
    },
    /// The task has not ended.
    #[error("task {id} is already {}", status.as_str())]
    TaskAlreadyRunning {
        /// The task.
        id: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
    /// Only a task that has ended can be removed.
    #[error("task {id} is still {}", status.as_str())]
    NotEnded {
        /// The task.
        id: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
    /// The task has ended, or ended before it got where the caller wanted it.
    #[error("{message}")]
    TaskNotRunning {
        /// What was wanted, and what became of it.
        message: String,
        /// What to do.
        hint: &'static str,
        /// The task as it is, its last lines, its cursor.
        details: Map<String, Value>,
    },
    /// A filter finds no task where one is needed.
    #[error("no task matches the filter")]
    NoneMatches,
    /// The time to wait is over.
    #[error("{message}")]
    TaskWaitTimedOut {
        /// What was waited for.
        message: String,
        /// What has become of the request, and what to do.
        hint: &'static str,
        /// The tasks as they are, their last lines, their cursors.
        details: Map<String, Value>,
    },
    /// The command could not be executed.
    #[error("could not start {id}: {}", advice::describe_spawn(*step, subject, *errno, explanation.as_deref()))]
    SpawnFailed {
        /// The task that was to be started.
        id: TaskId,
        /// Where it failed.
        step: SpawnStep,
        /// The path or name that the step was about.
        subject: String,
        /// What the kernel said.
        errno: Errno,
        /// More, where the errno alone would mislead.
        explanation: Option<String>,
    },
    /// A program that a task needs is not on the PATH.
    #[error("{message}")]
    ProviderNotInstalled {
        /// Which, and where it was looked for.
        message: String,
        /// How to install it.
        hint: String,
        /// The folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// The folder with the tasks cannot be used.
    #[error("cannot {action} {}: {problem}", path.display())]
    Store {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What the kernel said, where it was the kernel.
        errno: Option<Errno>,
        /// How to mend it.
        hint: String,
    },
    /// This host, or this build, cannot do what was asked.
    #[error("{message}")]
    Unsupported {
        /// What cannot be done and why.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// One whose kind has no details of its own, with some.
    #[error("{error}")]
    Detailed {
        /// The error.
        error: Box<Error>,
        /// More facts.
        details: Map<String, Value>,
    },
    /// A mistake in this program.
    #[error("internal error: {message}")]
    Internal {
        /// What was found broken.
        message: String,
    },
}

impl Error {
    /// Whether a task has no supervisor: it could not be executed, or ended without an answer.
    pub(crate) fn is_want_of_supervisor(&self) -> bool {
        matches!(
            self,
            Self::SpawnFailed {
                step: SpawnStep::Supervisor,
                ..
            }
        )
    }

    /// A request that cannot be understood.
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::CommandInput {
            message: message.into(),
            hint: hint.into(),
            details: Map::new(),
        }
    }

    /// A failed operation on a file of the store.
    pub fn store(action: &'static str, path: &Path, error: &io::Error) -> Self {
        let errno = error.raw_os_error().map(Errno::from_raw);
        let problem = errno.map_or_else(
            || error.to_string(),
            |errno| format!("{} ({errno:?})", errno.desc()),
        );
        let hint = match errno {
            Some(Errno::ENOSPC | Errno::EDQUOT) => "Free space on that filesystem.",
            Some(Errno::EMFILE | Errno::ENFILE) => "Raise the limit of open files.",
            _ => {
                "Set BACKGROUND_TASKS_HOME to a folder that you own, or mend this one; doctor checks it."
            }
        };
        Self::Store {
            action,
            path: path.to_owned(),
            problem,
            errno,
            hint: hint.to_owned(),
        }
    }

    /// The same error with one more fact, where its kind takes any.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Self::ProviderNotInstalled { .. } | Self::Unsupported { .. } = self {
            let error = Box::new(self);
            let details = Map::new();
            self = Self::Detailed { error, details };
        }
        if let Self::CommandInput { details, .. }
        | Self::TaskWaitTimedOut { details, .. }
        | Self::TaskNotRunning { details, .. }
        | Self::Detailed { details, .. } = &mut self
        {
            details.insert(key.to_owned(), value.into());
        }
        self
    }

    /// A task that has ended, or ended too early.
    pub(crate) fn not_running(message: impl Into<String>, hint: &'static str) -> Self {
        Self::TaskNotRunning {
            message: message.into(),
            hint,
            details: Map::new(),
        }
    }

    /// A wait whose time is over, with the task as it is.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::TaskWaitTimedOut {
            message: message.into(),
            hint: "The task goes on; ask again, with a longer --timeout if need be.",
            details: Map::new(),
        }
    }

    /// Others are changing the task, and went on with it for longer than there was time.
    pub(crate) fn busy(id: &TaskId) -> Self {
        Self::TaskWaitTimedOut {
            message: format!("another caller is still changing {id}"),
            hint: "Nothing was done; ask again, with a longer --timeout if need be.",
            details: Map::new(),
        }
        .with("id", id.to_string())
    }

    /// Adds a task as it is.
    #[must_use]
    pub fn with_task(self, task: &Task) -> Self {
        let id = task.id.to_string();
        self.with("id", id).with("task", json!(task))
    }
}
