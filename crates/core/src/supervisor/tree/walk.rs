//! Finding the processes that belong to a run.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::{ENTRY, ID_VARIABLE, PROBE, RUN_VARIABLE};
use crate::process;
use crate::store::{HOME_VARIABLE, Holder, SupervisorLock, TASKS, TaskDir};
use crate::task::{RunToken, TaskId};

/// Collects processes and what they descend to.
#[derive(Default)]
pub(super) struct Walk {
    pub found: Vec<i32>,
    seen: BTreeSet<i32>,
}

impl Walk {
    /// Adds what this supervisor has executed and inherited. `judged`: which of its children were
    /// found to be of this run before.
    pub(super) fn add_below(
        &mut self,
        supervisor: i32,
        main: Option<i32>,
        token: &RunToken,
        judged: &mut BTreeSet<i32>,
    ) {
        let children: BTreeSet<i32> = process::children(supervisor).into_iter().collect();
        // Who has gone is forgotten: the pid may be somebody else's next time.
        judged.retain(|pid| children.contains(pid));
        for pid in children {
            if self.seen.contains(&pid) {
                continue;
            }
            if Some(pid) == main || judged.contains(&pid) || !is_of_another_task(pid, token) {
                judged.insert(pid);
                self.add(pid);
            }
        }
        if !process::PROMPT_TREE_EXIT
            && let Some(main) = main
        {
            // No subreaper: what was orphaned is known by the session, which is the main process's
            // own as long as it does not make another.
            self.add_session(main);
        }
    }

    /// Does not add a process nor what it has started, wherever it is come upon.
    pub(super) fn pass_over(&mut self, root: i32) {
        let mut waiting = vec![root];
        while let Some(pid) = waiting.pop() {
            if self.seen.insert(pid) {
                waiting.extend(process::children(pid));
            }
        }
    }

    pub(super) fn add(&mut self, pid: i32) {
        if self.seen.insert(pid) && !is_supervisor(pid) {
            self.found.push(pid);
            self.descend_from(pid);
        }
    }

    fn descend_from(&mut self, root: i32) {
        // A list instead of recursion: a chain of processes may be longer than our stack.
        let mut waiting = process::children(root);
        while let Some(pid) = waiting.pop() {
            if self.seen.insert(pid) && !is_supervisor(pid) {
                self.found.push(pid);
                waiting.extend(process::children(pid));
            }
        }
    }

    pub(super) fn add_session(&mut self, session: i32) {
        for pid in process::all_pids() {
            if process::parent_and_session(pid).is_some_and(|(_, of)| of == session) {
                self.add(pid);
            }
        }
    }
}

/// Whether an orphan that we inherited is of a task that was started from within this one: when that
/// one's own supervisor is lost, its processes come to us. What a process says of itself counts
/// only if that task's record says the same.
fn is_of_another_task(pid: i32, own: &RunToken) -> bool {
    let names = [RUN_VARIABLE, ID_VARIABLE, HOME_VARIABLE];
    let [Some(run), Some(id), Some(home)] = process::environment_values(pid, names) else {
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
pub(in crate::supervisor) fn is_supervisor(pid: i32) -> bool {
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
