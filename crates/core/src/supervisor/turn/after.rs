//! Waiting for other tasks to get somewhere.
//!
//! What counts is the task that has the id at the moment of looking: one that is started anew or
//! restarted meanwhile is waited for as it is then.

use std::collections::BTreeSet;
use std::io;

use super::watches::Watches;
use crate::process;
use crate::store::{
    Awaited, Condition, Home, Observed, has_writer, observe_among_others, open_live,
};
use crate::task::{After, Health, MainExit, Milestone, TaskId, TaskRecord, TaskState};

/// How far the others have got.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Far enough.
    There,
    /// Not yet.
    Waiting,
    /// One of them never will, for this reason.
    Never(String),
}

/// Looks at all of them, and watches those that are not there yet. `succeeded`: those that have been
/// seen to succeed, for whom it does not matter that their records are cleared away meanwhile.
pub(super) fn look(
    home: &Home,
    after: &After,
    awaited: &Awaited,
    succeeded: &mut BTreeSet<TaskId>,
    watches: &mut Watches,
) -> io::Result<Progress> {
    let mut all = Progress::There;
    for id in &after.ids {
        let one = if awaited.not_started.contains(id) {
            unless_only_the_end(after.on, format!("{id}, which could not be started"))
        } else {
            match look_at(home, id, after.on, watches)? {
                Seen::Removed if succeeded.contains(id) => Progress::There,
                Seen::Removed => {
                    unless_only_the_end(after.on, format!("{id}, which has been removed"))
                }
                Seen::Present(progress) => progress,
            }
        };
        match one {
            Progress::There if after.on == Milestone::Success => {
                succeeded.insert(id.clone());
            }
            Progress::There => {}
            Progress::Waiting => all = Progress::Waiting,
            Progress::Never(what) => {
                return Ok(Progress::Never(format!("it was to run after {what}")));
            }
        }
    }
    Ok(all)
}

/// What is not there has certainly ended.
fn unless_only_the_end(on: Milestone, what: String) -> Progress {
    match on {
        Milestone::End => Progress::There,
        Milestone::Success | Milestone::Ready => Progress::Never(what),
    }
}

/// What a look at one of them has found.
enum Seen {
    Removed,
    Present(Progress),
}

fn look_at(home: &Home, id: &TaskId, on: Milestone, watches: &mut Watches) -> io::Result<Seen> {
    let Some(dir) = home.task_dir(id).map_err(io::Error::other)? else {
        return Ok(Seen::Removed);
    };
    // First what tells of a change, then the look: what happens after it is told.
    let live = open_live(&dir).filter(has_writer);
    if on == Milestone::Ready {
        let again = home.task_dir(id).map_err(io::Error::other)?;
        again.into_iter().for_each(|dir| watches.record(dir));
    }
    let Some(observed) = observe_among_others(home, id).map_err(io::Error::other)? else {
        return Ok(Seen::Removed);
    };
    let progress = progress(&observed, on);
    if progress != Progress::Waiting {
        return Ok(Seen::Present(progress));
    }
    match (live, observed.condition) {
        (Some(live), _) if process::POLL_TELLS_HANG_UP => watches.hang_up(live),
        (_, Condition::Supervised(pid)) => watches.supervisor(&dir, pid),
        (_, Condition::Unsupervised) => match main_of(&observed) {
            Some(main) => watches.main(main),
            None => watches.untold(),
        },
        (_, Condition::SupervisedElsewhere) => watches.untold(),
        (_, _) => watches.in_flux(),
    }
    Ok(Seen::Present(progress))
}

fn main_of(observed: &Observed) -> Option<crate::task::ProcessIdentity> {
    observed.record().ok()?.facts.state.main().copied()
}

fn progress(observed: &Observed, on: Milestone) -> Progress {
    let id = &observed.id;
    let Ok(record) = observed.record() else {
        return unless_only_the_end(on, format!("{id}, whose record cannot be read"));
    };
    let state = &record.facts.state;
    if state.status().is_terminal() {
        return match on {
            Milestone::End => Progress::There,
            Milestone::Success if is_success(state) => Progress::There,
            // Without a probe it was ready while it ran.
            Milestone::Ready if is_success(state) && record.spec.health.is_none() => {
                Progress::There
            }
            Milestone::Success | Milestone::Ready => {
                Progress::Never(format!("{id}, which {}", how_it_ended(record)))
            }
        };
    }
    match (on, state) {
        (Milestone::Ready, TaskState::Running { health, .. }) => {
            if *health == Health::Healthy || record.spec.health.is_none() {
                Progress::There
            } else {
                Progress::Waiting
            }
        }
        _ => Progress::Waiting,
    }
}

fn is_success(state: &TaskState) -> bool {
    matches!(
        state,
        TaskState::Exited { exit_code: 0, .. } | TaskState::Completed { .. }
    )
}

fn how_it_ended(record: &TaskRecord) -> String {
    match &record.facts.state {
        TaskState::Exited { exit_code: 0, .. } | TaskState::Completed { .. } => {
            "exited before it was healthy".to_owned()
        }
        TaskState::Exited { exit_code, .. } => format!("exited with code {exit_code}"),
        TaskState::Killed {
            reason,
            exit: Some(MainExit::Signal(signal)),
            ..
        } => format!("was killed by {signal} ({})", reason.as_str()),
        TaskState::Killed { reason, .. } => format!("was killed ({})", reason.as_str()),
        TaskState::Failed { reason, .. } => format!("failed ({})", reason.as_str()),
        TaskState::Queued
        | TaskState::Starting
        | TaskState::BackingOff { .. }
        | TaskState::Running { .. } => "has not ended".to_owned(),
    }
}
