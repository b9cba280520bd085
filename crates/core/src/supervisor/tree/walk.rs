//! Finding the processes that belong to a run.

use std::collections::BTreeSet;
use std::io;

use super::others::{is_of_another_task, is_supervisor};
use crate::process;
use crate::task::RunToken;

/// Collects processes and what they descend to.
#[derive(Default)]
pub(super) struct Walk {
    pub found: Vec<i32>,
    seen: BTreeSet<i32>,
    /// Set when we lacked what it takes to look (descriptors, say): there may be more.
    pub is_blind: bool,
}

impl Walk {
    fn children(&mut self, pid: i32) -> Vec<i32> {
        let listed = process::children(pid);
        self.seen_all(listed)
    }

    /// What a look has shown, which may be less than there is.
    pub(super) fn seen_all(&mut self, listed: io::Result<Vec<i32>>) -> Vec<i32> {
        self.is_blind |= listed.is_err();
        listed.unwrap_or_default()
    }

    /// Adds what this supervisor has executed and inherited. `judged`: which of its children were
    /// found to be of this run before.
    pub(super) fn add_below(
        &mut self,
        supervisor: i32,
        main: Option<i32>,
        token: &RunToken,
        judged: &mut BTreeSet<i32>,
    ) {
        let children: BTreeSet<i32> = self.children(supervisor).into_iter().collect();
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
                waiting.extend(self.children(pid));
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
        let mut waiting = self.children(root);
        while let Some(pid) = waiting.pop() {
            if self.seen.insert(pid) && !is_supervisor(pid) {
                self.found.push(pid);
                waiting.extend(self.children(pid));
            }
        }
    }

    pub(super) fn add_session(&mut self, session: i32) {
        let all = process::all_pids();
        for pid in self.seen_all(all) {
            if process::parent_and_session(pid).is_some_and(|(_, of)| of == session) {
                self.add(pid);
            }
        }
    }
}
