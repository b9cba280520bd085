//! A task's folder with a log in it, for the tests of this module.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::{Cut, LogSource, LogStream};
use crate::store::TaskDir;
use crate::task::Generation;

pub(super) struct SampleLog {
    pub folder: tempfile::TempDir,
    pub file: File,
    dir: TaskDir,
    generation: Generation,
}

impl SampleLog {
    pub(super) fn holding(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut options = File::options();
        let mut file = options
            .create_new(true)
            .read(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(bytes).unwrap();
        Self {
            dir: TaskDir::open_path(folder.path()).unwrap(),
            generation: Generation::generate(),
            folder,
            file,
        }
    }

    pub(super) fn source(&self) -> LogSource<'_> {
        LogSource {
            file: &self.file,
            dir: &self.dir,
            stream: LogStream::Main,
            generation: &self.generation,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.file.metadata().unwrap().len()
    }

    /// What a supervisor does to a capped log: what is gone reads as zeros.
    pub(super) fn free_lines(&self, bytes: &[u8], lines: usize) -> Cut {
        let mut newlines = (0..bytes.len()).filter(|&at| bytes[at] == b'\n');
        let length = lines
            .checked_sub(1)
            .map_or(0, |before| newlines.nth(before).unwrap() + 1);
        let cut = Cut {
            offset: length as u64,
            lines: lines as u64,
        };
        cut.write(&self.dir, LogStream::Main, &self.generation)
            .unwrap();
        // Not through the file at hand, which appends wherever it is told to write.
        let path = self.folder.path().join("log");
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&vec![0; length], 0).unwrap();
        cut
    }
}
