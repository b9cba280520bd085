//! Finding the processes that belong to a run.

use std::collections::BTreeSet;
use std::io;

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
    /// Set when we lacked what it takes to look (descriptors, say): there may be more.
    pub is_blind: bool,
    /// Whether one that lives is all that is to be known.
    one_will_do: bool,
}

impl Walk {
    /// Looks no further than to the first that lives.
    pub(super) fn for_one() -> Self {
        Self {
            one_will_do: true,
            ..Self::default()
        }
    }

    fn is_done(&self) -> bool {
        self.one_will_do && !self.living.is_empty()
    }

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
            if self.is_done() {
                return;
            }
            if self.seen.contains(&pid) {
                continue;
            }
            // One call instead of four, for each that a sweep has just ended. What it had started is
            // ours by now, and is found by the next look if not by this one.
            if process::child_has_ended(pid) {
                self.seen.insert(pid);
                self.found.push(pid);
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

    /// Adds a process and what it has started.
    pub(super) fn add(&mut self, root: i32) {
        // A list instead of recursion: a chain of processes may be longer than our stack.
        let mut waiting = vec![root];
        while let Some(pid) = waiting.pop() {
            if !self.seen.insert(pid) {
                continue;
            }
            let looked = process::living_with_children(pid);
            self.is_blind |= looked.is_err();
            let (living, children) = looked.unwrap_or_default();
            // What has ended is no supervisor any more. One that lives is executed in a session of
            // its own before it is in its task's folder.
            if living.is_some_and(|living| living.leads_session) && is_supervisor(pid) {
                continue;
            }
            self.found.push(pid);
            self.living.extend(living.map(|living| living.identity));
            if self.is_done() {
                return;
            }
            waiting.extend(children);
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
