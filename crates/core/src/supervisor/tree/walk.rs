//! Finding the processes that belong to a run.

use std::collections::BTreeSet;

use super::others::{is_of_another_task, is_supervisor};
use crate::process;
use crate::task::RunToken;

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
