//! The nouns: what was asked ([`TaskSpec`]), what is true ([`TaskRecord`], [`TaskState`]), which
//! questions a status answers ([`TaskStatus`]), and the [`Task`] that answers show.

mod id;
mod record;
mod restart;
mod signal;
mod spec;
mod status;
mod view;

pub use id::{InvalidId, TaskId};
pub use record::{
    Facts, Generation, MainExit, ProcessIdentity, RunSpan, RunToken, TaskRecord, TaskState,
};
pub use restart::{Backoff, RestartPolicy, RestartSettings};
pub use signal::SignalNumber;
pub use spec::{EnvVars, Leftovers, Limits, Program, Stderr, StopSettings, TaskSpec};
pub use status::{FailReason, Health, KillReason, Reason, TaskStatus};
pub use view::{Resources, Task};
