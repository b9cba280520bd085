//! What happened to a task: the journal that its supervisor keeps, and the frames that readers get.

mod block;
mod data;
mod frame;
mod journal;

pub use block::{BlockLine, LineBlock};
pub use data::EventData;
pub use frame::{Frame, FrameData, FrameSink, LineData, StreamName};
pub use journal::JournalEntry;

pub(crate) use frame::{Framer, Outlet};
pub(crate) use journal::{Journal, read_journal};
