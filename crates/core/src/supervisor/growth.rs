//! When the logs are looked at: noting how long they are at which time, and keeping them within
//! their cap. While they are silent nobody is woken.
//!
//! ```text
//! silent ──told of a write──▶ growing ──looked, nothing new──▶ armed, looked once more ──▶ silent
//!                              ▲    │
//!                              └────┘ looked after at most 100 ms, something new
//! ```

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use super::cap::Cap;
use super::folder_watch::FolderWatch;
use super::log_file::Logs;
use super::timeline_file::TimelineFile;
use crate::clock::{Deadline, Stopwatch, Timestamp};
use crate::log::LogStream;
use crate::log::timeline::{Lengths, Mark};
use crate::store::TaskDir;
use crate::task::{Generation, Limits};

/// Between two marks, and at most between two looks while a log grows.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);
/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(2);
/// Between looks at a silent log where nothing tells of writes.
const UNTOLD: Duration = Duration::from_secs(1);
/// As fast as a command may be thought to write, in bytes per nanosecond.
const FASTEST: u64 = 2;

/// The logs of a run, and what is known of their growth.
#[derive(Debug)]
pub(crate) struct Growth {
    logs: Logs,
    timeline: TimelineFile,
    caps: [Option<Cap>; 2],
    watch: Option<FolderWatch>,
    /// Whether the next write will be told.
    armed: bool,
    seen: Lengths,
    noted: Lengths,
    /// What earlier runs wrote.
    before: Lengths,
    look_at: Deadline,
    /// No mark before.
    note_from: Deadline,
    /// When the first marks are written: what is over sooner needs none.
    write_at: Deadline,
    /// Since the logs were last seen to have grown.
    silent: Stopwatch,
}

impl Growth {
    /// `before`: how long the logs were before the run; `modified`: since when.
    pub(crate) fn new(
        logs: Logs,
        generation: Generation,
        limits: Limits,
        before: Lengths,
        modified: SystemTime,
    ) -> Self {
        let mut timeline = TimelineFile::new(generation);
        if before != Lengths::default() {
            // What the run before wrote last: from now on the file's time is that of this run.
            let time = Timestamp::from(modified).as_millis();
            timeline.push(Mark {
                time,
                lengths: before,
            });
        }
        let cap = |stream| limits.log_cap().map(|most| Cap::new(stream, most));
        let stderr = logs.stderr.as_ref().and_then(|_| cap(LogStream::Stderr));
        let caps = [cap(LogStream::Main), stderr];
        Self {
            logs,
            timeline,
            caps,
            watch: None,
            armed: false,
            seen: before,
            noted: before,
            before,
            look_at: Deadline::NEVER,
            note_from: Deadline::after(Duration::ZERO),
            write_at: Deadline::NEVER,
            silent: Stopwatch::start(),
        }
    }

    /// How long the logs are now.
    pub(crate) fn lengths(&self) -> Lengths {
        self.logs.lengths()
    }

    /// The one with standard output in it.
    pub(crate) fn main_log(&self) -> &File {
        &self.logs.main
    }

    /// How long they were before the run.
    pub(crate) fn before(&self) -> Lengths {
        self.before
    }

    /// Begins to look after them.
    pub(crate) fn begin(&mut self, dir: &TaskDir) {
        self.watch = FolderWatch::open(&self.logs);
        self.look(dir);
    }

    /// When they are to be looked at next.
    pub(crate) fn due(&self) -> Deadline {
        let note_at = if self.seen == self.noted {
            Deadline::NEVER
        } else {
            self.note_from
        };
        self.look_at.sooner(note_at).sooner(self.write_at)
    }

