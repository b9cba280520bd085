//! What a list finds a task by.

use super::Task;
use crate::task::TaskStatus;

/// The parts of a task that say where it stands in a list, and whether a filter means it.
#[derive(Clone, Debug)]
pub(crate) struct Facets<'a> {
    pub(crate) id: &'a str,
    pub(crate) status: TaskStatus,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) name: Option<&'a str>,
    pub(crate) workdir: Option<&'a str>,
    pub(crate) parent_session_id: Option<&'a str>,
    pub(crate) tags: Vec<&'a str>,
}

impl<'a> Facets<'a> {
    /// `None` where they cannot be told: of a task whose record is damaged.
    pub(crate) fn of(task: &'a Task) -> Option<Self> {
        let workdir = match &task.workdir {
            Some(path) => Some(path.to_str()?),
            None => None,
        };
        Some(Self {
            id: task.id.as_str(),
            status: task.status,
            created_at: task.created_at?.as_millis(),
            name: task.name.as_deref(),
            workdir,
            parent_session_id: task.parent_session_id.as_deref(),
            tags: task.tags.iter().map(String::as_str).collect(),
        })
    }
}
