//! One verb per file: lock what must be locked, act, observe, answer.

mod await_line;
mod await_ready;
mod batch;
mod doctor;
mod events;
mod expire;
mod follow;
mod generation;
mod history;
mod list;
mod logs;
mod prune;
mod remove;
mod resources;
mod restart;
mod settle;
mod start;
mod status;
mod stop;
mod wait;

pub(crate) use batch::in_parallel;
pub use doctor::{Check, DoctorAnswer, doctor};
pub use events::{events, stream_events, stream_logs};
pub use follow::Follow;
pub use list::list;
pub use logs::{ArtifactMode, logs};
pub use prune::prune;
pub use remove::{RemoveReply, remove, remove_many};
pub use restart::{restart, restart_many};
pub use start::{StartOptions, finish_start, start, start_many};
pub use status::status;
pub use stop::{StopReply, stop, stop_many};
pub use wait::wait;
