//! Finding the processes that belong to a run.

use std::collections::BTreeSet;

use super::others::{is_of_another_task, is_supervisor};
use crate::process;
use crate::task::{ProcessIdentity, RunToken};

/// Collects processes and what they descend to.
#[derive(Default)]
pub(super) struct Walk {
    pub found: Vec<i32>,
    /// Those of them that had not ended.
    pub living: Vec<ProcessIdentity>,
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

    /// Adds a process and what it has started.
    pub(super) fn add(&mut self, root: i32) {
        // A list instead of recursion: a chain of processes may be longer than our stack.
        let mut waiting = vec![root];
        while let Some(pid) = waiting.pop() {
            if !self.seen.insert(pid) {
                continue;
            }
            let (living, children) = process::identify_with_children(pid);
            // What has ended is no supervisor any more.
            if living.is_some() && is_supervisor(pid) {
                continue;
            }
            self.found.push(pid);
            self.living.extend(living);
            waiting.extend(children);
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
