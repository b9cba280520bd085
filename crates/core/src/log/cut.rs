//! `cut`: where a capped log begins.

use std::io;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::LogStream;
use crate::store::{FORMAT_VERSION, TaskDir, decode, read_all, write_aside};
use crate::task::Generation;

/// What has been freed of a log: its first `offset` bytes, with so many line ends in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where what is left begins.
    pub offset: u64,
    /// Newlines before it.
    pub lines: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    generation: Generation,
    offset: u64,
    lines: u64,
}

impl Cut {
    /// Where the log of a generation begins; at 0 unless something was freed.
    pub(crate) fn read(dir: &TaskDir, stream: LogStream, generation: &Generation) -> Self {
        let stored = read_all(dir.as_fd(), stream.cut_file())
            .ok()
            .and_then(|bytes| decode::<Stored>(&bytes).ok())
            .filter(|stored| stored.generation == *generation);
        stored.map_or_else(Self::default, |stored| Self {
            offset: stored.offset,
            lines: stored.lines,
        })
    }

    /// Puts it on record, before anything is freed.
    pub(crate) fn write(
        self,
        dir: &TaskDir,
        stream: LogStream,
        generation: &Generation,
    ) -> io::Result<()> {
        let stored = Stored {
            version: FORMAT_VERSION,
            generation: generation.clone(),
            offset: self.offset,
            lines: self.lines,
        };
        write_aside(
            dir.as_fd(),
            stream.cut_file(),
            &serde_json::to_vec(&stored)?,
        )
    }
}
