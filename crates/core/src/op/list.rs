//! `list`: many tasks, newest first. Reads; changes nothing.

use std::cmp::Reverse;
use std::path::Path;

use super::position::Positions;
use super::resources::resources;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::request::{List, ListAnswer, Selection};
use crate::store::{Home, observe, observe_among_others};
use crate::task::{Task, TaskId};

/// Shows the tasks that match.
///
/// # Errors
/// [`crate::Error::Store`] when the home cannot be used. A damaged task is shown, not an error.
pub fn list(client: &Client, request: &List) -> Result<ListAnswer> {
    let position = request.position()?;
    let Some(home) = client.existing_home()? else {
        return Ok(ListAnswer {
            total: 0,
            tasks: Vec::new(),
            next: None,
        });
    };
    let mut tasks = matching(&home, request)?;
    let total = tasks.len();
    if let Some(position) = position {
        tasks.retain(|task| Reverse(order(task)) > Reverse((position.0, &position.1)));
    }
    let limit = request.limit.unwrap_or(List::DEFAULT_LIMIT);
    let has_more = tasks.len() > limit;
    tasks.truncate(limit);
    if request.resources {
        // Only of this page: it takes several looks at each process.
        for task in &mut tasks {
            let observed = observe(&home, &task.id)?;
            task.resources = Some(observed.as_ref().and_then(resources));
        }
    }
    let mut positions = Positions::of(&home);
    tasks.iter_mut().for_each(|task| positions.tell(task));
    let next = tasks.last().filter(|_| has_more).map(|last| {
        let moment = last.created_at.map(|at| at.to_string()).unwrap_or_default();
        format!("{moment}/{}", last.id)
    });
    Ok(ListAnswer { total, tasks, next })
}

/// Newest last; unreadable records count as oldest.
fn order(task: &Task) -> (i64, &TaskId) {
    (
        task.created_at.map_or(i64::MIN, Timestamp::as_millis),
        &task.id,
    )
}

/// All tasks that match, newest first.
fn matching(home: &Home, request: &List) -> Result<Vec<Task>> {
    let ids = match &request.ids {
        Some(ids) => {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            ids
        }
        None => home.task_ids()?,
    };
    let workdir = request
        .workdir
        .as_deref()
        .map(std::path::absolute)
        .transpose();
    let workdir = workdir
        .map_err(|error| crate::request::invalid("workdir", error, "Give an absolute path."))?;
    let mut tasks = Vec::new();
    for id in ids {
        // One that was removed meanwhile is not there any more.
        if let Some(observed) = observe_among_others(home, &id)? {
            let task = observed.task();
            if matches(&task, request, workdir.as_deref()) {
                tasks.push(task);
            }
        }
    }
    tasks.sort_unstable_by(|a, b| order(b).cmp(&order(a)));
    Ok(tasks)
}

fn matches(task: &Task, request: &List, workdir: Option<&Path>) -> bool {
    let tagged = |tag: &String| task.tags.contains(tag);
    request
        .status
        .as_ref()
        .is_none_or(|wanted| wanted.0.contains(&task.status))
        && request.tag.iter().all(tagged)
        && request.tags.iter().flatten().all(tagged)
        && request
            .name
            .as_ref()
            .is_none_or(|name| task.name.as_ref() == Some(name))
        && workdir.is_none_or(|path| task.workdir.as_deref() == Some(path))
        && request
            .parent_session_id
            .as_ref()
            .is_none_or(|session| task.parent_session_id.as_ref() == Some(session))
}

/// Whether a task is one of those that a filter without `workdir` means.
pub(super) fn is_listed(task: &Task, filter: &List) -> bool {
    matches(task, filter, None)
}

/// Whether a task is one of those that a selection means.
pub(super) fn is_selected(task: &Task, selection: &Selection) -> bool {
    match selection {
        Selection::One(id) => task.id == *id,
        Selection::Many(ids) => ids.contains(&task.id),
        Selection::Matching(filter) => matches(task, filter, filter.workdir.as_deref()),
        Selection::All => true,
    }
}

/// The ids of the tasks that a selection means now.
pub(super) fn selected(client: &Client, selection: &Selection) -> Result<Vec<TaskId>> {
    let filter = match selection {
        Selection::One(id) => return Ok(vec![id.clone()]),
        Selection::Many(ids) => return Ok(ids.clone()),
        Selection::Matching(filter) => filter,
        Selection::All => &List::default(),
    };
    match client.existing_home()? {
        Some(home) => Ok(matching(&home, filter)?
            .into_iter()
            .map(|task| task.id)
            .collect()),
        None => Ok(Vec::new()),
    }
}
