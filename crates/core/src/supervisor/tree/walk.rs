//! Finding the processes that belong to a run.

use std::collections::BTreeSet;
use std::io;

use super::others::{is_of_another_task, is_supervisor};
use super::{descends_from_us, own_pid};
use crate::process;
use crate::task::{ProcessIdentity, RunToken, SignalNumber};

/// Collects processes and what they descend to.
#[derive(Default)]
pub(super) struct Walk<'a> {
    pub found: Vec<i32>,
    /// Those of them that had not ended.
    pub living: Vec<ProcessIdentity>,
    seen: BTreeSet<i32>,
    /// Set when we lacked what it takes to look (descriptors, say): there may be more.
    pub is_blind: bool,
    /// Whether one that lives is all that is to be known.
    one_will_do: bool,
    /// What each that lives is to be told, on the way.
    message: Option<Message<'a>>,
    /// Our pid, if all of them descend from us: then a pid that is somebody else's by now is known.
    below: Option<i32>,
}

/// Signals that each process gets once.
struct Message<'a> {
    signals: &'a [SignalNumber],
    told: &'a mut BTreeSet<ProcessIdentity>,
}

/// A pid, and what listed it as its child.
#[derive(Clone, Copy)]
struct Listed {
    pid: i32,
    by: Option<i32>,
}

impl<'a> Walk<'a> {
    /// Looks no further than to the first that lives.
    pub(super) fn for_one() -> Self {
        Self {
            one_will_do: true,
            ..Self::default()
        }
    }

    /// Signals each that lives and is not among `told`, as soon as it is come upon.
    pub(super) fn telling(
        signals: &'a [SignalNumber],
        told: &'a mut BTreeSet<ProcessIdentity>,
    ) -> Self {
        Self {
            message: Some(Message { signals, told }),
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
        self.below = (process::PROMPT_TREE_EXIT && supervisor == own_pid()).then_some(supervisor);
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
        let mut waiting = vec![Listed {
            pid: root,
            by: None,
        }];
        while let Some(listed) = waiting.pop() {
            let pid = listed.pid;
            if !self.seen.insert(pid) {
                continue;
            }
            let children = match self.message.take() {
                None => self.look_at(listed),
                // Between listing and signalling a process may have ended, and its pid may be
                // somebody else's: it is looked at while it is pinned.
                Some(message) => {
                    let mut children = Vec::new();
                    process::send_while(pid, message.signals, || {
                        let before = self.living.len();
                        children = self.look_at(listed);
                        let lives = self.living.get(before);
                        lives.is_some_and(|&process| message.told.insert(process))
                    });
                    self.message = Some(message);
                    children
                }
            };
            if self.is_done() {
                return;
            }
            waiting.extend(children.into_iter().map(|child| Listed {
                pid: child,
                by: Some(pid),
            }));
        }
    }

    /// Takes a process down, unless it is none of ours; returns its children.
    fn look_at(&mut self, Listed { pid, by }: Listed) -> Vec<i32> {
        let looked = process::living_with_children(pid);
        self.is_blind |= looked.is_err();
        let (living, children) = looked.unwrap_or_default();
        if let Some(living) = living {
            // A parent that ended in between has handed it on, to us mostly.
            let is_ours = self.below.is_none_or(|us| {
                by.is_none_or(|by| [by, us].contains(&living.parent)) || descends_from_us(pid)
            });
            // One that lives is executed in a session of its own before it is in its task's folder.
            if !is_ours || living.leads_session && is_supervisor(pid) {
                return Vec::new();
            }
            self.living.push(living.identity);
        }
        self.found.push(pid);
        children
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
