//! The nouns: what was asked ([`TaskSpec`]), what is true ([`TaskRecord`], [`TaskState`]), which
//! questions a status answers ([`TaskStatus`]), and the [`Task`] that answers show.

mod extras;
mod http_url;
mod id;
mod record;
mod restart;
mod signal;
mod spec;
mod status;
mod view;

pub use extras::{
    After, GroupName, HealthProbe, Hook, LogWatch, Milestone, Owner, Probe, Pty, Queue, Stdin,
};
pub use id::{InvalidId, TaskId};
pub use record::{
    Facts, Generation, MainExit, ProcessIdentity, RunSpan, RunToken, TaskRecord, TaskState,
};
pub use restart::{Backoff, RestartPolicy, RestartSettings};
pub use signal::{Recipient, SignalNumber};
pub use spec::{EnvVars, Leftovers, Limits, Program, Stderr, StopSettings, TaskSpec};
pub use status::{FailReason, Health, KillReason, Reason, TaskStatus};
pub use view::{OwnerPid, Resources, Task};

pub(crate) use http_url::HttpUrl;
pub(crate) use view::{Facets, tell_plain_end};

/// Of texts that become arguments, variables or paths: the kernel ends each at its first NUL.
pub(crate) const WITHOUT_NUL: &str = "^[^\\x00]*$";
