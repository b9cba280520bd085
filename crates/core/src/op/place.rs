//! The places of a new task on disk: that nothing else stands there, and that they are ours.

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};

use crate::error::{Error, Result};
use crate::request::invalid;
use crate::store::{Home, ShortLock, TASKS, TaskDir, is_regular, observe_settled, stat};
use crate::task::TaskId;

/// On a filesystem that folds case, two spellings would be one folder; so nowhere are there two.
pub(super) fn refuse_other_spelling(home: &Home, id: &TaskId, lock: &mut ShortLock) -> Result<()> {
    let lock_error = |error| home.error("read", &format!("locks/{id}.lock"), error);
    let lower = id.as_str().to_ascii_lowercase();
    let recorded = lock.recorded_spelling().map_err(lock_error)?;
    let other = recorded
        .clone()
        .or_else(|| TaskId::parse(&lower).ok())
        .filter(|other| other != id);
    if let Some(other) = other
        && observe_settled(home, &other, lock)?.is_some()
    {
        return Err(invalid(
            "id",
            format!("{id} differs from the existing task {other} only in case"),
            "Use that task's spelling, or another id.",
        ));
    }
    if recorded.as_ref() != Some(id) && (recorded.is_some() || id.as_str() != lower) {
        lock.record_spelling(id).map_err(lock_error)?;
    }
    Ok(())
}

/// What stands where the log will be must be a log.
pub(super) fn refuse_planted_log(home: &Home, id: &TaskId) -> Result<()> {
    for name in [Home::log_name(id), Home::stderr_log_name(id)] {
        let found = stat(home, &name).map_err(|error| home.error("look at", &name, error))?;
        if found.is_some_and(|found| !is_regular(&found)) {
            return Err(Error::Store {
                action: "use",
                path: home.path().join(&name),
                problem: "something that is not a regular file stands in place of the log"
                    .to_owned(),
                errno: None,
                hint: "Find out who put it there, then remove it.".to_owned(),
            });
        }
    }
    Ok(())
}

/// Makes the task's folder; `None` when it is there already.
pub(super) fn claim_folder(home: &Home, id: &TaskId) -> Result<Option<TaskDir>> {
    let name = format!("{TASKS}/{id}");
    let made = match mkdirat(home, name.as_str(), Mode::S_IRWXU) {
        Err(Errno::ENOENT) => {
            home.make_layout()?;
            mkdirat(home, name.as_str(), Mode::S_IRWXU)
        }
        other => other,
    };
    match made {
        Ok(()) => home.task_dir(id),
        Err(Errno::EEXIST) => Ok(None),
        Err(errno) => Err(home.error("create", &name, errno)),
    }
}

pub(super) fn taken(home: &Home, id: &TaskId) -> Error {
    home.error("create", &format!("{TASKS}/{id}"), Errno::EEXIST)
}
