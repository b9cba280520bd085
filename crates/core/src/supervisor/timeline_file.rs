//! Appending to `timeline`. A mark that cannot be written is lost, and the task is not: readers
//! then give its lines the time of the next one.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::log::timeline::{HEADER, Header, Lengths, MARK, Mark, header, judge};
use crate::store::{TaskDir, file, read_all, write_aside};
use crate::task::Generation;

/// Beyond this every second mark goes; five hours of uninterrupted growth.
const LARGEST: u64 = 4 << 20;

/// The timeline of one generation, made when there is something to write.
#[derive(Debug)]
pub(crate) struct TimelineFile {
    generation: Generation,
    open: Option<Open>,
    /// Not written yet.
    pending: Vec<Mark>,
    /// A newer build's is left alone.
    is_newer: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Behind the last whole mark: a torn one is written over.
    end: u64,
    /// What that mark says.
    last: Lengths,
}

impl TimelineFile {
    pub(crate) fn new(generation: Generation) -> Self {
        Self {
            generation,
            open: None,
            pending: Vec::new(),
            is_newer: false,
        }
    }

    /// Whose timeline it is.
    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Whether it has been written to by this process.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a mark, to be written with the next [`TimelineFile::write`].
    pub(crate) fn push(&mut self, mark: Mark) {
        if !self.is_newer {
            self.pending.push(mark);
        }
    }

    /// Writes what is pending, in one piece.
    pub(crate) fn write(&mut self, dir: &TaskDir) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() || self.is_newer {
            return;
        }
        if self.open.is_none() {
            self.open = self.open_or_create(dir).ok();
        }
        let Some(open) = &mut self.open else {
            return;
        };
        let news = open.append(&pending);
        let is_large = news.is_ok() && open.end > LARGEST;
        if is_large && let Ok(thinned) = self.thin_out(dir) {
            self.open = Some(thinned);
        }
    }

    fn open_or_create(&mut self, dir: &TaskDir) -> io::Result<Open> {
        if let Ok(file) = open(dir) {
            let mut first = [0; HEADER];
            let n = crate::log::read_at(&file, &mut first, 0)?;
            match judge(&first[..n], &self.generation) {
                Header::Ours => return Open::at_end_of(file),
                Header::Newer => {
                    self.is_newer = true;
                    return Err(io::ErrorKind::Unsupported.into());
                }
                Header::Other => {}
            }
        }
        write_aside(dir.as_fd(), file::TIMELINE, &header(&self.generation))?;
        Open::at_end_of(open(dir)?)
    }

    /// Keeps the later one of each two marks.
    fn thin_out(&self, dir: &TaskDir) -> io::Result<Open> {
        let stored = read_all(dir.as_fd(), file::TIMELINE)?;
        let (marks, _torn) = stored.get(HEADER..).unwrap_or_default().as_chunks::<MARK>();
        let mut kept = header(&self.generation).to_vec();
        kept.reserve(marks.len() / 2 * MARK);
        // Counted from the end, so that the last one stays.
        let skipped = (marks.len() + 1) % 2;
        marks
            .iter()
            .skip(skipped)
            .step_by(2)
            .for_each(|mark| kept.extend(mark));
        write_aside(dir.as_fd(), file::TIMELINE, &kept)?;
        Open::at_end_of(open(dir)?)
    }
}

impl Open {
    fn at_end_of(file: File) -> io::Result<Self> {
        let (header, mark) = (HEADER as u64, MARK as u64);
        let marks = file.metadata()?.len().saturating_sub(header) / mark;
        let end = header + marks * mark;
        let mut bytes = [0; MARK];
        let last = if marks > 0 && crate::log::read_at(&file, &mut bytes, end - mark)? == MARK {
            Mark::decode(bytes).lengths
        } else {
            Lengths::default()
        };
        Ok(Self { file, end, last })
    }

