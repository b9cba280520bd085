//! `logs`: a bounded view of a task's log, with exact totals.

use std::fs::File;
use std::io;

use crate::client::{Client, find};
use crate::error::Result;
use crate::log::{self, Cursor, clip, count_lines, last_line_starts, read_at};
use crate::request::{Artifact, Logs, LogsAnswer, LogsReply, LogsWithArtifact};
use crate::store::{Home, Observed};
use crate::task::{Generation, TaskId};

/// When an answer points to the whole log besides showing a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArtifactMode {
    /// When there is more than is shown.
    #[default]
    Auto,
    /// Never.
    Inline,
    /// Always.
    Artifact,
}

/// Shows the end of a log.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::Store`] when the log cannot be read.
pub fn logs(client: &Client, request: &Logs, mode: ArtifactMode) -> Result<LogsReply> {
    let home = client.home_of(&request.id)?;
    let observed = find(&home, &request.id)?;
    let (inline, size_bytes) = view(&home, &observed, request)?;
    let wanted = match mode {
        ArtifactMode::Auto => inline.has_more,
        ArtifactMode::Inline => false,
        ArtifactMode::Artifact => true,
    };
    if !wanted {
        return Ok(LogsReply::Inline(inline));
    }
    let id = &request.id;
    let summary = format!(
        "Showing {} of {} log lines for {id}.",
        inline.shown_lines, inline.total_lines
    );
    let artifact = Artifact {
        key: format!("task.{id}.logs"),
        label: format!("Full log of {id}"),
        kind: "text",
        absolute_path: home.log_path(id),
        relative_path: Home::log_name(id),
        size_bytes,
        created_at: observed.task().created_at,
    };
    Ok(LogsReply::WithArtifact(LogsWithArtifact {
        kind: "summary+artifact",
        summary,
        inline,
        artifact,
    }))
}

/// The last lines of an observed task, as other answers show them.
pub(super) fn last_lines(home: &Home, observed: &Observed) -> Result<LogsAnswer> {
    view(home, observed, &Logs::of(observed.id.clone())).map(|(view, _)| view)
}

/// The view, and the size of the log that it was taken of.
fn view(home: &Home, observed: &Observed, request: &Logs) -> Result<(LogsAnswer, u64)> {
    let id = &request.id;
    let running = !observed.status().is_terminal();
    let generation = generation_of(observed);
    let Some(file) = open_log(home, id)? else {
        return Ok((empty(id, &generation, running), 0));
    };
    let limits = Limits {
        lines: request.lines.unwrap_or(Logs::DEFAULT_LINES),
        bytes: request.max_bytes.unwrap_or(Logs::DEFAULT_MAX_BYTES),
        line_bytes: request
            .max_line_bytes
            .unwrap_or(Logs::DEFAULT_MAX_LINE_BYTES),
    };
    let read = || -> io::Result<(Tail, u64, u64)> {
        // One size for everything, so that the numbers fit together while the log grows.
        let size = file.metadata()?.len();
        Ok((tail(&file, size, &limits)?, count_lines(&file, size)?, size))
    };
    let (tail, total_lines, size) =
        read().map_err(|error| home.error("read", &Home::log_name(id), error))?;
    let shown_lines = tail.lines.len();
    let cursor = Cursor {
        generation,
        log_offset: size,
        line: total_lines,
        journal: 0,
    };
    let answer = LogsAnswer {
        task_id: id.clone(),
        total_lines,
        shown_lines,
        has_more: total_lines > shown_lines as u64,
        truncated_bytes: 0,
        clipped_lines: tail.clipped,
        lines: tail.lines,
        last_line_partial: tail.last_is_partial,
        cursor: cursor.encode(),
        running,
    };
    Ok((answer, size))
}

fn open_log(home: &Home, id: &TaskId) -> Result<Option<File>> {
    match home.task_dir(id)? {
        Some(dir) => log::open(home, &dir, id),
        None => Ok(None),
    }
}

/// The generation that a cursor belongs to; unreadable records have none of their own.
pub(super) fn generation_of(observed: &Observed) -> Generation {
    observed.record().map_or_else(
        |_| Generation::unknown(),
        |record| record.facts.generation.clone(),
    )
}

fn empty(id: &TaskId, generation: &Generation, running: bool) -> LogsAnswer {
    let start = Cursor {
        generation: generation.clone(),
        log_offset: 0,
        line: 0,
        journal: 0,
    };
    LogsAnswer {
        task_id: id.clone(),
        total_lines: 0,
        shown_lines: 0,
        has_more: false,
        truncated_bytes: 0,
        clipped_lines: 0,
        lines: Vec::new(),
        last_line_partial: false,
        cursor: start.encode(),
        running,
    }
}

struct Limits {
    lines: usize,
    bytes: usize,
    line_bytes: usize,
}

struct Tail {
    lines: Vec<String>,
    clipped: usize,
    last_is_partial: bool,
}

/// The newest lines that fit; at least one. Of a long line only the part that is shown is read.
fn tail(file: &File, size: u64, limits: &Limits) -> io::Result<Tail> {
    let starts = last_line_starts(file, size, limits.lines)?;
    let (mut lines, mut clipped, mut budget) = (Vec::new(), 0, limits.bytes);
    let mut end = size;
    let mut last_is_partial = false;
    for &start in starts.iter().rev() {
        let length = end - start;
        // One byte more than fits, to see whether the cut would split a character.
        let wanted = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(limits.line_bytes.saturating_add(4));
        let mut bytes = vec![0; wanted];
        let n = read_at(file, &mut bytes, start)?;
        bytes.truncate(n);
        // Only the last line can lack its end.
        let ended = end < size || ends_with_newline(file, size)?;
        last_is_partial |= !ended;
        let text_length = length - u64::from(ended);
        bytes.truncate(usize::try_from(text_length).unwrap_or(usize::MAX));
        let (text, cut) = clip(&bytes, text_length, limits.line_bytes);
        if text.len() > budget && !lines.is_empty() {
            break;
        }
        budget = budget.saturating_sub(text.len());
        clipped += usize::from(cut);
        lines.push(text);
        end = start;
    }
    lines.reverse();
    Ok(Tail {
        lines,
        clipped,
        last_is_partial,
    })
}

fn ends_with_newline(file: &File, size: u64) -> io::Result<bool> {
    let mut last = [0];
    Ok(size == 0 || read_at(file, &mut last, size - 1)? == 1 && last == *b"\n")
}
