//! A pattern whose lines somebody wants to be told of, and not too often.

use std::time::Duration;

use crate::clock::Deadline;
use crate::event::{EventData, StreamName};
use crate::log::{LogStream, Pattern};
use crate::task::LogWatch;

/// Of a line that is longer only so much is told.
pub(crate) const TOLD: usize = 4096;
/// Of one piece of the logs so many lines are told; further ones are counted.
const MOST_EVENTS: usize = 100;

#[derive(Debug)]
pub(super) struct Watch {
    name: String,
    pub pattern: Pattern,
    throttle: Duration,
    /// Until then lines are only counted.
    quiet: Deadline,
    /// The last line that got no event of its own.
    last: Option<(StreamName, String)>,
    suppressed: u64,
}

impl Watch {
    pub(super) fn new(watch: &LogWatch) -> Option<Self> {
        Some(Self {
            name: watch.name.clone(),
            pattern: Pattern::compile("watch.pattern", &watch.pattern).ok()?,
            throttle: Duration::from_millis(watch.throttle_ms),
            quiet: Deadline::after(Duration::ZERO),
            last: None,
            suppressed: 0,
        })
    }

    /// A line has matched.
    pub(super) fn tell(
        &mut self,
        stream: StreamName,
        line: &str,
        skipped: &mut u64,
        events: &mut Vec<EventData>,
    ) {
        if let Some((of, last)) = &mut self.last {
            *of = stream;
            // In the room that it has.
            last.clear();
            last.push_str(line);
            self.suppressed += 1;
        } else if self.quiet.has_passed() && events.len() < MOST_EVENTS {
            events.push(self.event(stream, line.to_owned(), skipped));
        } else {
            self.last = Some((stream, line.to_owned()));
        }
    }

    /// The last of the lines that got no event gets one.
    pub(super) fn tell_last(
        &mut self,
        skipped: impl FnOnce(LogStream) -> Option<u64>,
        events: &mut Vec<EventData>,
    ) {
        if let Some((stream, line)) = self.last.take() {
            let mut skipped = skipped(stream.0).unwrap_or(0);
            events.push(self.event(stream, line, &mut skipped));
        }
    }

    /// When there may be something to tell.
    pub(super) fn due(&self) -> Deadline {
        match self.last {
            Some(_) => self.quiet,
            None => Deadline::NEVER,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.due().has_passed()
    }

    fn event(&mut self, stream: StreamName, line: String, skipped: &mut u64) -> EventData {
        self.quiet = Deadline::after(self.throttle);
        EventData::LogMatched {
            name: self.name.clone(),
            line,
            stream,
            suppressed: std::mem::take(&mut self.suppressed),
            skipped_bytes: std::mem::take(skipped),
        }
    }
}
