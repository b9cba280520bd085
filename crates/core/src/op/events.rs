//! `events` and the streams: what happened to a task, its log lines among it, in order.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use serde_json::json;

use super::history::{History, Part};
use crate::client::Client;
use crate::clock::{Deadline, Timestamp};
use crate::error::Result;
use crate::event::Frame;
use crate::request::{Events, EventsAnswer, Logs};

/// Where frames go. [`ControlFlow::Break`] ends the stream: nobody is reading any more.
pub type Sink<'a> = dyn FnMut(&Frame) -> ControlFlow<()> + 'a;

/// Whether a stream ends with what is there or goes on.
#[derive(Clone, Copy, Debug)]
pub enum Follow<'a> {
    /// It ends with what is there.
    No,
    /// It goes on until the task has ended.
    On {
        /// Or until this has passed.
        deadline: Deadline,
        /// Or until nobody reads what is written here (a pipe, mostly), which is noticed also while
        /// nothing happens.
        output: Option<BorrowedFd<'a>>,
    },
}

/// Shows what happened to a task.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::Store`] when the log cannot be read.
pub fn events(client: &Client, request: &Events) -> Result<EventsAnswer> {
    let home = client.home_of(&request.id)?;
    let mut history = History::open(&home, &request.id, request.lines)?;
    let mut frames = Vec::new();
    let mut collect = |frame: &Frame| {
        frames.push(frame.clone());
        ControlFlow::Continue(())
    };
    if history.snapshot(&mut collect).is_continue() {
        let _all = history.drain(Part::All, &mut collect)?;
    }
    let total = history.total_lines + history.events_seen;
    Ok(EventsAnswer {
        task_id: request.id.clone(),
        total,
        frames,
    })
}

/// Streams what [`events`] shows, and goes on with what happens, as `follow` says.
///
/// # Errors
/// As [`events`].
pub fn stream_events(
    client: &Client,
    request: &Events,
    follow: Follow<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let home = client.home_of(&request.id)?;
    let mut history = History::open(&home, &request.id, request.lines)?;
    if history.snapshot(sink).is_break() {
        return Ok(());
    }
    history.run(follow, sink).map(|_| ())
}

/// Streams a task's log lines between `task.logs.started` and `task.logs.completed`.
///
/// # Errors
/// As [`events`].
pub fn stream_logs(
    client: &Client,
    request: &Logs,
    follow: Follow<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let home = client.home_of(&request.id)?;
    let mut history = History::open(&home, &request.id, request.lines)?;
    if let Some(limit) = request.max_line_bytes {
        history.framer.set_max_line_bytes(limit);
    }
    let facts = json!({ "task_id": request.id, "total_lines": history.total_lines });
    let started = history
        .framer
        .facts("task.logs.started", Timestamp::now(), facts);
    if sink(&started).is_break() {
        return Ok(());
    }
    let mut shown = 0_u64;
    let ended = history.run(follow, &mut |frame| {
        if frame.r#type != "task.log.line" {
            return ControlFlow::Continue(());
        }
        shown += 1;
        sink(&Frame {
            sequence: shown,
            ..frame.clone()
        })
    })?;
    if ended.is_continue() {
        let facts = json!({ "task_id": request.id, "shown_lines": shown });
        let completed = history
            .framer
            .facts("task.logs.completed", Timestamp::now(), facts);
        let _ = sink(&Frame {
            sequence: shown + 1,
            ..completed
        });
    }
    Ok(())
}
