//! How far this build goes: the numbers that a caller may run into, from where they hold.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::log::{LARGEST_PATTERN, LONGEST_SEARCHED};
use crate::op::HANDSHAKE;
use crate::request::{List, MAX_PAYLOAD_BYTES};
use crate::supervisor::{
    HOOK_OUTPUT, HOOK_TIME, LINE_PERIOD, WATCH_BACKLOG, WATCH_LAST, WATCH_LINE, WATCH_TOLD,
    WITHOUT_END,
};
use crate::task::{HttpUrl, Limits, TaskId};

/// How far this build goes. What one field may hold is told by the schema of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bounds {
    /// A payload has at most so many bytes.
    pub payload_bytes: usize,
    /// The id of a task, or the name of a queue, has at most so many characters.
    pub id_length: usize,
    /// The largest `limit` of `list`: so many tasks are on a page at most.
    pub list_limit: usize,
    /// The least that `limits.log_bytes` may be, but for 0.
    pub least_log_bytes: u64,
    /// A regular expression takes at most so many bytes of memory.
    pub pattern_bytes: usize,
    /// Of a line that is longer, `grep` and `until: {"log"}` search so many bytes.
    pub searched_line_bytes: usize,
    /// Of a line that is longer, `watch` and a `log` probe search so many bytes.
    pub watched_line_bytes: usize,
    /// So many bytes of a line are in a `task.log_matched` event.
    pub watch_event_line_bytes: usize,
    /// Where more than so many bytes wait to be searched by a `watch` or a `log` probe, the oldest are
    /// passed over.
    pub watch_backlog_bytes: u64,
    /// Of what waits when a run ends so many bytes are searched.
    pub watch_last_bytes: u64,
    /// The URL of a probe has at most so many bytes.
    pub health_url_bytes: usize,
    /// So many milliseconds `start` waits at least for the word that the command has been executed.
    pub start_least_timeout_ms: u64,
    /// So many milliseconds `on_exit` may run.
    pub on_exit_timeout_ms: u64,
    /// So many bytes of what `on_exit` wrote are kept.
    pub on_exit_output_bytes: usize,
    /// To within so many milliseconds the times of lines are right.
    pub line_time_ms: u64,
    /// A line without end counts when nobody has gone on with it for so many milliseconds.
    pub unfinished_line_ms: u64,
}

impl Bounds {
    /// Those of this build.
    pub fn of_this_build() -> Self {
        Self {
            payload_bytes: MAX_PAYLOAD_BYTES,
            id_length: TaskId::MAX_LEN,
            list_limit: List::MAX_LIMIT,
            least_log_bytes: Limits::LEAST_LOG_BYTES,
            pattern_bytes: LARGEST_PATTERN,
            searched_line_bytes: LONGEST_SEARCHED,
            watched_line_bytes: WATCH_LINE,
            watch_event_line_bytes: WATCH_TOLD,
            watch_backlog_bytes: WATCH_BACKLOG,
            watch_last_bytes: WATCH_LAST,
            health_url_bytes: HttpUrl::LONGEST,
            start_least_timeout_ms: millis(HANDSHAKE),
            on_exit_timeout_ms: millis(HOOK_TIME),
            on_exit_output_bytes: HOOK_OUTPUT,
            line_time_ms: millis(LINE_PERIOD),
            unfinished_line_ms: millis(WITHOUT_END),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
