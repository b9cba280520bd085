//! Every process of a run.
//!
//! While the supervisor that executed the command lives, they are its descendants: as a
//! subreaper it inherits whatever is orphaned, in whatever session it hides. After that
//! supervisor is lost they are found by the mark in their environment and by descent from the
//! main process, and in the group of the run if it has one. Either way the walk stops at other supervisors: a task that was started from
//! within this one is a task of its own.

mod others;

use std::cell::RefCell;
use std::collections::BTreeSet;

pub(crate) use others::is_supervisor;

use self::others::is_of_another_task;
use super::cgroup::Leaf;
use crate::process;
use crate::task::{ProcessIdentity, RunToken, SignalNumber};

/// How the processes of a run are found.
#[derive(Debug)]
pub(crate) enum Tree {
    /// We executed the command.
    Own {
        main: ProcessIdentity,
        token: RunToken,
        /// Our children that have been found to be of this run: asking costs more than the rest.
        judged: RefCell<BTreeSet<i32>>,
    },
    /// A supervisor that is lost executed it.
    Foreign {
        variable: String,
        /// Everything that was ever found: what descends from it still belongs to the run when
        /// what stood in between has ended.
        known: RefCell<BTreeSet<ProcessIdentity>>,
        leaf: Option<Leaf>,
    },
}

impl Tree {
    pub(crate) fn own(main: ProcessIdentity, token: &RunToken) -> Self {
        Self::Own {
            main,
            token: token.clone(),
            judged: RefCell::default(),
        }
    }

    /// `leaf`: the group of the run, if it has one.
    pub(crate) fn foreign(
        main: Option<ProcessIdentity>,
        token: &RunToken,
        leaf: Option<Leaf>,
    ) -> Self {
        Self::Foreign {
            variable: super::run_variable(token),
            known: RefCell::new(main.into_iter().collect()),
            leaf,
        }
    }

    /// Whether its processes are not our descendants.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }

    /// Whether the kernel tells us when the last process of it has gone.
    pub(crate) fn is_told_by_kernel(&self) -> bool {
        matches!(self, Self::Own { .. }) && process::PROMPT_TREE_EXIT
    }

    /// The pids of the processes, ended ones that nobody has reaped included.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let mut walk = Walk::default();
        match self {
            Self::Own {
                main,
                token,
                judged,
            } => walk.add_below(own_pid(), Some(main.pid), token, &mut judged.borrow_mut()),
            Self::Foreign {
                variable,
                known,
                leaf,
            } => {
                let mut known = known.borrow_mut();
                known.retain(process::is_alive);
                for root in known.iter() {
                    walk.add(root.pid);
                    if !process::PROMPT_TREE_EXIT {
                        // Environments may be hidden; as long as its leader lives, a session is
                        // that of no other.
                        walk.add_session(root.pid);
                    }
                }
                for pid in process::all_pids() {
                    if pid != own_pid() && process::environment_holds(pid, variable) {
                        walk.add(pid);
                    }
                }
                leaf.iter()
                    .flat_map(Leaf::pids)
                    .for_each(|pid| walk.add(pid));
                known.extend(walk.found.iter().filter_map(|&pid| process::identify(pid)));
            }
        }
        walk.found
    }

    /// Whether nothing of it is alive.
    pub(crate) fn is_gone(&self) -> bool {
        !self
            .pids()
            .into_iter()
            .any(|pid| process::identify(pid).is_some())
    }

    /// Sends signals to every process, once each, also to those that appear meanwhile.
    pub(crate) fn signal(&self, signals: &[SignalNumber]) {
        let mut told = BTreeSet::new();
        // Whoever forks faster than we look is left to SIGKILL, which sweeps until nothing is left.
        for _ in 0..8 {
            let before = told.len();
            for pid in self.pids() {
                if let Some(process) = process::identify(pid).filter(|found| told.insert(*found)) {
                    process::send(&process, signals);
                }
            }
            if told.len() == before {
                return;
            }
        }
    }

    /// One sweep of SIGKILL.
    pub(crate) fn kill(&self) {
        const KILL: &[SignalNumber] = &[SignalNumber::KILL];
        for pid in self.pids() {
            // Between listing and killing the process may have ended and its pid may be
            // somebody else's: the pid is pinned first, and must still be in the tree then.
            if !self.is_foreign() && process::PROMPT_TREE_EXIT {
                process::send_while(pid, KILL, || descends_from_us(pid));
            } else if let Some(process) = process::identify(pid) {
                process::send(&process, KILL);
            }
        }
    }
}

fn own_pid() -> i32 {
    // Pids fit: the kernel's limit is 2^22.
    std::process::id().cast_signed()
}

/// Whether a pid is (still) below us, by walking up. A parent that ended in between hands its
/// children to us, so the walk ends here in the end.
fn descends_from_us(pid: i32) -> bool {
    let me = own_pid();
    let mut at = pid;
    // Deeper trees than this are found again by the next sweep, from the top.
    for _ in 0..4096 {
        match process::parent_and_session(at) {
            Some((parent, _)) if parent == me => return true,
            Some((parent, _)) if parent > 1 => at = parent,
            _ => return false,
        }
    }
    false
}

/// The pids of a task's processes, as another process than its supervisor finds them.
pub(crate) fn pids_below(
    supervisor: i32,
    main: Option<ProcessIdentity>,
    token: &RunToken,
) -> Vec<i32> {
    let mut walk = Walk::default();
    let mut judged = BTreeSet::new();
    walk.add_below(supervisor, main.map(|main| main.pid), token, &mut judged);
    walk.found
}

/// The same where there is no supervisor.
pub(crate) fn pids_marked(main: Option<ProcessIdentity>, token: &RunToken) -> Vec<i32> {
    Tree::foreign(main, token, None).pids()
}

/// Collects processes and what they descend to.
#[derive(Default)]
struct Walk {
    found: Vec<i32>,
    seen: BTreeSet<i32>,
}

impl Walk {
    /// Adds what this supervisor has executed and inherited. `judged`: which of its children were
    /// found to be of this run before.
    fn add_below(
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

    fn add(&mut self, pid: i32) {
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

    fn add_session(&mut self, session: i32) {
        for pid in process::all_pids() {
            if process::parent_and_session(pid).is_some_and(|(_, of)| of == session) {
                self.add(pid);
            }
        }
    }
}
