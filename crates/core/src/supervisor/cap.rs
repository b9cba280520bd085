//! Keeping a log within its cap: the oldest bytes are freed in place (a hole is punched), so
//! that offsets stay true and the command notices nothing.
//!
//! What is freed is counted and put on record first. Where the filesystem cannot punch holes the
//! log goes on growing: no command is stopped or slowed for the sake of its log.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

use super::log_file::remove;
use crate::clock::Deadline;
use crate::log::{Cut, LogStream, find_newline, newlines, read_at};
use crate::store::TaskDir;
use crate::task::Generation;

/// Read and counted at once. Large enough for the allocator to give it back to the system.
const BLOCK: usize = 256 << 10;
/// How far the beginning of a line is looked for.
const LONGEST_LINE: u64 = 1 << 20;
/// Counted before it is freed: while that is done more is written.
const PIECE: u64 = 16 << 20;
/// Freed in one look: signals wait meanwhile. Only a log that nobody has watched needs more.
const PIECES: usize = 16;
/// Freed at once: the command's writes wait meanwhile.
const STEP: u64 = 4 << 20;
/// The blocks of filesystems are no larger than this, nor smaller than [`LEAST_BLOCK`].
const LARGEST_BLOCK: u64 = 64 << 10;
const LEAST_BLOCK: u64 = 4096;
/// After a failure that may pass, such as a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// One log and how much of it may stay.
#[derive(Debug)]
pub(crate) struct Cap {
    stream: LogStream,
    most: u64,
    /// `None` until it matters: most logs never get there.
    cut: Option<Cut>,
    /// So far nothing is left to free.
    freed: u64,
    /// `None`: the filesystem cannot punch holes.
    not_before: Option<Deadline>,
    /// How long the log was at the last look.
    seen: u64,
    /// Much was written between two looks a moment ago: until then more is freed, and earlier.
    hurry: Deadline,
}

/// How long a fast writer is thought to go on like that.
const HURRY: Duration = Duration::from_secs(2);

impl Cap {
    pub(crate) fn new(stream: LogStream, most: u64) -> Self {
        Self {
            stream,
            most,
            cut: None,
            freed: 0,
            not_before: Some(Deadline::after(Duration::ZERO)),
            seen: 0,
            hurry: Deadline::after(Duration::ZERO),
        }
    }

    pub(crate) fn stream(&self) -> LogStream {
        self.stream
    }

    /// Frees the oldest of a log that has come near its cap. Returns how much may be written
    /// before it is time to look again.
    pub(crate) fn keep(
        &mut self,
        dir: &TaskDir,
        generation: &Generation,
        log: &File,
        length: u64,
    ) -> u64 {
        let news = length.saturating_sub(std::mem::replace(&mut self.seen, length));
        if news > self.most / 8 {
            self.hurry = Deadline::after(HURRY);
        }
        let (many, stays) = if self.hurry.has_passed() {
            (self.most - self.most / 8, self.most / 4 * 3)
        } else {
            (self.most / 2, self.most / 4)
        };
        let Some(not_before) = self.not_before else {
            return u64::MAX;
        };
        if length <= many {
            return self.most - length;
        }
        let stream = self.stream;
        // One behind the end is damage: it would keep the log from being cut until it is as long.
        let recorded = || Some(Cut::read(dir, stream, generation)).filter(|it| it.offset <= length);
        let mut cut = *(self.cut).get_or_insert_with(|| recorded().unwrap_or(Cut::NONE));
        let mut present = length.saturating_sub(cut.offset);
        for _ in 0..PIECES {
            if present <= many {
                break;
            }
            if !not_before.has_passed() {
                return u64::MAX;
            }
            let length = cut.offset + present;
            let Ok(next) = self.free(dir, generation, log, cut, length, stays) else {
                self.not_before = self.not_before.and(Some(Deadline::after(RETRY)));
                return u64::MAX;
            };
            cut = next;
            self.cut = Some(cut);
            // It took its time: what was written meanwhile counts.
            let length = log.metadata().map_or(length, |metadata| metadata.len());
            present = length.saturating_sub(cut.offset);
        }
        many.max(present).saturating_sub(present) + self.most / 8
    }

    /// Leaves so many bytes, or frees a piece.
    fn free(
        &mut self,
        dir: &TaskDir,
        generation: &Generation,
        log: &File,
        old: Cut,
        length: u64,
        stays: u64,
    ) -> io::Result<Cut> {
        let readable = reopen(log, dir, self.stream)?;
        let target = (length - stays).min(old.offset + PIECE);
        let near = target..length.min(target + LONGEST_LINE.min(self.most / 8));
        let mut block = vec![0; BLOCK];
        let offset = line_start(&readable, near, &mut block)?.unwrap_or(target);
        let lines = old.lines + count(&readable, old.offset..offset, &mut block)?;
        drop(block);
        let new = Cut { offset, lines };
        // First what readers go by: they must never take a hole for what was written.
        new.write(dir, self.stream, generation)?;
        match self.punch(log, old.offset, offset) {
            Err(error) if self.freed == 0 && is_unsupported(&error) => {
                self.not_before = None;
                self.restore(dir, generation, old)?;
                Err(error)
            }
            // What could not be freed is tried again with the next piece.
            Ok(()) | Err(_) => Ok(new),
        }
    }

