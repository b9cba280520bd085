//! What can be asked and what is answered: one file per command.
//!
//! A request is decoded from JSON strictly. Nothing that was misunderstood is ever acted upon: an
//! unknown field is refused with the nearest known name, and everything that can be checked without
//! touching a file is checked here.

mod answer;
mod cursors;
mod decode;
mod events;
mod explain;
mod extras;
mod log_answer;
mod logs;
mod moment;
mod policy;
mod probe;
mod remove;
mod restart;
mod select;
mod send;
mod shape;
mod start;
mod wait;
mod wish;

pub use answer::{
    BatchAnswer, BatchItem, BatchOutcome, Lifecycle, LineMatch, ListAnswer, StartAnswer, Target,
    TaskAnswer, WaitAnswer, WaitManyAnswer, WaitOutcome,
};
pub(crate) use cursors::cursor_of;
pub use decode::{MAX_PAYLOAD_BYTES, decode, decode_batch, invalid, nearest, refuse_nul};
pub use events::{Events, Include};
pub use extras::{OwnerAsked, PtyAsked};
pub use log_answer::{
    Artifact, DetailedLine, EventsAnswer, LogLines, LogMatch, LogsAnswer, LogsReply,
    LogsWithArtifact,
};
pub use logs::{Logs, StreamChoice};
pub use moment::Moment;
pub use policy::Restarts;
pub use probe::{HealthAsked, ProbeType};
pub use remove::{Prune, PruneAnswer, PruneFailure, Remove, RemoveAnswer};
pub use restart::{Recover, Restart};
pub use select::{List, Selection, Status, Stop};
pub use send::{Send, SendAnswer};
pub use shape::{OneOrMany, object_or_null, objects_or_null};
pub use start::{IfRunning, Start};
pub use wait::{Until, Wait, WaitMode};
pub use wish::{Pause, Resume, Signal};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::task::TaskId;

/// The request of one command.
pub trait Request: DeserializeOwned + JsonSchema {
    /// The command's name.
    const COMMAND: &'static str;

    /// The one task that it is about, where it names one.
    fn task_id(&self) -> Option<&TaskId> {
        None
    }

    /// Fields that the same command takes in requests of other kinds: of what embeds this crate.
    const ELSEWHERE: &'static [&'static str] = &[];

    /// Whether an item of an array must name its task.
    const ITEMS_NAME_A_TASK: bool = false;

    /// Checks what the types cannot express, before anything is touched.
    ///
    /// # Errors
    /// [`crate::Error::CommandInput`] that names the field.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}
