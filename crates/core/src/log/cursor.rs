//! Where a reader stands, as opaque text that checks itself.

use crate::task::Generation;

/// A place in the history of one generation of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Which generation.
    pub generation: Generation,
    /// Bytes of the log that are behind the reader.
    pub log_offset: u64,
    /// Lines that are behind the reader.
    pub line: u64,
    /// The last journal entry that is behind the reader.
    pub journal: u64,
}

impl Cursor {
    /// `v1.<generation>.<log offset>.<stderr offset>.<line>.<journal>.<view state>.<crc32>`, numbers in hex.
    pub(crate) fn encode(&self) -> String {
        let body = format!(
            "v1.{}.{:x}.0.{:x}.{:x}.0",
            self.generation, self.log_offset, self.line, self.journal
        );
        let check = crc32fast::hash(body.as_bytes());
        format!("{body}.{check:08x}")
    }
}
