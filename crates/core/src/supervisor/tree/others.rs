//! Which processes are other tasks' affair.

use std::path::Path;

use super::super::{ENTRY, ID_VARIABLE, PROBE, RUN_VARIABLE};
use crate::process;
use crate::store::{HOME_VARIABLE, Holder, SupervisorLock, TASKS, TaskDir};
use crate::task::{RunToken, TaskId};

/// Whether an orphan that we inherited is of a task that was started from within this one: when that
/// one's own supervisor is lost, its processes come to us. What a process says of itself counts
/// only if that task's record says the same.
pub(super) fn is_of_another_task(pid: i32, own: &RunToken) -> bool {
    let names = [RUN_VARIABLE, ID_VARIABLE, HOME_VARIABLE];
    // Who cannot be looked at is taken for ours, whose end is waited for.
    let Ok([Some(run), Some(id), Some(home)]) = process::environment_values(pid, names) else {
        return false;
    };
    if run == *own.as_str() {
        return false;
    }
    let Some(id) = id.to_str().and_then(|id| TaskId::parse(id).ok()) else {
        return false;
    };
    let folder = Path::new(&home).join(TASKS).join(id.as_str());
    TaskDir::open_path(&folder).is_ok_and(|dir| {
        dir.read_record()
            .is_ok_and(|record| run == *record.facts.run_token.as_str())
    })
}

/// Whether a process is the supervisor of some task, or a probe of one: its working directory is a
/// task folder, and it either runs this program as such or holds the lock in there.
///
/// The first covers one that has no lock yet: a task begun from within this one, or our own
/// successor, which waits for our lock. The second covers one of another version of this program.
///
/// Our own lock is never asked about: opening and closing our lock file would drop our lock
/// (the rule of POSIX record locks), and nobody but us holds it anyway.
pub(crate) fn is_supervisor(pid: i32) -> bool {
    let Some(folder) = process::working_directory(pid) else {
        return false;
    };
    let in_tasks = folder
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == TASKS);
    if !in_tasks {
        return false;
    }
    if [ENTRY, PROBE]
        .iter()
        .any(|kind| process::runs_our_program_as(pid, kind))
    {
        return true;
    }
    !is_our_folder(&folder)
        && TaskDir::open_path(&folder).is_ok_and(|dir| {
            SupervisorLock::holder(&dir).is_ok_and(|holder| holder == Holder::Supervisor(pid))
        })
}

fn is_our_folder(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).map(|data| (data.dev(), data.ino()));
    match (identity(folder), identity(Path::new("."))) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        // Unknown counts as ours: not asking is always safe for our lock.
        _ => true,
    }
}
