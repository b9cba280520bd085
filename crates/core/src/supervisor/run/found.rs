//! The task as a new supervisor finds it.

use std::io;

use super::super::Errand;
use super::read_record;
use crate::process;
use crate::store::{TaskDir, end_unseen, failed, first_marked};
use crate::task::{FailReason, TaskRecord, TaskState};

/// Its record, completed by what can be known of it, and whether no end was in it.
pub(super) fn found(dir: &TaskDir, errand: Errand) -> io::Result<(TaskRecord, bool)> {
    let mut record = read_record(dir)?;
    if errand == Errand::Start {
        // Written by its caller, a moment ago.
        return Ok((record, true));
    }
    if record.facts.state == TaskState::Starting
        && first_marked(&record.facts.run_token)?.is_none()
        && let Some(previous) = dir.read_previous_of(&record.facts)
    {
        // The start that announced this run came to nothing: what was before it holds.
        record = previous;
    }
    let was_open = !record.facts.state.status().is_terminal();
    if let Some(end) = dir.read_end() {
        end.complete(&mut record.facts);
    }
    if !record.facts.state.status().is_terminal() && record.facts.boot_id != process::boot_id()? {
        // Its pids are those of strangers now.
        record.facts.state = failed(
            &record.facts.state,
            FailReason::HostRebooted,
            "the machine was started anew while the task ran".to_owned(),
        );
        record.facts.cleared = true;
    }
    if record.facts.state == TaskState::Queued {
        // Whoever waited in its name would have handed it over: it was killed.
        record.facts.state = end_unseen(&TaskState::Queued, dir);
        record.facts.cleared = true;
    }
    Ok((record, was_open))
}
