//! What readers have counted, so that the next one need not count again.
//!
//! A disposable cache: readers write it, the last one wins, and whoever cannot believe it counts
//! anew. It is believed when it is whole, speaks of this very file, and the log still holds what
//! it held before the last place: a log that was truncated by hand and grew again does not.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::count::count_on;
use super::{Cut, LogSource, Place, read_at};
use crate::store::{FORMAT_VERSION, read_all, stat};
use crate::task::Generation;

/// What is counted each time: that takes less than writing it down.
const SMALL_COUNT: u64 = 1 << 20;

/// Distance between places: what is read at most to find the number of any line.
const STEP: u64 = 32 << 20;

/// In a log so large that these would be more, the distance grows.
const PLACES: u64 = 256;

/// How much of the log before the latest place must still be as it was.
const WITNESS: u64 = 64;

/// What is stored: `<crc32 in hex> <json>`.
#[derive(Debug, Serialize, Deserialize)]
struct LinesFile {
    version: u32,
    generation: Generation,
    dev: u64,
    ino: u64,
    /// crc32 of what stands before the latest place.
    witness: u32,
    counts: Counts,
}

/// Offsets with the newlines before them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    /// In order, at some distance from each other.
    places: Vec<(u64, u64)>,
    /// Where the latest count ended.
    latest: (u64, u64),
}

impl Counts {
    /// Whether they can be those of a log of this size: a line takes a byte at least.
    fn are_possible(&self, size: u64) -> bool {
        let mut places = self.places.iter().chain([&self.latest]);
        let is_in_order = self.places.is_sorted_by(|one, other| one.0 < other.0);
        is_in_order && places.all(|&(offset, lines)| lines <= offset && offset <= size)
    }

    fn nearest_before(&self, offset: u64) -> Place {
        let places = self.places.iter().chain([&self.latest]);
        let (offset, lines) = places
            .copied()
            .filter(|place| place.0 <= offset)
            .max()
            .unwrap_or((0, 0));
        Place { offset, lines }
    }
}

/// The place at `to`, or where the log begins or ends if that is behind or before it. Counts only
/// what has not been counted yet, and remembers what that was.
pub(super) fn place_at(source: LogSource<'_>, to: u64) -> io::Result<Place> {
    let cut = source.cut();
    if to.saturating_sub(cut.offset) <= SMALL_COUNT {
        return count_on(source, cut.into(), to, &mut |_| {});
    }
    let mut counts = read(source, cut).unwrap_or_default();
    let step = STEP.max(to / PLACES);
    let mut last = counts.places.last().map_or(0, |place| place.0);
    let from = counts.nearest_before(to);
    let end = count_on(source, from, to, &mut |place| {
        if place.offset >= last.max(cut.offset) + step {
            last = place.offset;
            counts.places.push((place.offset, place.lines));
        }
    })?;
    if end.offset == to && to > counts.latest.0.max(cut.offset) + SMALL_COUNT {
        counts.places.retain(|place| place.0 > cut.offset);
        counts.latest = (end.offset, end.lines);
        // A home that cannot be written to, or a full disk: the next reader counts again.
        let _ = write(source, cut, counts);
    }
    Ok(end)
}

fn read(source: LogSource<'_>, cut: Cut) -> Option<Counts> {
    let bytes = read_all(source.dir.as_fd(), source.stream.lines_name()).ok()?;
    let (checksum, json) = bytes.split_at_checked(9)?;
    if checksum != format!("{:08x} ", crc32fast::hash(json)).as_bytes() {
        return None;
    }
    let stored: LinesFile = serde_json::from_slice(json).ok()?;
    let log = source.file.metadata().ok()?;
    let is_of_this_log = stored.version == FORMAT_VERSION
        && stored.counts.are_possible(log.len())
        && stored.generation == *source.generation
        && (stored.dev, stored.ino) == (log.dev(), log.ino());
    let is_unchanged = || witness(source.file, stored.counts.latest.0, cut) == Some(stored.witness);
    (is_of_this_log && is_unchanged()).then_some(stored.counts)
}

/// Of what stands before `offset`; `None` where that is not, or may soon not be, in the log.
fn witness(file: &File, offset: u64, cut: Cut) -> Option<u32> {
    let begin = offset.saturating_sub(WITNESS);
    let mut bytes = [0; WITNESS as usize];
    let wanted = &mut bytes[..usize::try_from(offset - begin).ok()?];
    let n = read_at(file, wanted, begin).ok()?;
    (begin >= cut.offset && n == wanted.len()).then(|| crc32fast::hash(wanted))
}

