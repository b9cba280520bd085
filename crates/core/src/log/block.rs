//! Reading a log from front to back while its oldest bytes may be freed.

use std::fs::File;
use std::io;

use nix::sys::stat::FileStat;

use super::{Cut, LogStream, read_at};
use crate::store::{TaskDir, stat};
use crate::task::Generation;

/// Large enough that the system calls do not show, small enough for the processor's cache.
pub(super) const BLOCK: usize = 256 << 10;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Newlines before it.
    pub lines: u64,
}

impl From<Cut> for Place {
    fn from(cut: Cut) -> Self {
        Self {
            offset: cut.offset,
            lines: cut.lines,
        }
    }
}

/// An open log and what must be known to read it rightly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogSource<'a> {
    /// The log.
    pub file: &'a File,
    /// The task's folder, where its cut and what was counted are.
    pub dir: &'a TaskDir,
    /// Which of the task's logs it is.
    pub stream: LogStream,
    /// The task's; what another one left in the folder is not believed.
    pub generation: &'a Generation,
}

impl LogSource<'_> {
    /// Where the log begins.
    pub(crate) fn cut(&self) -> Cut {
        let cut = Cut::read(self.dir, self.stream, self.generation);
        // Only a log that someone has truncated by hand is shorter than what was cut off it.
        let is_within = |size| cut.offset <= size;
        let sane = cut == Cut::NONE || self.file.metadata().is_ok_and(|log| is_within(log.len()));
        if sane { cut } else { Cut::NONE }
    }

    fn cut_file(&self) -> Option<FileStat> {
        stat(self.dir, self.stream.cut_name()).ok().flatten()
    }
}

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes; 0 at the end.
    Read(usize),
    /// The log begins here by now: the reader drops what it holds of an unfinished line and goes
    /// on from there. Can lie behind the end that was asked for.
    Freed(Place),
}

/// Reads on from a place, never taking freed bytes for content.
///
/// The kernel may free pages while it copies them to a reader, so nothing in a block tells whether
/// all of it is true. But the cut is on record before anything is freed: when the record has not
/// changed since before the block was read, all of the block is.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    source: LogSource<'a>,
    cut_file: Option<FileStat>,
    at: u64,
    to: u64,
}

/// What the record of the cut was when a block was last read.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutFile(Option<FileStat>);

impl<'a> Blocks<'a> {
    /// Begins at `from`, or where the log begins if that is behind it. Returns which.
    pub(super) fn new(source: LogSource<'a>, from: Place, to: u64) -> (Self, Place) {
        // In this order: a change in between is seen as one after the first block.
        let cut_file = source.cut_file();
        let cut = cut_file.map_or(Cut::NONE, |_| source.cut());
        let from = if cut.offset > from.offset {
            Place::from(cut)
        } else {
            from
        };
        let at = from.offset;
        let blocks = Self {
            source,
            cut_file,
            at,
            to,
        };
        (blocks, from)
    }

    /// Goes on where other blocks have ended. What has been freed since is told by the first read.
    pub(super) fn resume(source: LogSource<'a>, seen: CutFile, at: u64, to: u64) -> Self {
        let CutFile(cut_file) = seen;
        Self {
            source,
            cut_file,
            at,
            to,
        }
    }

    /// What whoever goes on later has to know.
    pub(super) fn seen(self) -> CutFile {
        CutFile(self.cut_file)
    }

    /// Fills the buffer as far as there is something.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Step> {
        let left = usize::try_from(self.to.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(Step::Read(0));
        }
        let n = read_at(self.source.file, &mut buffer[..wanted], self.at)?;
        if let Some(place) = self.newly_freed() {
            self.at = place.offset;
            return Ok(Step::Freed(place));
        }
        self.at += n as u64;
        Ok(Step::Read(n))
    }

    /// Asked by stat(2), which takes less than a hundredth of reading a block.
    fn newly_freed(&mut self) -> Option<Place> {
        let now = self.source.cut_file();
        if is_same(self.cut_file.as_ref(), now.as_ref()) {
            return None;
        }
        self.cut_file = now;
        let cut = self.source.cut();
        (cut.offset > self.at).then(|| cut.into())
    }
}

fn is_same(one: Option<&FileStat>, other: Option<&FileStat>) -> bool {
    let identity = |stat: &FileStat| {
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        (stat.st_dev, stat.st_ino, stat.st_size, changed)
    };
    one.map(identity) == other.map(identity)
}
