//! `timeline`: how long the logs were at which time, so that each of their lines has one.
//!
//! ```text
//! header   24 bytes   "BGTL", version (u32), generation (16 characters)
//! mark     24 bytes   milliseconds since 1970 (i64), length of the log (u64), of stderr's (u64)
//! ```
//!
//! Numbers are little endian. The supervisor appends a mark at most ten times a second while a log
//! grows. Lengths never go down from mark to mark; times may, when the clock is set back. A torn
//! last mark is not there. What lies behind the last mark was written when the file was last
//! modified, to within a tenth of a second.

use std::cell::Cell;
use std::ops::Range;
use std::os::fd::AsFd;

use super::LogStream;
use crate::store::{FORMAT_VERSION, TaskDir, file, read_all};
use crate::task::Generation;

const MAGIC: &[u8; 4] = b"BGTL";
/// Bytes of a header.
pub(crate) const HEADER: usize = 24;
/// Bytes of a mark.
pub(crate) const MARK: usize = 24;
/// Marks that a sequential reader walks over before it is thought to have jumped.
const NEAR: usize = 8;

/// How long a task's logs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Bytes of the log.
    pub main: u64,
    /// Bytes of the log of standard error, 0 without one.
    pub stderr: u64,
}

impl Lengths {
    /// Of one of them.
    pub(crate) fn of(self, stream: LogStream) -> u64 {
        match stream {
            LogStream::Main => self.main,
            LogStream::Stderr => self.stderr,
        }
    }

    /// The longer of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            main: self.main.max(other.main),
            stderr: self.stderr.max(other.stderr),
        }
    }
}

/// At `time` the logs were this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Milliseconds since 1970.
    pub time: i64,
    /// How long they were.
    pub lengths: Lengths,
}

impl Mark {
    /// As it is stored.
    pub(crate) fn encode(&self) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        bytes[..8].copy_from_slice(&self.time.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lengths.main.to_le_bytes());
        bytes[16..].copy_from_slice(&self.lengths.stderr.to_le_bytes());
        bytes
    }

    /// What is stored.
    pub(crate) fn decode(bytes: [u8; MARK]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        Self {
            time: i64::from_le_bytes(word(0)),
            lengths: Lengths {
                main: u64::from_le_bytes(word(8)),
                stderr: u64::from_le_bytes(word(16)),
            },
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Marks of this generation follow.
    Ours,
    /// A newer build wrote it.
    Newer,
    /// Another generation's, or not a timeline.
    Other,
}

/// The header of a generation's timeline.
pub(crate) fn header(generation: &Generation) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let name = generation.as_str().as_bytes();
    let n = name.len().min(16);
    bytes[8..8 + n].copy_from_slice(&name[..n]);
    bytes
}

/// Judges the beginning of a file.
pub(crate) fn judge(bytes: &[u8], generation: &Generation) -> Header {
    match bytes.first_chunk::<HEADER>() {
        Some(found) if *found == header(generation) => Header::Ours,
        Some([a, b, c, d, v0, v1, v2, v3, ..])
            if [*a, *b, *c, *d] == *MAGIC
                && u32::from_le_bytes([*v0, *v1, *v2, *v3]) > FORMAT_VERSION =>
        {
            Header::Newer
        }
        _ => Header::Other,
    }
}

/// A timeline as a reader has it: a moment's copy.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    marks: Vec<Mark>,
    /// Where the last answer for each stream was: lines are mostly asked for in their order.
    near: [Cell<usize>; 2],
}

