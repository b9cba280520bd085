//! Giving what was found.

use super::{LogReader, Next, OpenLog};
use crate::log::{LogStream, PlainLines, Shown};

impl LogReader {
    /// The text of the line that was just found; it is behind the reader then.
    pub(crate) fn give(&mut self, next: &Next) -> Shown<'_> {
        self.logs[next.log].lines.give(&next.found)
    }

    /// The line that was just found and those behind it that have its time, if they are many and
    /// shown as they are stored. They come before any line of another log with that time, and are
    /// behind the reader then.
    pub(crate) fn give_plain(&mut self, next: &Next, most: usize) -> Option<PlainLines<'_>> {
        let same_time = self.timeline.same_time_to(next.stream, next.found.end);
        if self.logs.iter().any(|log| log.lines.has_lost()) {
            return None;
        }
        let log = &mut self.logs[next.log];
        log.lines.give_plain(next.limit.min(same_time), most)
    }

    /// Bytes that were freed before they could be read, since this was last asked; and of which log.
    pub(crate) fn take_lost(&mut self) -> Option<(LogStream, u64)> {
        let lost = |log: &mut OpenLog| (log.stream, log.lines.take_lost());
        self.logs.iter_mut().map(lost).find(|(_, bytes)| *bytes > 0)
    }
}
