//! `prune`: remove what has ended by age, number or size.

use std::cmp::Reverse;

use super::expire::{due, expire};
use super::list::is_listed;
use super::remove::remove_if_idle;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::request::{List, Prune, PruneAnswer, PruneFailure};
use crate::store::{
    Home, Observed, TASKS, ended_at, observe_among_others, size_on_disk, sweep_trash,
    sweep_unfinished,
};
use crate::task::{Generation, TaskId};

/// So many are removed between two looks at what others do: where many files go at once, the
/// filesystem is slow for everybody who makes some.
const BATCH: usize = 64;

/// Removes the tasks that any of the criteria asks for.
///
/// # Errors
/// [`crate::Error::Store`] when the home cannot be used. What cannot be removed is in the answer.
pub fn prune(client: &Client, request: &Prune) -> Result<PruneAnswer> {
    let mut answer = PruneAnswer {
        removed: Vec::new(),
        total: 0,
        freed_bytes: 0,
        kept: 0,
        dry_run: request.dry_run,
        failed: Vec::new(),
    };
    let Some(home) = client.existing_home()? else {
        return Ok(answer);
    };
    let found = find_ended(&home, &request.filter())?;
    let (surplus, kept) = choose(&home, request, found.ended);
    answer.kept = kept;
    for batch in surplus.chunks(BATCH) {
        for task in batch {
            answer.take(&home, task);
        }
        std::thread::yield_now();
    }
    if !request.dry_run {
        sweep_trash(&home);
        sweep_unfinished(&home, &found.without_record);
        expire(&home, usize::MAX);
    }
    answer.total = answer.removed.len() + answer.failed.len() + answer.kept;
    Ok(answer)
}

impl PruneAnswer {
    /// Removes a task, or tells what that would free.
    fn take(&mut self, home: &Home, task: &Ended) {
        let removed = if self.dry_run {
            Ok(Some(task.size(home)))
        } else {
            remove_if_idle(home, &task.id, |now| task.is_still(now))
        };
        match removed {
            Ok(Some(bytes)) => {
                self.freed_bytes += bytes;
                self.removed.push(task.id.clone());
            }
            // Somebody is busy with it, or has been faster.
            Ok(None) => self.kept += usize::from(matches!(home.task_dir(&task.id), Ok(Some(_)))),
            Err(error) => self.failed.push(PruneFailure {
                id: task.id.clone(),
                error,
            }),
        }
    }
}

/// A task that has ended.
struct Ended {
    id: TaskId,
    at: Timestamp,
    /// When it is to go by itself.
    due: Option<Timestamp>,
    /// The very run that was looked at; `None` where the record is damaged.
    run: Option<(Generation, u32)>,
}

impl Ended {
    fn of(home: &Home, observed: &Observed) -> Self {
        Self {
            id: observed.id.clone(),
            at: ended_at(home, observed),
            due: due(home, observed),
            run: observed.run(),
        }
    }

    fn size(&self, home: &Home) -> u64 {
        size_on_disk(home, &self.id, &format!("{TASKS}/{}", self.id))
    }

    fn is_still(&self, now: &Observed) -> bool {
        self.run == now.run()
    }
}

/// What is there.
#[derive(Default)]
struct Found {
    ended: Vec<Ended>,
    /// Folders that are no tasks.
    without_record: Vec<TaskId>,
}

fn find_ended(home: &Home, filter: &List) -> Result<Found> {
    let mut found = Found::default();
    for id in home.task_ids()? {
        match observe_among_others(home, &id)? {
            // What a newer build wrote is for that one to judge.
            Some(observed) if observed.is_newer() => {}
            Some(observed) if is_listed(&observed.task(), filter) => {
                found.ended.push(Ended::of(home, &observed));
            }
            Some(_) => {}
            None => found.without_record.push(id),
        }
    }
    Ok(found)
}

/// Those that are to go, the one that ended first first, and how many stay.
///
/// Those whose own time is over go in any case. Each criterion takes those that ended before some
/// moment, so what any of them asks for is what the greediest does.
fn choose(home: &Home, request: &Prune, ended: Vec<Ended>) -> (Vec<Ended>, usize) {
    let now = Timestamp::now();
    let is_over = |task: &Ended| task.due.is_some_and(|due| due <= now);
    let (over, mut ended): (Vec<_>, Vec<_>) = ended.into_iter().partition(is_over);
    ended.sort_unstable_by(|a, b| (Reverse(a.at), &a.id).cmp(&(Reverse(b.at), &b.id)));
    let mut kept = request.keep.unwrap_or(usize::MAX).min(ended.len());
    if let Some(age) = request.older_than_ms {
        let is_young = |task: &Ended| now.millis_since(task.at) <= age;
        kept = kept.min(ended.iter().take_while(|task| is_young(task)).count());
    }
    if let Some(most) = request.max_bytes {
        let mut bytes = 0_u64;
        let fits = |task: &&Ended| {
            bytes = bytes.saturating_add(task.size(home));
            bytes <= most
        };
        kept = ended[..kept].iter().take_while(fits).count();
    }
    let mut surplus = ended.split_off(kept);
    surplus.extend(over);
    surplus.sort_unstable_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    (surplus, kept)
}
