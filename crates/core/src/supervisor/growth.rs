//! When the logs are looked at: noting how long they are at which time, and keeping them within
//! their cap. While they are silent nobody is woken.
//!
//! ```text
//! silent ──told of a write──▶ growing ──looked, nothing new──▶ armed, looked once more ──▶ silent
//!                              ▲    │
//!                              └────┘ looked after at most 100 ms, something new
//! ```

use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use super::cap::Cap;
use super::folder_watch::FolderWatch;
use super::log_file::Logs;
use super::timeline_file::TimelineFile;
use crate::clock::{Deadline, Timestamp};
use crate::log::timeline::{Lengths, Mark};
use crate::store::TaskDir;
use crate::task::{Generation, Limits};

/// Between two marks, and at most between two looks while a log grows.
const PERIOD: Duration = Duration::from_millis(100);
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
    generation: Generation,
    timeline: TimelineFile,
    caps: Vec<Cap>,
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
        let mut timeline = TimelineFile::new(generation.clone());
        if before != Lengths::default() {
            // What the run before wrote last: from now on the file's time is that of this run.
            let time = Timestamp::from(modified).as_millis();
            timeline.push(Mark {
                time,
                lengths: before,
            });
        }
        let caps = match limits.log_cap() {
            Some(most) => logs
                .each()
                .map(|(stream, _)| Cap::new(stream, most))
                .collect(),
            None => Vec::new(),
        };
        Self {
            logs,
            generation,
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
        }
    }

    /// How long the logs are now.
    pub(crate) fn lengths(&self) -> Lengths {
        self.logs.lengths()
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
        self.seen != before
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
        for cap in &mut self.caps {
            let stream = cap.stream();
            let log = self.logs.each().find(|(log, _)| *log == stream);
            if let Some((_, log)) = log {
                room = room.min(cap.keep(dir, &self.generation, log, self.seen.of(stream)));
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
