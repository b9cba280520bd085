//! Looking for lines as a log grows: for a log probe, and for watches.
//!
//! Each log is read once, whatever is looked for, a bounded piece at a time, so that a log that
//! grows fast does not keep the supervisor from the rest of its work. A log that grows faster than
//! it can be searched is not searched whole: what is skipped is counted.

mod done;
mod log;
mod watch;

use std::fs::File;
use std::time::Duration;

use self::done::DoneLines;
use self::log::{Log, lines_from};
pub(crate) use self::watch::TOLD;
use self::watch::Watch;
use crate::clock::Deadline;
use crate::event::{EventData, StreamName};
use crate::log::timeline::Lengths;
use crate::log::{Lines, LogSource, LogStream, Pattern, Renderer, Unfinished, View};
use crate::store::TaskDir;
use crate::task::{Generation, Probe, TaskSpec};

/// What is read at once, between two looks at everything else.
const PIECE: u64 = 1 << 20;
/// Further behind the end than this the search does not fall.
pub(crate) const FARTHEST: u64 = 64 << 20;
/// What is searched at most when the run is over: its end is not to wait for long.
pub(crate) const LAST: u64 = 16 << 20;
/// Of a line that is longer only so much is looked at.
pub(crate) const LONGEST: usize = 64 << 10;
/// Between looks where nothing tells how the logs grow.
const UNTOLD: Duration = Duration::from_secs(1);
/// A line that nobody has gone on with for so long counts for the probe without its end.
pub(crate) const PROMPT: Duration = Duration::from_millis(200);

/// What is looked for in the logs of the present run.
#[derive(Debug)]
pub(super) struct Scan {
    logs: Vec<Log>,
    /// Until it has matched.
    probe: Option<Pattern>,
    watches: Vec<Watch>,
    done: Option<DoneLines>,
    renderer: Renderer,
    look_at: Deadline,
    /// When unfinished lines are looked at.
    prompt_at: Deadline,
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub probe: Lengths,
    pub watches: Lengths,
}

/// What has been found.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// The log probe has matched.
    pub ready: bool,
    pub events: Vec<EventData>,
    /// Whether the last line that tells of it says that the run is done.
    pub done: Option<bool>,
}

