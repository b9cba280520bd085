//! Which tasks a filter means.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::request::{List, invalid};
use crate::store::Entry;
use crate::task::{Task, TaskStatus};

/// What filters look at.
pub(super) trait Listed {
    fn status(&self) -> TaskStatus;
    fn has_tag(&self, tag: &str) -> bool;
    fn name(&self) -> Option<&str>;
    fn workdir(&self) -> Option<&Path>;
    fn parent_session_id(&self) -> Option<&str>;
}

impl Listed for Task {
    fn status(&self) -> TaskStatus {
        self.status
    }
    fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn workdir(&self) -> Option<&Path> {
        self.workdir.as_deref()
    }
    fn parent_session_id(&self) -> Option<&str> {
        self.parent_session_id.as_deref()
    }
}

impl Listed for Entry<'_> {
    fn status(&self) -> TaskStatus {
        // What is kept has ended in one way or another.
        Entry::status(self).unwrap_or(TaskStatus::Failed)
    }
    fn has_tag(&self, tag: &str) -> bool {
        Entry::has_tag(self, tag)
    }
    fn name(&self) -> Option<&str> {
        Entry::name(self)
    }
    fn workdir(&self) -> Option<&Path> {
        Entry::workdir(self)
    }
    fn parent_session_id(&self) -> Option<&str> {
        Entry::parent_session_id(self)
    }
}

/// The folder of a filter, as records have it.
pub(super) fn absolute(filter: &List) -> Result<Option<PathBuf>> {
    let path = filter.workdir.as_deref();
    path.map(std::path::absolute)
        .transpose()
        .map_err(|error| invalid("workdir", error, "Give an absolute path."))
}

/// Whether a task is one of those that a filter means; `workdir` is the filter's, made absolute.
pub(super) fn matches(task: &impl Listed, filter: &List, workdir: Option<&Path>) -> bool {
    let tagged = |tag: &String| task.has_tag(tag);
    filter
        .status
        .as_ref()
        .is_none_or(|wanted| wanted.0.contains(&task.status()))
        && filter.tag.iter().all(tagged)
        && filter.tags.iter().flatten().all(tagged)
        && filter
            .name
            .as_deref()
            .is_none_or(|name| task.name() == Some(name))
        && workdir.is_none_or(|path| task.workdir() == Some(path))
        && filter
            .parent_session_id
            .as_deref()
            .is_none_or(|session| task.parent_session_id() == Some(session))
}