    /// What tells of the next write besides the signals.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        // Before it is armed again it would tell of what is known.
        self.watch
            .as_ref()
            .filter(|_| self.armed)
            .and_then(FolderWatch::as_fd)
    }

    /// Looks, if something was written to the task folder or it is time to.
    pub(crate) fn attend(&mut self, dir: &TaskDir, told: bool) {
        if told {
            self.armed = false;
        }
        if told || self.due().has_passed() {
            self.look(dir);
        }
    }

    fn look(&mut self, dir: &TaskDir) {
        let mut grows = self.has_grown();
        self.note(dir);
        // Last, since our own writes are told as well.
        if !grows && !self.armed {
            self.armed = self.watch.as_ref().is_some_and(|watch| watch.arm(dir));
            // What was written before it was armed is not told.
            grows = self.has_grown();
            if grows {
                self.note(dir);
            }
        }
        self.look_at = if grows {
            Deadline::after(self.free_oldest(dir))
        } else if self.armed {
            Deadline::NEVER
        } else {
            Deadline::after(UNTOLD)
        };
    }

    fn has_grown(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, self.logs.lengths());
        let has_grown = self.seen != before;
        if has_grown {
            self.silent = Stopwatch::start();
        }
        has_grown
    }

    /// How long the logs have not grown.
    pub(crate) fn silence(&mut self) -> Duration {
        self.has_grown();
        Duration::from_millis(self.silent.elapsed_ms())
    }

    /// The time without output is counted from now on.
    pub(crate) fn break_silence(&mut self) {
        self.silent = Stopwatch::start();
    }

    fn note(&mut self, dir: &TaskDir) {
        if self.seen != self.noted && self.note_from.has_passed() {
            self.push_mark();
            self.note_from = Deadline::after(PERIOD);
            if !self.timeline.is_open() {
                self.write_at = self.write_at.sooner(self.note_from);
            }
        }
        if self.timeline.is_open() || self.write_at.has_passed() {
            self.write_at = Deadline::NEVER;
            self.timeline.write(dir);
        }
    }

    fn push_mark(&mut self) {
        self.timeline.push(Mark {
            time: Timestamp::now().as_millis(),
            lengths: self.seen,
        });
        self.noted = self.seen;
    }

    /// Returns how long it takes at least until a log can have passed its cap.
    fn free_oldest(&mut self, dir: &TaskDir) -> Duration {
        let mut room = u64::MAX;
        for cap in self.caps.iter_mut().flatten() {
            let stream = cap.stream();
            let log = self.logs.each().find(|(log, _)| *log == stream);
            if let Some((_, log)) = log {
                let length = self.seen.of(stream);
                room = room.min(cap.keep(dir, self.timeline.generation(), log, length));
            }
        }
        Duration::from_nanos(room / FASTEST).clamp(SHORTEST, PERIOD)
    }

    /// The run has ended: its last lines get their time before another run writes.
    ///
    /// A first run that is over within the first period leaves no timeline: the time of the log's
    /// last change says as much, and costs a short command nothing.
    pub(crate) fn run_ended(&mut self, dir: &TaskDir) {
        let is_first = self.before == Lengths::default();
        if is_first && !self.timeline.is_open() {
            return;
        }
        self.has_grown();
        if self.seen != self.noted {
            self.push_mark();
        }
        if self.noted != self.before {
            self.write_at = Deadline::NEVER;
            self.timeline.write(dir);
        }
    }

    /// Nothing of the task writes any more.
    pub(crate) fn finish(&mut self, dir: &TaskDir) {
        self.has_grown();
        self.free_oldest(dir);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::log::timeline::Timeline;
    use crate::store::file;

    struct Task {
        dir: TaskDir,
        generation: Generation,
        path: tempfile::TempDir,
    }

    impl Task {
        fn new() -> Self {
            let path = tempfile::tempdir().unwrap();
            Self {
                dir: TaskDir::open_path(path.path()).unwrap(),
                generation: Generation::generate(),
                path,
            }
        }

        fn log(&self) -> File {
            let mut options = File::options();
            let options = options.append(true).create(true);
            options.open(self.path.path().join(file::LOG)).unwrap()
        }

        /// As where the kernel does not tell: in this process SIGIO would not be heeded.
        fn growth(&self, cap: u64, before: u64) -> Growth {
            let logs = Logs {
                main: self.log(),
                stderr: None,
                in_folder: false,
            };
            let limits = Limits {
                log_bytes: cap,
                ..Limits::default()
            };
            let before = Lengths {
                main: before,
                stderr: 0,
            };
            let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(7);
            Growth::new(logs, self.generation.clone(), limits, before, modified)
        }

        fn time_of(&self, end: u64) -> Option<i64> {
            Timeline::load(&self.dir, &self.generation).time_of(LogStream::Main, end)
        }
    }

    fn left(growth: &Growth) -> Duration {
        growth.due().remaining().expect("there is a next look")
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_nobody_tells_of_is_looked_for_once_a_second() {
        let task = Task::new();
        let mut growth = task.growth(0, 0);
        growth.begin(&task.dir);
        assert!((PERIOD..=UNTOLD).contains(&left(&growth)));
        task.log().write_all(b"one\n").unwrap();
        growth.attend(&task.dir, true);
        assert!(left(&growth) <= PERIOD);
    }

    #[test]
    fn a_log_near_its_cap_is_looked_at_more_often() {
        let task = Task::new();
        let mut growth = task.growth(1 << 20, 0);
        task.log().write_all(&vec![b'\n'; 500_000]).unwrap();
        growth.begin(&task.dir);
        // What two gigabytes in a second need for the other half.
        assert!(left(&growth) <= SHORTEST);
        assert!(!task.dir.exists(file::CUT));
        task.log().write_all(&vec![b'\n'; 500_000]).unwrap();
        growth.attend(&task.dir, true);
        assert!(task.dir.exists(file::CUT));
    }

    #[test]
    fn a_first_run_that_is_over_at_once_leaves_no_timeline() {
        let task = Task::new();
        let mut growth = task.growth(0, 0);
        task.log().write_all(b"one\n").unwrap();
        growth.begin(&task.dir);
        growth.run_ended(&task.dir);
        assert!(!task.dir.exists(file::TIMELINE));
    }

    #[test]
    fn a_later_run_notes_what_the_earlier_one_wrote() {
        let task = Task::new();
        task.log().write_all(b"one\n").unwrap();
        // One that writes nothing leaves the time of the file as it is.
        let mut silent = task.growth(0, 4);
        silent.begin(&task.dir);
        silent.run_ended(&task.dir);
        assert!(!task.dir.exists(file::TIMELINE));
        let mut growth = task.growth(0, 4);
        growth.begin(&task.dir);
        task.log().write_all(b"two\n").unwrap();
        growth.run_ended(&task.dir);
        assert_eq!(task.time_of(4), Some(7));
        assert!(task.time_of(8).is_some_and(|time| time > 7));
        assert_eq!(task.time_of(9), None);
    }
}