    /// Leaves out what is known already, and sees to it that lengths never go down: someone may
    /// have truncated a log.
    fn append(&mut self, marks: &[Mark]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(marks.len() * MARK);
        let mut last = self.last;
        for mark in marks {
            let lengths = mark.lengths.max(last);
            if lengths != last {
                last = lengths;
                bytes.extend(Mark { lengths, ..*mark }.encode());
            }
        }
        self.file.write_all_at(&bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.last = last;
        Ok(())
    }
}

fn open(dir: &TaskDir) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    Ok(File::from(openat(
        dir,
        file::TIMELINE,
        flags,
        Mode::empty(),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogStream;
    use crate::log::timeline::Timeline;

    fn mark(time: i64, main: u64) -> Mark {
        let lengths = Lengths { main, stderr: 0 };
        Mark { time, lengths }
    }

    struct Folder {
        path: tempfile::TempDir,
        dir: TaskDir,
        generation: Generation,
    }

    impl Folder {
        fn new() -> Self {
            let path = tempfile::tempdir().unwrap();
            let dir = TaskDir::open_path(path.path()).unwrap();
            let generation = Generation::generate();
            Self {
                path,
                dir,
                generation,
            }
        }

        fn write(&self, marks: &[Mark]) -> TimelineFile {
            let mut file = TimelineFile::new(self.generation.clone());
            marks.iter().for_each(|mark| file.push(*mark));
            file.write(&self.dir);
            file
        }

        fn time_of(&self, end: u64) -> Option<i64> {
            Timeline::load(&self.dir, &self.generation).time_of(LogStream::Main, end)
        }

        fn stored(&self) -> Vec<u8> {
            std::fs::read(self.path.path().join(file::TIMELINE)).unwrap()
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_next_process_goes_on() {
        let folder = Folder::new();
        assert!(!folder.write(&[]).is_open());
        assert!(!folder.path.path().join(file::TIMELINE).exists());
        folder.write(&[mark(1, 10), mark(2, 20)]);
        // The second is known, the third is of a log that was truncated.
        folder.write(&[mark(3, 20), mark(4, 5), mark(5, 30)]);
        let times = [10, 11, 20, 21, 30, 31].map(|end| folder.time_of(end));
        assert_eq!(times, [Some(1), Some(2), Some(2), Some(5), Some(5), None]);
        assert_eq!(folder.stored().len(), HEADER + 3 * MARK);
    }

    #[test]
    fn a_torn_mark_is_written_over() {
        let folder = Folder::new();
        folder.write(&[mark(1, 10), mark(2, 20)]);
        let path = folder.path.path().join(file::TIMELINE);
        let torn = File::options().write(true).open(&path).unwrap();
        torn.set_len((HEADER + MARK + 5) as u64).unwrap();
        folder.write(&[mark(3, 30)]);
        assert_eq!(folder.stored().len(), HEADER + 2 * MARK);
        assert_eq!([folder.time_of(10), folder.time_of(30)], [Some(1), Some(3)]);
    }

    #[test]
    fn another_generation_begins_anew_and_a_newer_format_is_left_alone() {
        let mut folder = Folder::new();
        folder.write(&[mark(1, 10)]);
        folder.generation = Generation::generate();
        assert_eq!(folder.time_of(1), None);
        folder.write(&[mark(2, 1)]);
        assert_eq!([folder.time_of(1), folder.time_of(2)], [Some(2), None]);
        let mut newer = folder.stored();
        newer[4] = 9;
        std::fs::write(folder.path.path().join(file::TIMELINE), &newer).unwrap();
        folder.write(&[mark(3, 2)]);
        assert_eq!(folder.stored(), newer);
    }

    #[test]
    fn a_large_one_is_thinned_out_and_keeps_its_last_mark() {
        let folder = Folder::new();
        let count = LARGEST as i64 / MARK as i64 + 3;
        let marks: Vec<Mark> = (1..=count).map(|n| mark(n, n.unsigned_abs())).collect();
        let mut file = folder.write(&marks);
        assert!((folder.stored().len() as u64) < LARGEST / 2 + 100);
        assert_eq!(folder.time_of(count.unsigned_abs()), Some(count));
        let late = folder.time_of(1).unwrap();
        assert!((1..=2).contains(&late), "{late}");
        // The same process goes on in the new file.
        file.push(mark(count + 7, count.unsigned_abs() + 1));
        file.write(&folder.dir);
        assert_eq!(folder.time_of(count.unsigned_abs() + 1), Some(count + 7));
    }
}