    /// Nothing has been freed after all.
    fn restore(&self, dir: &TaskDir, generation: &Generation, old: Cut) -> io::Result<()> {
        if old == Cut::NONE {
            remove(dir, self.stream.cut_name())
        } else {
            old.write(dir, self.stream, generation)
        }
    }

    fn punch(&mut self, log: &File, old: u64, new: u64) -> io::Result<()> {
        if self.freed == 0 && old > 0 {
            // An earlier supervisor's, which may have died before it had freed all of it. Most of
            // it is a hole, so it is done at once.
            self.punch_range(log, 0..align_down(old, LEAST_BLOCK))?;
        }
        let end = align_down(new, LEAST_BLOCK);
        while self.freed < end {
            // A block that was freed in part is freed with its rest.
            let start = align_down(self.freed, LARGEST_BLOCK);
            self.punch_range(log, start..end.min(start + STEP))?;
        }
        Ok(())
    }

    fn punch_range(&mut self, log: &File, range: Range<u64>) -> io::Result<()> {
        if !range.is_empty() {
            punch_hole(log, &range)?;
            self.freed = range.end;
        }
        Ok(())
    }
}

fn align_down(offset: u64, block: u64) -> u64 {
    offset - offset % block
}

/// Where the first line begins that begins in the range, or right before it.
fn line_start(log: &File, range: Range<u64>, block: &mut [u8]) -> io::Result<Option<u64>> {
    // The newline before a line belongs to it here: the range may begin with a line.
    let mut at = range.start - 1;
    while at < range.end {
        let n = read_piece(log, at..range.end, block)?;
        if let Some(newline) = find_newline(&block[..n]) {
            return Ok(Some(at + newline as u64 + 1));
        }
        at += n as u64;
    }
    Ok(None)
}

/// Newlines in a range.
fn count(log: &File, range: Range<u64>, block: &mut [u8]) -> io::Result<u64> {
    let (mut at, mut lines) = (range.start, 0);
    while at < range.end {
        let n = read_piece(log, at..range.end, block)?;
        lines += newlines(&block[..n]);
        at += n as u64;
    }
    Ok(lines)
}

fn read_piece(log: &File, range: Range<u64>, block: &mut [u8]) -> io::Result<usize> {
    let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let wanted = left.min(block.len());
    match read_at(log, &mut block[..wanted], range.start)? {
        // Someone has truncated it.
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => Ok(n),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    // ENOTSUP is the same number on Linux.
    let known = [
        libc::EOPNOTSUPP,
        libc::ENOTSUP,
        libc::ENOSYS,
        libc::EINVAL,
        libc::EPERM,
    ];
    error
        .raw_os_error()
        .is_some_and(|errno| known.contains(&errno))
}

/// The log for reading: the supervisor's descriptor is the command's, which only writes.
#[cfg(target_os = "linux")]
fn reopen(log: &File, _: &TaskDir, _: LogStream) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    File::open(format!("/proc/self/fd/{}", log.as_raw_fd()))
}

/// The log for reading: the supervisor's descriptor is the command's, which only writes.
#[cfg(not(target_os = "linux"))]
fn reopen(log: &File, dir: &TaskDir, stream: LogStream) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;

    use nix::fcntl::{OFlag, openat};
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let found = File::from(openat(
        dir,
        stream.log_name(),
        flags,
        nix::sys::stat::Mode::empty(),
    )?);
    let (ours, theirs) = (log.metadata()?, found.metadata()?);
    if (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
        Ok(found)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Frees a range of a file, whose bytes read as zeros from then on; its length stays.
#[cfg(target_os = "linux")]
pub(crate) fn punch_hole(file: &File, range: &Range<u64>) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let start = i64::try_from(range.start).map_err(io::Error::other)?;
    let length = i64::try_from(range.end - range.start).map_err(io::Error::other)?;
    Ok(fallocate(file, mode, start, length)?)
}

