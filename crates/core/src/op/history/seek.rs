//! Where in its history a task's present run begins.

use std::io;

use crate::event::{EventData, read_journal};
use crate::log::{LogReader, LogStream};
use crate::store::{Observed, TaskDir};

/// Goes to where the present run began to write; the number of its event.
pub(super) fn seek_to_run(
    logs: &mut LogReader,
    dir: &TaskDir,
    observed: &Observed,
) -> io::Result<u64> {
    let Ok(record) = observed.record() else {
        return Ok(0);
    };
    let entries = read_journal(dir);
    let begun = entries.iter().rfind(|entry| {
        let is_beginning =
            matches!(entry.event, EventData::Started { run, .. } if run == record.facts.run);
        is_beginning && entry.generation == record.facts.generation
    });
    logs.seek_to_lengths(dir, |stream, size| match (begun, stream) {
        (Some(entry), LogStream::Main) => entry.log_offset,
        (Some(entry), LogStream::Stderr) => entry.stderr_offset,
        // It has not been executed yet.
        (None, _) => size,
    })?;
    Ok(begun.map_or(0, |entry| entry.number))
}
