//! What happened to a task: the journal that its supervisor keeps, and the frames that readers get.

mod block;
mod data;
mod frame;
mod journal;
mod outlet;
mod translate;

pub use block::{BlockLine, LineBlock};
pub use data::EventData;
pub use frame::{Frame, FrameData, LineData, StreamName};
pub use journal::JournalEntry;
pub use outlet::FrameSink;
pub use translate::{OpenTranslator, Run, RunEnd, Told, Translate};

pub(crate) use frame::Framer;
pub(crate) use journal::{Journal, read_journal};
pub(crate) use outlet::Outlet;