impl Scan {
    /// `None` where there is nothing to look for. `is_ready`: the log probe has matched before.
    pub(super) fn new(
        spec: &TaskSpec,
        is_ready: bool,
        begin: Begin,
        open: impl Fn(LogStream) -> Option<File>,
    ) -> Option<Self> {
        let probe = match spec.health.as_ref().map(|health| &health.probe) {
            Some(Probe::Log { pattern }) if !is_ready => {
                Pattern::compile("health.pattern", pattern).ok()
            }
            _ => None,
        };
        let watches: Vec<Watch> = spec.watch.iter().filter_map(Watch::new).collect();
        let done = spec.extension.as_ref().and_then(|own| own.done.as_ref());
        let done = done.map(DoneLines::new);
        if probe.is_none() && watches.is_empty() && done.is_none() {
            return None;
        }
        let from = if probe.is_some() || done.is_some() {
            begin.probe
        } else {
            begin.watches
        };
        let streams = [LogStream::Main, LogStream::Stderr];
        let logs = streams.into_iter().filter_map(|stream| {
            let reached = from.of(stream);
            Some(Log {
                stream,
                file: open(stream)?,
                lines: lines_from(reached, false),
                reached,
                watched_from: begin.watches.of(stream),
                skipped: 0,
            })
        });
        Some(Self {
            logs: logs.collect(),
            probe,
            watches,
            done,
            renderer: Renderer::new(View::Raw, TOLD),
            look_at: Deadline::NEVER,
            prompt_at: Deadline::NEVER,
        })
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Deadline {
        let watches = self.watches.iter().map(Watch::due);
        let own = self.look_at.sooner(self.prompt_at);
        watches.fold(own, Deadline::sooner)
    }

    /// Whether there is nothing left to look for.
    pub(super) fn is_done(&self) -> bool {
        self.probe.is_none() && self.watches.is_empty() && self.done.is_none()
    }

    /// Searches a piece of what there is behind the last. `seen`: how long the logs are, where
    /// somebody looks after that.
    pub(super) fn search(
        &mut self,
        dir: &TaskDir,
        generation: &Generation,
        seen: Option<Lengths>,
    ) -> Finding {
        let mut finding = Finding::default();
        let mut is_behind = false;
        for at in 0..self.logs.len() {
            let log = &mut self.logs[at];
            let length = match seen {
                Some(seen) => seen.of(log.stream),
                None => log.length(),
            };
            log.approach(length, FARTHEST, PIECE);
            let limit = length.min(log.reached.saturating_add(PIECE));
            is_behind |= limit < length;
            if limit > log.reached {
                self.read(at, dir, generation, limit, Unfinished::Wait, &mut finding);
                self.prompt_at = Deadline::after(PROMPT);
            }
        }
        if self.prompt_at.has_passed() {
            self.look_at_prompts(dir, generation, &mut finding);
        }
        if self.probe.is_none() {
            self.prompt_at = Deadline::NEVER;
        }
        self.tell_last(&mut finding, Watch::is_due);
        self.look_at = match (is_behind, seen) {
            (true, _) => Deadline::after(Duration::ZERO),
            (false, Some(_)) => Deadline::NEVER,
            (false, None) => Deadline::after(UNTOLD),
        };
        finding
    }

    /// Unfinished lines stay to be read with their ends.
    fn look_at_prompts(&mut self, dir: &TaskDir, generation: &Generation, finding: &mut Finding) {
        self.prompt_at = Deadline::NEVER;
        for log in &self.logs {
            let mut lines = Lines::at(log.lines.position(), View::Clean, LONGEST);
            let source = LogSource {
                file: &log.file,
                dir,
                stream: log.stream,
                generation,
            };
            let found = lines.find(source, log.reached, Unfinished::GiveAll);
            if let Ok(Some(found)) = found
                && !found.continues
                && let Some(probe) = &self.probe
                && probe.matches(lines.give(&found).text)
            {
                self.probe = None;
                finding.ready = true;
            }
        }
    }

    /// Searches what is left: the run is over.
    pub(super) fn finish(&mut self, dir: &TaskDir, generation: &Generation) -> Finding {
        let mut finding = Finding::default();
        for at in 0..self.logs.len() {
            let log = &mut self.logs[at];
            let length = log.length();
            log.approach(length, LAST, LAST);
            self.read(
                at,
                dir,
                generation,
                length,
                Unfinished::GiveAll,
                &mut finding,
            );
        }
        self.tell_last(&mut finding, |_| true);
        finding
    }

    /// Lines that got no event of their own are not lost: the last of them gets one.
    fn tell_last(&mut self, finding: &mut Finding, is_time: impl Fn(&Watch) -> bool) {
        for watch in self.watches.iter_mut().filter(|watch| is_time(watch)) {
            let mut logs = self.logs.iter_mut();
            let skipped = |stream| {
                let log = logs.find(|log| log.stream == stream)?;
                Some(std::mem::take(&mut log.skipped))
            };
            watch.tell_last(skipped, &mut finding.events);
        }
    }

    fn read(
        &mut self,
        at: usize,
        dir: &TaskDir,
        generation: &Generation,
        limit: u64,
        unfinished: Unfinished,
        finding: &mut Finding,
    ) {
        let log = &mut self.logs[at];
        log.reached = limit;
        let stream = log.stream;
        loop {
            let log = &mut self.logs[at];
            let source = LogSource {
                file: &log.file,
                dir,
                stream,
                generation,
            };
            // What cannot be read now is tried again when there is more.
            let Ok(Some(found)) = log.lines.find(source, limit, unfinished) else {
                break;
            };
            let is_watched = found.start >= log.watched_from;
            let line = log.lines.give(&found).text;
            // The rest of a line whose beginning was skipped is no line.
            if found.continues {
                continue;
            }
            if self.probe.as_ref().is_some_and(|probe| probe.matches(line)) {
                self.probe = None;
                finding.ready = true;
            }
            if let Some(done) = &mut self.done {
                finding.done = done.says(StreamName(stream), line).or(finding.done);
            }
            for watch in self.watches.iter_mut().filter(|_| is_watched) {
                if watch.pattern.matches(line) {
                    let line = self.renderer.whole(line.as_bytes(), true).text;
                    watch.tell(
                        StreamName(stream),
                        line,
                        &mut log.skipped,
                        &mut finding.events,
                    );
                }
            }
        }
        let log = &mut self.logs[at];
        log.skipped += log.lines.take_lost();
        log.lines.rest();
    }
}
