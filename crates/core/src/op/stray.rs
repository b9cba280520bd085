//! What stands among the tasks and is none: a file, a symbolic link, a folder that may not be opened.

use super::settle::refuse_if_marked;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::store::{Home, ShortLock, remove_task};
use crate::task::TaskId;

/// Such an entry, under the lock of the task that it would be.
pub(super) struct Stray<'a> {
    home: &'a Home,
    id: &'a TaskId,
    _lock: ShortLock,
}

impl<'a> Stray<'a> {
    /// `None` for a task, and where nothing is.
    ///
    /// # Errors
    /// [`Error::TaskWaitTimedOut`] when others change it for so long; [`Error::Store`] when processes
    /// with its id are alive, and when it is this process that lacks what it takes to look.
    pub(super) fn take(home: &'a Home, id: &'a TaskId, deadline: Deadline) -> Result<Option<Self>> {
        if !is_stray(home, id)? {
            return Ok(None);
        }
        Self::under(home, id, ShortLock::take(home, id, deadline)?)
    }

    /// The same for a chore that has time: `None` also while others change it.
    pub(super) fn take_if_free(home: &'a Home, id: &'a TaskId) -> Result<Option<Self>> {
        if !is_stray(home, id)? {
            return Ok(None);
        }
        match ShortLock::try_take(home, id)? {
            Some(lock) => Self::under(home, id, lock),
            None => Ok(None),
        }
    }

    fn under(home: &'a Home, id: &'a TaskId, lock: ShortLock) -> Result<Option<Self>> {
        if !is_stray(home, id)? {
            return Ok(None);
        }
        refuse_if_marked(home, id)?;
        let _lock = lock;
        Ok(Some(Self { home, id, _lock }))
    }

    /// Takes it away, and nothing that it leads to; how many bytes that freed.
    pub(super) fn remove(self) -> Result<u64> {
        remove_task(self.home, self.id)
    }
}

fn is_stray(home: &Home, id: &TaskId) -> Result<bool> {
    match home.task_dir(id) {
        Ok(_) => Ok(false),
        Err(error @ Error::Store { .. }) if !error.retryable() => Ok(true),
        Err(error) => Err(error),
    }
}