/// Frees a range of a file, whose bytes read as zeros from then on; its length stays.
#[cfg(target_os = "macos")]
#[allow(unsafe_code, reason = "nix does not know F_PUNCHHOLE")]
pub(crate) fn punch_hole(file: &File, range: &Range<u64>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let hole = libc::fpunchhole_t {
        fp_flags: 0,
        reserved: 0,
        fp_offset: i64::try_from(range.start).map_err(io::Error::other)?,
        fp_length: i64::try_from(range.end - range.start).map_err(io::Error::other)?,
    };
    // SAFETY: an open descriptor, and a structure that outlives the call.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PUNCHHOLE, &raw const hole) };
    nix::errno::Errno::result(done)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;
    use crate::store::file;

    struct Log {
        dir: TaskDir,
        generation: Generation,
        log: File,
        written: Vec<u8>,
        path: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Self {
            let path = tempfile::tempdir().unwrap();
            let mut options = File::options();
            let options = options.append(true).create(true);
            Self {
                dir: TaskDir::open_path(path.path()).unwrap(),
                generation: Generation::generate(),
                log: options.open(path.path().join(file::LOG)).unwrap(),
                written: Vec::new(),
                path,
            }
        }

        fn write(&mut self, bytes: &[u8]) {
            self.log.write_all(bytes).unwrap();
            self.written.extend(bytes);
        }

        fn keep(&self, cap: &mut Cap) -> u64 {
            cap.keep(
                &self.dir,
                &self.generation,
                &self.log,
                self.written.len() as u64,
            )
        }

        /// Writes little by little, looking each time.
        fn grow(&mut self, cap: &mut Cap, line: &[u8], times: usize) {
            for _ in 0..times.div_ceil(1000) {
                self.write(&line.repeat(1000));
                assert!(self.keep(cap) > MOST / 8);
            }
        }

        fn cut(&self) -> Cut {
            Cut::read(&self.dir, LogStream::Main, &self.generation)
        }

        /// What is behind the cut is untouched, and the lines before it have been counted.
        fn check(&self) {
            let cut = self.cut();
            let at = usize::try_from(cut.offset).unwrap();
            let found = std::fs::read(self.path.path().join(file::LOG)).unwrap();
            assert_eq!(found.len(), self.written.len());
            assert!(found[at..] == self.written[at..]);
            assert_eq!(cut.lines, newlines(&self.written[..at]));
        }

        fn bytes_on_disk(&self) -> u64 {
            self.log.metadata().unwrap().blocks() * 512
        }
    }

    const MOST: u64 = 1 << 20;

    #[test]
    fn three_quarters_stay_and_begin_with_a_line() {
        let mut log = Log::new();
        let mut cap = Cap::new(LogStream::Main, MOST);
        log.write(&b"a line of twenty-one.\n".repeat(1000));
        assert_eq!(log.keep(&mut cap), MOST - 22_000);
        assert!(!log.dir.exists(file::CUT));
        log.grow(&mut cap, b"a line of twenty-one.\n", 60_000);
        log.check();
        let cut = log.cut();
        assert_eq!(cut.offset % 22, 0);
        let left = log.written.len() as u64 - cut.offset;
        let bounds = MOST / 4 * 3 - 22..=MOST - MOST / 8;
        assert!(bounds.contains(&left), "{left}");
        assert!(log.bytes_on_disk() <= left + 2 * LEAST_BLOCK);
    }

    #[test]
    fn of_a_fast_writers_log_a_quarter_stays() {
        let mut log = Log::new();
        let mut cap = Cap::new(LogStream::Main, MOST);
        log.write(&b"a line of twenty-one.\n".repeat(60_000));
        assert!(log.keep(&mut cap) > MOST / 8);
        log.check();
        let left = log.written.len() as u64 - log.cut().offset;
        assert!((MOST / 4 - 22..=MOST / 4).contains(&left), "{left}");
    }

    #[test]
    fn a_line_without_an_end_is_cut_where_it_has_to_be() {
        let mut log = Log::new();
        let mut cap = Cap::new(LogStream::Main, MOST);
        log.write(&vec![b'x'; 3 << 20]);
        log.keep(&mut cap);
        log.check();
        assert_eq!(
            log.cut(),
            Cut {
                offset: (3 << 20) - MOST / 4,
                lines: 0
            }
        );
    }

    #[test]
    fn the_next_supervisor_goes_on_and_frees_what_was_left() {
        let mut log = Log::new();
        log.write(&b"0123456\n".repeat(300_000));
        // On record, but its supervisor died before it could free anything.
        let early = Cut {
            offset: 800_000,
            lines: 100_000,
        };
        early
            .write(&log.dir, LogStream::Main, &log.generation)
            .unwrap();
        let mut cap = Cap::new(LogStream::Main, MOST);
        log.keep(&mut cap);
        log.check();
        assert!(log.bytes_on_disk() <= MOST);
    }

    #[test]
    fn the_cut_of_another_generation_is_not_ours() {
        let log = Log::new();
        let cut = Cut {
            offset: 8,
            lines: 1,
        };
        cut.write(&log.dir, LogStream::Main, &Generation::generate())
            .unwrap();
        assert_eq!(log.cut(), Cut::NONE);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn whatever_is_written_little_stays_and_all_is_counted(
            pieces in proptest::collection::vec((1_usize..3000, 1_usize..2000), 1..30),
        ) {
            let most = 64 << 10;
            let mut log = Log::new();
            let mut cap = Cap::new(LogStream::Main, most);
            for (line, times) in pieces {
                let mut text = vec![b'x'; line - 1];
                text.push(b'\n');
                log.write(&text.repeat(times.div_ceil(line)));
                let room = log.keep(&mut cap);
                let left = log.written.len() as u64 - log.cut().offset;
                prop_assert_eq!(room, most - left);
                prop_assert!(left <= most - most / 8);
                log.check();
            }
        }
    }
}
