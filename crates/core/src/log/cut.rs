//! Where a log begins whose oldest bytes have been freed.
//!
//! The supervisor of a capped log frees its oldest bytes in place: offsets stay true, and what is
//! gone reads as zeros. Before it does so it writes this down, so whoever has seen such zeros
//! finds here that they are none of the command's.

use std::io;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::LogStream;
use crate::store::{FORMAT_VERSION, TaskDir, decode, read_all, write_aside};
use crate::task::Generation;

/// The beginning of what is left of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// All bytes below are gone or about to go; the first byte of a line.
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct CutFile {
    version: u32,
    generation: Generation,
    offset: u64,
    lines: u64,
}

impl Cut {
    /// Nothing has been freed.
    pub(crate) const NONE: Self = Self {
        offset: 0,
        lines: 0,
    };

    /// What is on record; a file that cannot be read, that cannot be true (a line takes a byte at
    /// least), or that is another generation's, is none.
    pub(crate) fn read(dir: &TaskDir, stream: LogStream, generation: &Generation) -> Self {
        let Ok(bytes) = read_all(dir.as_fd(), stream.cut_name()) else {
            return Self::NONE;
        };
        match decode::<CutFile>(&bytes) {
            Ok(cut)
                if cut.version <= FORMAT_VERSION
                    && cut.generation == *generation
                    && cut.lines <= cut.offset =>
            {
                Self {
                    offset: cut.offset,
                    lines: cut.lines,
                }
            }
            _ => Self::NONE,
        }
    }

    /// Puts it on record. Only the supervisor does, and before it frees anything.
    pub(crate) fn write(
        self,
        dir: &TaskDir,
        stream: LogStream,
        generation: &Generation,
    ) -> io::Result<()> {
        let content = CutFile {
            version: FORMAT_VERSION,
            generation: generation.clone(),
            offset: self.offset,
            lines: self.lines,
        };
        let bytes = serde_json::to_vec(&content)?;
        write_aside(dir.as_fd(), stream.cut_name(), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_its_own_generation_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = TaskDir::open_path(folder.path()).unwrap();
        let generation = Generation::generate();
        let read = |stream| Cut::read(&dir, stream, &generation);
        assert_eq!(read(LogStream::Main), Cut::NONE);
        let cut = Cut {
            offset: 1 << 40,
            lines: 7,
        };
        cut.write(&dir, LogStream::Main, &generation).unwrap();
        assert_eq!(read(LogStream::Main), cut);
        assert_eq!(read(LogStream::Stderr), Cut::NONE);
        let other = Cut::read(&dir, LogStream::Main, &Generation::generate());
        assert_eq!(other, Cut::NONE);
        // More lines than bytes there cannot have been.
        let (offset, lines) = (7, u64::MAX);
        let impossible = Cut { offset, lines };
        impossible
            .write(&dir, LogStream::Main, &generation)
            .unwrap();
        assert_eq!(read(LogStream::Main), Cut::NONE);
        std::fs::write(folder.path().join("cut"), "{\"version\":1").unwrap();
        assert_eq!(read(LogStream::Main), Cut::NONE);
    }
}
