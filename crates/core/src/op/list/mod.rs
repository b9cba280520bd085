//! `list`: many tasks, newest first. Reads; changes nothing but what it has kept for the next time.

mod filter;
mod page;
mod present;
mod reading;
mod scan;

use filter::matches;
pub use page::ListPage;

use crate::client::Client;
use crate::error::Result;
use crate::request::{List, ListAnswer, Selection};
use crate::store::{Home, observe_among_others};
use crate::task::{Task, TaskId};

/// Shows the tasks that match.
///
/// # Errors
/// [`crate::Error::Store`] when the home cannot be used. A damaged task is shown, not an error.
pub fn list(client: &Client, request: &List) -> Result<ListAnswer> {
    Ok(list_page(client, request)?.into_answer())
}

/// The same, for who wants the answer as text: of tasks that have ended it mostly is at hand.
///
/// # Errors
/// As [`list`].
pub fn list_page(client: &Client, request: &List) -> Result<ListPage> {
    request.position()?;
    match client.existing_home()? {
        Some(home) => ListPage::find(home, request),
        None => Ok(ListPage::default()),
    }
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
        Some(home) => all_that_match(&home, filter),
        None => Ok(Vec::new()),
    }
}

/// Newest first. Read from the folders: what is to be changed is looked at closely.
fn all_that_match(home: &Home, filter: &List) -> Result<Vec<TaskId>> {
    let ids = match &filter.ids {
        Some(ids) => ids.clone(),
        None => home.task_ids()?,
    };
    let workdir = filter::absolute(filter)?;
    let mut found = Vec::new();
    for id in ids {
        // One that was removed meanwhile is not there any more.
        if let Some(observed) = observe_among_others(home, &id)? {
            let task = observed.task();
            if matches(&task, filter, workdir.as_deref()) {
                found.push((task.created_at, id));
            }
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}