impl Timeline {
    /// The timeline of a generation; empty when there is none, or none that can be read.
    pub(crate) fn load(dir: &TaskDir, generation: &Generation) -> Self {
        let bytes = read_all(dir.as_fd(), file::TIMELINE).unwrap_or_default();
        match judge(&bytes, generation) {
            Header::Ours => Self::of(&bytes[HEADER..]),
            Header::Newer | Header::Other => Self::default(),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let (marks, _torn) = bytes.as_chunks::<MARK>();
        let mut before = Lengths::default();
        let marks = marks.iter().map(|bytes| Mark::decode(*bytes));
        // Damage ends it: searching needs the order.
        let in_order = marks.take_while(|mark| {
            let is_later = mark.lengths.max(before) == mark.lengths;
            before = mark.lengths;
            is_later
        });
        Self {
            marks: in_order.collect(),
            near: Default::default(),
        }
    }

    /// When the line that ends at `end` was there, in milliseconds since 1970. `None` behind the
    /// last mark: the time is that of the file's last change.
    pub(crate) fn time_of(&self, stream: LogStream, end: u64) -> Option<i64> {
        let is_before = |mark: &Mark| mark.lengths.of(stream) < end;
        let near = &self.near[stream as usize];
        let from = near.get();
        let at = if from == 0 || is_before(&self.marks[from - 1]) {
            let rest = &self.marks[from..];
            let step = rest.iter().take(NEAR).position(|mark| !is_before(mark));
            from + step.unwrap_or_else(|| rest.partition_point(is_before))
        } else {
            self.marks[..from].partition_point(is_before)
        };
        near.set(at);
        self.marks.get(at).map(|mark| mark.time)
    }

    /// Up to where lines have the time of the one that ends at `end`.
    pub(crate) fn same_time_to(&self, stream: LogStream, end: u64) -> u64 {
        let _ = self.time_of(stream, end);
        let mark = self.marks.get(self.near[stream as usize].get());
        mark.map_or(u64::MAX, |mark| mark.lengths.of(stream))
    }

    /// Where lines from `since` to `until` (both included) may be: each of them ends behind the
    /// range's start and not behind its end. `modified` is the time of what lies behind the last
    /// mark, if anything does in a log of this size. All is looked at, since a clock that was set back makes times go down.
    pub(crate) fn offset_range(
        &self,
        stream: LogStream,
        since: Option<i64>,
        until: Option<i64>,
        size: u64,
        modified: i64,
    ) -> Range<u64> {
        let since = since.unwrap_or(i64::MIN);
        let until = until.unwrap_or(i64::MAX);
        let length = |mark: Option<&Mark>| mark.map_or(0, |mark| mark.lengths.of(stream));
        let first = self.marks.iter().position(|mark| mark.time >= since);
        let start = match first {
            Some(0) => 0,
            Some(at) => length(self.marks.get(at - 1)),
            None if modified >= since => length(self.marks.last()),
            None => u64::MAX,
        };
        let has_more = size > length(self.marks.last());
        let end = if has_more && modified <= until {
            u64::MAX
        } else {
            length(self.marks.iter().rfind(|mark| mark.time <= until))
        };
        start..end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks() -> impl Strategy<Value = Vec<Mark>> {
        proptest::collection::vec((-5_i64..20, 0_u64..4, 0_u64..4), 0..40).prop_map(|steps| {
            let mut lengths = Lengths::default();
            let mark = |(time, main, stderr)| {
                lengths.main += main;
                lengths.stderr += stderr;
                Mark { time, lengths }
            };
            steps.into_iter().map(mark).collect()
        })
    }

    fn stored(marks: &[Mark]) -> Vec<u8> {
        marks.iter().flat_map(Mark::encode).collect()
    }

    fn naive_time(marks: &[Mark], stream: LogStream, end: u64) -> Option<i64> {
        let noted = marks.iter().find(|mark| mark.lengths.of(stream) >= end);
        noted.map(|mark| mark.time)
    }

    proptest! {
        #[test]
        fn any_order_of_questions_gets_the_same_times(
            marks in marks(),
            questions in proptest::collection::vec((any::<bool>(), 0_u64..160), 0..80),
        ) {
            let timeline = Timeline::of(&stored(&marks));
            for (main, end) in questions {
                let stream = if main { LogStream::Main } else { LogStream::Stderr };
                prop_assert_eq!(timeline.time_of(stream, end), naive_time(&marks, stream, end));
            }
        }

        #[test]
        fn no_line_of_the_time_lies_outside_of_the_range(
            marks in marks(),
            since in proptest::option::of(-6_i64..21),
            until in proptest::option::of(-6_i64..21),
            modified in -6_i64..21,
        ) {
            let timeline = Timeline::of(&stored(&marks));
            let range = timeline.offset_range(LogStream::Main, since, until, 170, modified);
            for end in 0..170 {
                let time = naive_time(&marks, LogStream::Main, end).unwrap_or(modified);
                let is_meant = since.is_none_or(|it| time >= it) && until.is_none_or(|it| time <= it);
                // A line has at least one byte.
                if is_meant && end > 0 {
                    prop_assert!(range.start < end && end <= range.end, "{end} in {range:?}");
                }
            }
        }

        #[test]
        fn nothing_that_is_stored_breaks_it(bytes: Vec<u8>, end: u64) {
            let timeline = Timeline::of(&bytes);
            timeline.time_of(LogStream::Stderr, end);
            timeline.time_of(LogStream::Stderr, end / 2);
        }
    }

    #[test]
    fn the_range_is_as_narrow_as_the_marks_allow() {
        let mark = |time, main| Mark {
            time,
            lengths: Lengths { main, stderr: 0 },
        };
        let timeline = Timeline::of(&stored(&[mark(10, 100), mark(20, 200), mark(30, 300)]));
        let range = |since, until| timeline.offset_range(LogStream::Main, since, until, 400, 40);
        assert_eq!(range(None, None), 0..u64::MAX);
        assert_eq!(range(Some(11), Some(20)), 100..200);
        assert_eq!(range(Some(20), Some(29)), 100..200);
        assert_eq!(range(Some(31), None), 300..u64::MAX);
        assert!(range(Some(41), None).is_empty());
        assert!(range(None, Some(9)).is_empty());
        // The file's time is a little earlier than the mark that tells of all of it.
        let all_is_told = timeline.offset_range(LogStream::Main, None, Some(29), 300, 29);
        assert_eq!(all_is_told, 0..200);
    }

    #[test]
    fn a_torn_mark_and_another_generation_are_not_there() {
        let generation = Generation::generate();
        let mark = Mark {
            time: 7,
            lengths: Lengths { main: 1, stderr: 2 },
        };
        let mut bytes = header(&generation).to_vec();
        bytes.extend(mark.encode());
        bytes.extend(&mark.encode()[..MARK - 1]);
        assert_eq!(Timeline::of(&bytes[HEADER..]).marks, [mark]);
        assert_eq!(judge(&bytes, &generation), Header::Ours);
        assert_eq!(judge(&bytes, &Generation::generate()), Header::Other);
        assert_eq!(judge(&bytes[..HEADER - 1], &generation), Header::Other);
        bytes[4] = 2;
        assert_eq!(judge(&bytes, &generation), Header::Newer);
    }
}
