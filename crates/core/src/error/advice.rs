//! What an error tells a caller besides its text: kind, whether trying again helps, what to do.

use nix::errno::Errno;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Error, ErrorKind, SpawnStep};

pub(super) fn describe_spawn(
    step: SpawnStep,
    subject: &str,
    errno: Errno,
    explanation: Option<&str>,
) -> String {
    let doing = match step {
        SpawnStep::Supervisor => "the supervisor did not start",
        SpawnStep::Workdir => "cannot enter the working directory",
        SpawnStep::EnvFile => "cannot read the env file",
        SpawnStep::Stdin => "cannot open standard input",
        SpawnStep::Log => "cannot open the log",
        SpawnStep::Limits => "cannot set the limits up in",
        SpawnStep::Exec => "cannot execute",
        SpawnStep::Record => "cannot write the task's record",
    };
    let why = explanation.map_or_else(
        || format!("{} ({errno:?})", errno.desc()),
        |text| format!("{text} ({errno:?})"),
    );
    format!("{doing} `{subject}`: {why}")
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CommandInput { .. } => ErrorKind::CommandInputError,
            Self::TaskNotFound { .. } | Self::NoneMatches => ErrorKind::TaskNotFound,
            Self::TaskAlreadyRunning { .. } | Self::NotEnded { .. } => {
                ErrorKind::TaskAlreadyRunning
            }
            Self::TaskWaitTimedOut { .. } => ErrorKind::TaskWaitTimedOut,
            Self::TaskNotRunning { .. } => ErrorKind::TaskNotRunning,
            Self::SpawnFailed { .. } => ErrorKind::SpawnFailed,
            Self::Store { .. } => ErrorKind::StoreError,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::ProviderNotInstalled { .. } => ErrorKind::ProviderNotInstalled,
            Self::Detailed { error, .. } => error.kind(),
            Self::Internal { .. } => ErrorKind::InternalError,
        }
    }

    /// Whether the same request may succeed later without anything being mended.
    pub fn retryable(&self) -> bool {
        match self {
            Self::TaskWaitTimedOut { .. } => true,
            Self::SpawnFailed { errno, .. } => is_shortage(*errno),
            Self::Store { errno, .. } => errno.is_some_and(is_shortage),
            Self::Detailed { error, .. } => error.retryable(),
            _ => false,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::CommandInput { hint, .. }
            | Self::Store { hint, .. }
            | Self::Unsupported { hint, .. }
            | Self::ProviderNotInstalled { hint, .. } => hint.clone(),
            Self::Detailed { error, .. } => error.hint(),
            Self::TaskNotFound { .. } => "Run list to discover known task ids.".to_owned(),
            Self::TaskAlreadyRunning { id, .. } => format!(
                "Stop it first, choose another id, or start with \"if_running\": \"reuse\" or \"restart\"; status {id} shows it."
            ),
            Self::NotEnded { .. } => {
                "Stop it first: only tasks that have ended can be removed.".to_owned()
            }
            Self::TaskWaitTimedOut { hint, .. } | Self::TaskNotRunning { hint, .. } => {
                (*hint).to_owned()
            }
            Self::NoneMatches => "Run list to see what there is.".to_owned(),
            Self::SpawnFailed { step, errno, .. } => spawn_hint(*step, *errno).to_owned(),
            Self::Internal { .. } => {
                "This is a mistake in background-tasks; please report it with the message."
                    .to_owned()
            }
        }
    }

    /// Everything that `error.details` holds in an envelope, `hint` and `retryable` included.
    pub fn details(&self) -> Map<String, Value> {
        let mut all = match self {
            Self::CommandInput { details, .. }
            | Self::TaskWaitTimedOut { details, .. }
            | Self::TaskNotRunning { details, .. } => details.clone(),
            Self::TaskNotFound { id } => object(json!({ "id": id })),
            Self::TaskAlreadyRunning { id, status } | Self::NotEnded { id, status } => {
                object(json!({ "id": id, "status": status }))
            }
            Self::SpawnFailed {
                id,
                step,
                subject,
                errno,
                ..
            } => object(json!({
                "id": id,
                "step": step,
                "subject": subject,
                "errno": *errno as i32,
                "errno_name": format!("{errno:?}"),
            })),
            Self::Store { path, errno, .. } => object(json!({
                "path": path.to_string_lossy(),
                "errno": errno.map(|errno| errno as i32),
                "errno_name": errno.map(|errno| format!("{errno:?}")),
            })),
            Self::ProviderNotInstalled { searched, .. } => object(json!({ "searched": searched })),
            Self::Detailed { error, details } => {
                let mut all = error.details();
                all.extend(details.clone());
                all
            }
            Self::NoneMatches | Self::Unsupported { .. } | Self::Internal { .. } => Map::new(),
        };
        all.insert("hint".to_owned(), self.hint().into());
        all.insert("retryable".to_owned(), self.retryable().into());
        all
    }
}

/// Whether something has run out that others may give back.
fn is_shortage(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EAGAIN
            | Errno::EDQUOT
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOMEM
            | Errno::ENOSPC
    )
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn spawn_hint(step: SpawnStep, errno: Errno) -> &'static str {
    match (step, errno) {
        (SpawnStep::Workdir, _) => "Give a workdir that exists and may be entered.",
        (SpawnStep::EnvFile, _) => {
            "Give an env_file that exists, can be read and holds NAME=value lines."
        }
        (SpawnStep::Stdin, _) => "Give a stdin.file that is a plain file and can be read.",
        (SpawnStep::Limits, _) => "Run doctor: it says which limits this host keeps, and how.",
        (SpawnStep::Exec, Errno::ENOENT) => {
            "Check the spelling of command and the PATH that the task gets (env, inherit_env)."
        }
        (SpawnStep::Exec, Errno::EACCES) => {
            "Make the file executable, or run it through its interpreter."
        }
        (SpawnStep::Exec, Errno::ENOEXEC) => {
            "Give the script a #! line, or run it through its interpreter."
        }
        (SpawnStep::Exec, Errno::E2BIG) => {
            "Pass less in args and env; a file is the place for large input."
        }
        (_, Errno::EFBIG) => "Raise the limit of how large files may be (ulimit -f).",
        (SpawnStep::Log | SpawnStep::Record, _) => {
            "Free space, or mend the folder with the logs; doctor checks it."
        }
        (SpawnStep::Supervisor, Errno::ENOSPC | Errno::EDQUOT) => {
            "Free space (or inodes) where the home is; doctor checks it."
        }
        (SpawnStep::Supervisor, Errno::EMFILE | Errno::ENFILE) => {
            "Raise the limit of open files (ulimit -n): a supervisor needs 48."
        }
        (SpawnStep::Supervisor, _) => "Raise the limits of processes and memory, then try again.",
        _ => "Mend the cause named in the message, then start again.",
    }
}

impl Serialize for Error {
    /// As `error` in an envelope: `{"type", "message", "details"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            r#type: ErrorKind,
            message: String,
            details: Map<String, Value>,
        }
        Shown {
            r#type: self.kind(),
            message: self.to_string(),
            details: self.details(),
        }
        .serialize(serializer)
    }
}
