//! `logs`: a bounded view of a task's log, with exact totals.

mod viewing;

use std::io;

use super::events::look;
use crate::client::{Client, find, not_found};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::log::{Cursor, LogReader, LogStream, Pattern};
use crate::request::{
    Artifact, LogLines, Logs, LogsAnswer, LogsReply, LogsWithArtifact, Selection, StreamChoice,
    invalid,
};
use crate::store::{Home, Observed};
use crate::task::{Generation, TaskId};
use viewing::{Shown, Viewing};

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

/// Shows a part of a log.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::CommandInput`] for a cursor that does not fit and
/// for a pattern that is none; [`crate::Error::Store`] when the log cannot be read.
pub fn logs(client: &Client, request: &Logs, mode: ArtifactMode) -> Result<LogsReply> {
    let Selection::One(id) = &request.selection()? else {
        return Err(invalid(
            "id",
            "one document shows one task's log",
            "Name one task by id, or add --stream or --follow.",
        ));
    };
    let pattern = request.grep.as_deref();
    let pattern = pattern
        .map(|text| Pattern::compile("grep", text))
        .transpose()?;
    let home = client.home_of(id)?;
    let observed = find(&home, id)?;
    let (inline, log) = view(&home, &observed, request, pattern.as_ref())?;
    let wanted = match mode {
        ArtifactMode::Auto => inline.has_more,
        ArtifactMode::Inline => false,
        ArtifactMode::Artifact => true,
    };
    if !wanted {
        return Ok(LogsReply::Inline(inline));
    }
    let (shown, total) = (inline.shown_lines, inline.total_lines);
    let summary = match inline.matches {
        Some(_) => format!("Showing {shown} matches in {total} log lines for {id}."),
        None => format!("Showing {shown} of {total} log lines for {id}."),
    };
    let relative_path = log.stream.public_name(id);
    let artifact = Artifact {
        key: format!("task.{id}.logs"),
        label: format!("{} of {id}", log.label),
        kind: "text",
        absolute_path: home.path().join(&relative_path),
        relative_path,
        size_bytes: log.size_bytes,
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
    let request = Logs::of(observed.id.clone());
    view(home, observed, &request, None).map(|(view, _)| view)
}

/// The generation that a cursor belongs to; unreadable records have none of their own.
pub(super) fn generation_of(observed: &Observed) -> Generation {
    observed.record().map_or_else(
        |_| Generation::unknown(),
        |record| record.facts.generation.clone(),
    )
}

/// The file to point to beside a view. Of two logs it is that of standard output, unless only
/// standard error was asked for.
struct PointedTo {
    stream: LogStream,
    label: &'static str,
    size_bytes: u64,
}

impl PointedTo {
    fn of(reader: &LogReader, choice: StreamChoice) -> Self {
        let (stream, label) = match choice {
            StreamChoice::Stderr => (LogStream::Stderr, "Standard error"),
            StreamChoice::All if reader.is_separate() => (LogStream::Main, "Standard output"),
            StreamChoice::All | StreamChoice::Stdout => (LogStream::Main, "Full log"),
        };
        Self {
            stream,
            label,
            size_bytes: reader.size_of(stream),
        }
    }
}

/// The view, and the log that it was taken of.
fn view(
    home: &Home,
    observed: &Observed,
    request: &Logs,
    pattern: Option<&Pattern>,
) -> Result<(LogsAnswer, PointedTo)> {
    let id = &observed.id;
    let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
    let generation = generation_of(observed);
    let look = look(request.view, request.max_line_bytes);
    let choice = request.stream;
    let mut reader = LogReader::open(home, &dir, id, &generation, choice, look)?;
    if choice == StreamChoice::Stderr && reader.position(LogStream::Stderr).is_none() {
        return Err(merged(id));
    }
    let now = Timestamp::now();
    reader.since = request.since.map(|moment| moment.resolve(now));
    reader.until = request.until.map(|moment| moment.resolve(now));
    let given = match request.cursor_of(id) {
        Some((field, text)) => {
            Some(Cursor::parse(field, text, id)?.must_be_of(field, id, &generation)?)
        }
        None => None,
    };
    let log = PointedTo::of(&reader, choice);
    let read = || -> io::Result<(u64, u64, Shown, Cursor)> {
        let freed = reader.freed_bytes(&dir);
        let total_lines = reader.total_lines(&dir)?;
        let ended = observed.status().is_terminal();
        let mut view = Viewing::new(&dir, reader, request, ended);
        let lost = view.look(given.as_ref(), pattern)?;
        let (shown, cursor) = view.finish(generation, given);
        Ok((total_lines, lost.unwrap_or(freed), shown, cursor))
    };
    let (total_lines, truncated_bytes, shown, cursor) =
        read().map_err(|error| home.error("read", &Home::log_name(id), error))?;
    let answer = LogsAnswer {
        task_id: id.clone(),
        total_lines,
        shown_lines: shown.matches.as_ref().map_or(shown.lines.len(), Vec::len),
        has_more: shown.has_more,
        truncated_bytes,
        clipped_lines: shown.clipped,
        lines: if request.timestamps {
            LogLines::Detailed(shown.lines)
        } else {
            LogLines::Plain(shown.lines.into_iter().map(|line| line.line).collect())
        },
        omitted_lines: shown.omitted,
        matches: shown.matches,
        first_line_continues: shown.first_continues,
        last_line_partial: shown.last_is_partial,
        cursor: cursor.encode(id).to_string(),
        running: !observed.status().is_terminal(),
    };
    Ok((answer, log))
}

pub(super) fn merged(id: &TaskId) -> Error {
    invalid(
        "stream",
        format!("{id} writes standard error to the same log as standard output"),
        "Leave stream out, or start the task with \"stderr\": \"separate\".",
    )
}