fn write(source: LogSource<'_>, cut: Cut, counts: Counts) -> io::Result<()> {
    let Some(witness) = witness(source.file, counts.latest.0, cut) else {
        return Ok(());
    };
    let log = source.file.metadata()?;
    let content = LinesFile {
        version: FORMAT_VERSION,
        generation: source.generation.clone(),
        dev: log.dev(),
        ino: log.ino(),
        witness,
        counts,
    };
    let json = serde_json::to_vec(&content)?;
    let mut bytes = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    bytes.extend(json);
    replace(source, &bytes)
}

/// As `write_aside`, but for several writers at once: whoever holds the lock of the file aside may
/// write it, and whoever does not get it leaves it to that one.
fn replace(source: LogSource<'_>, bytes: &[u8]) -> io::Result<()> {
    let name = source.stream.lines_name();
    let aside = format!("{name}.new");
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut file = File::from(openat(source.dir, aside.as_str(), flags, mode)?);
    file.try_lock()?;
    // Its last writer may have renamed it between the opening and the locking: then it is in use.
    let (opened, found) = (fstat(&file)?, stat(source.dir, &aside)?);
    if found.is_none_or(|found| (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino)) {
        return Ok(());
    }
    let written = file.set_len(0).and_then(|()| file.write_all(bytes));
    if let Err(error) = written {
        // A full disk: what could be written of it is of no use to anyone.
        let _ = unlinkat(source.dir, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        return Err(error);
    }
    Ok(renameat(source.dir, aside.as_str(), source.dir, name)?)
}

#[cfg(test)]
mod tests {
    use super::super::sample::SampleLog;
    use super::super::{lines_before, total_lines};
    use super::*;
    use std::os::unix::fs::FileExt;

    /// Lines of different lengths, so that a wrong place gives a wrong number.
    fn lines(bytes: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes + 100);
        for number in 0_usize.. {
            text.resize(text.len() + number * 997 % 6000, b'x');
            writeln!(text, "{number}").unwrap();
            if text.len() >= bytes {
                break;
            }
        }
        text
    }

    fn total(text: &[u8]) -> u64 {
        memchr::memchr_iter(b'\n', text).count() as u64 + u64::from(!text.ends_with(b"\n"))
    }

    fn remembered(log: &SampleLog) -> Option<Counts> {
        read(log.source(), log.source().cut())
    }

    #[test]
    fn a_small_log_is_not_written_about() {
        let text = lines(1 << 19);
        let log = SampleLog::holding(&text);
        assert_eq!(total_lines(log.source(), log.size()).unwrap(), total(&text));
        assert_eq!(std::fs::read_dir(log.folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_large_log_is_counted_once() {
        let step = usize::try_from(STEP).unwrap();
        let text = lines(2 * step + step / 2);
        let log = SampleLog::holding(&text);
        let count = |size: usize| total_lines(log.source(), size as u64).unwrap();
        assert_eq!(count(text.len()), total(&text));
        let counts = remembered(&log).unwrap();
        assert_eq!(counts.places.len(), 2);
        assert_eq!(counts.latest.0, log.size());
        // What has been counted is not read again: the change goes unseen.
        let path = log.folder.path().join("log");
        let writable = File::options().write(true).open(path).unwrap();
        writable.write_all_at(b"\n\n\n", 20).unwrap();
        assert_eq!(count(text.len()), total(&text));
        for at in [step + 7, 2 * step + 1, text.len() - 1] {
            let before = lines_before(log.source(), at as u64).unwrap();
            assert_eq!(
                before,
                memchr::memchr_iter(b'\n', &text[..at]).count() as u64
            );
        }
        // Small growth is not written down, large growth is; a partial line gets its end.
        let mut text = text;
        for (more, is_written) in [(b"more".to_vec(), false), (lines(2 << 20), true)] {
            (&log.file).write_all(&more).unwrap();
            text.extend(more);
            assert_eq!(count(text.len()), total(&text));
            let latest = remembered(&log).unwrap().latest.0;
            assert_eq!(latest == log.size(), is_written);
        }
        assert_eq!(remembered(&log).unwrap().places, counts.places);
        assert_eq!(std::fs::read_dir(log.folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_log_that_was_truncated_is_counted_anew() {
        let text = lines(4 << 20);
        let log = SampleLog::holding(&text);
        total_lines(log.source(), log.size()).unwrap();
        log.file.set_len(3 << 20).unwrap();
        let left = total(&text[..3 << 20]);
        assert_eq!(total_lines(log.source(), 3 << 20).unwrap(), left);
        log.file.set_len(0).unwrap();
        assert_eq!(total_lines(log.source(), 0).unwrap(), 0);
        let other = "0123456\n".repeat(text.len() / 4).into_bytes();
        (&log.file).write_all(&other).unwrap();
        assert_eq!(
            total_lines(log.source(), log.size()).unwrap(),
            total(&other)
        );
        assert_eq!(remembered(&log).unwrap().latest.0, log.size());
    }

    #[test]
    fn a_damaged_or_strange_file_is_none() {
        let text = lines(2 << 20);
        let log = SampleLog::holding(&text);
        total_lines(log.source(), log.size()).unwrap();
        let path = log.folder.path().join("lines");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(remembered(&log), None, "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(remembered(&log), None, "cut at {at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(remembered(&log).is_some());
        let generation = Generation::generate();
        let of_another = LogSource {
            generation: &generation,
            ..log.source()
        };
        assert_eq!(read(of_another, Cut::NONE), None);
        let copy = SampleLog::holding(&text);
        std::fs::copy(&path, copy.folder.path().join("lines")).unwrap();
        let of_copy = LogSource {
            file: &copy.file,
            ..log.source()
        };
        assert_eq!(read(of_copy, Cut::NONE), None);
    }

    #[test]
    fn what_cannot_have_been_counted_is_not_believed() {
        let text = lines(2 << 20);
        let log = SampleLog::holding(&text);
        let size = log.size();
        let possible = (size / 2, 7);
        let places = [
            vec![(u64::MAX, 7)],
            vec![(9, 10)],
            vec![(9, u64::MAX)],
            vec![possible, possible],
            vec![possible, (9, 7)],
        ];
        for places in places {
            let latest = (1000, 10);
            let counts = Counts { places, latest };
            write(log.source(), Cut::NONE, counts).unwrap();
            assert_eq!(remembered(&log), None);
            assert_eq!(total_lines(log.source(), size).unwrap(), total(&text));
        }
    }

    #[test]
    fn what_was_counted_holds_while_a_log_is_cut() {
        let text = lines(3 << 20);
        let log = SampleLog::holding(&text);
        let all = usize::try_from(total(&text)).unwrap();
        for freed in [0, 1, all / 2, all - 1, all] {
            log.free_lines(&text, freed);
            for _ in 0..2 {
                assert_eq!(total_lines(log.source(), log.size()).unwrap(), all as u64);
            }
        }
    }

    #[test]
    fn without_a_cache_it_counts_all_the_same() {
        let text = lines(2 << 20);
        let log = SampleLog::holding(&text);
        // A writer that holds the file aside, then something that cannot be written to.
        let aside = log.folder.path().join("lines.new");
        let busy = File::create(&aside).unwrap();
        busy.try_lock().unwrap();
        let count = || total_lines(log.source(), log.size()).unwrap();
        assert_eq!(count(), total(&text));
        assert_eq!(remembered(&log), None);
        drop(busy);
        // Left behind by a writer that was killed.
        std::fs::write(&aside, "leftover".repeat(100)).unwrap();
        assert_eq!(count(), total(&text));
        assert!(remembered(&log).is_some());
        assert!(!aside.exists());
        let lines = log.folder.path().join("lines");
        std::fs::remove_file(&lines).unwrap();
        std::fs::create_dir(&aside).unwrap();
        assert_eq!(count(), total(&text));
        assert_eq!(remembered(&log), None);
    }

    #[test]
    fn many_readers_at_once_leave_one_whole_file() {
        let text = lines(2 << 20);
        let log = SampleLog::holding(&text);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let path = log.folder.path().join("lines");
                        let _ = std::fs::remove_file(path);
                        let count = total_lines(log.source(), log.size()).unwrap();
                        assert_eq!(count, total(&text));
                    }
                });
            }
        });
        total_lines(log.source(), log.size()).unwrap();
        assert!(remembered(&log).is_some());
        assert!(!log.folder.path().join("lines.new").exists());
    }
}
