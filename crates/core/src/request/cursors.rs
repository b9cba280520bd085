//! Cursors in requests: whose they may be.

use std::collections::BTreeMap;

use super::{Selection, invalid};
use crate::error::Result;
use crate::task::TaskId;

/// What a cursor looks like.
pub(super) const EXAMPLE_CURSOR: &str = "v1.88e1dcb916eeb42b.17.1.0.0.1.0.88679e28";

/// The cursor that a request has for a task, and the field that holds it.
pub(crate) fn cursor_of<'a>(
    cursor: Option<&'a String>,
    cursors: Option<&'a BTreeMap<TaskId, String>>,
    id: &TaskId,
) -> Option<(&'static str, &'a str)> {
    match cursor {
        Some(cursor) => Some(("cursor", cursor)),
        None => Some(("cursors", cursors?.get(id)?)),
    }
}

/// A cursor is of one task.
pub(super) fn check_cursors(
    selection: &Selection,
    cursor: Option<&String>,
    cursors: Option<&BTreeMap<TaskId, String>>,
) -> Result<()> {
    if cursor.is_some() && !matches!(selection, Selection::One(_)) {
        return Err(invalid(
            "cursor",
            "a cursor is of one task",
            "Give cursors, an object from id to cursor.",
        ));
    }
    if cursor.is_some() && cursors.is_some() {
        return Err(invalid(
            "cursors",
            "`cursor` and `cursors` exclude each other",
            "Give one of the two.",
        ));
    }
    let named = |id: &TaskId| match selection {
        Selection::One(one) => one == id,
        Selection::Many(ids) => ids.contains(id),
        Selection::Matching(_) | Selection::All => true,
    };
    match cursors.into_iter().flatten().find(|(id, _)| !named(id)) {
        Some((id, _)) => Err(invalid(
            "cursors",
            format!("it names {id}, which is not asked for"),
            "Name only tasks that the stream is about.",
        )),
        None => Ok(()),
    }
}
