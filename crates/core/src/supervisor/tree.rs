//! Every process of a run.
//!
//! While the supervisor that executed the command lives, they are its descendants: as a
//! subreaper it inherits whatever is orphaned, in whatever session it hides. After that
//! supervisor is lost they are found by the mark in their environment and by descent from the
//! main process, and in the group of the run if it has one. Either way the walk stops at other
//! supervisors: a task that was started from within this one is a task of its own.

mod others;
mod walk;

use std::cell::RefCell;
use std::collections::BTreeSet;

pub(crate) use self::others::is_supervisor;

use self::walk::Walk;
use super::cgroup::Leaf;
use crate::process;
use crate::task::{ProcessIdentity, RunToken, SignalNumber};

/// The processes of a run.
#[derive(Debug)]
pub(crate) struct Tree {
    origin: Origin,
    /// A child of ours that is none of them: a health probe.
    probe: Option<i32>,
}

/// How they are found.
#[derive(Debug)]
enum Origin {
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
        Self::of(Origin::Own {
            main,
            token: token.clone(),
            judged: RefCell::default(),
        })
    }

    /// `leaf`: the group of the run, if it has one.
    pub(crate) fn foreign(
        main: Option<ProcessIdentity>,
        token: &RunToken,
        leaf: Option<Leaf>,
    ) -> Self {
        Self::of(Origin::Foreign {
            variable: super::run_variable(token),
            known: RefCell::new(main.into_iter().collect()),
            leaf,
        })
    }

    fn of(origin: Origin) -> Self {
        let probe = None;
        Self { origin, probe }
    }

    /// Which child of ours, with what it has started, is not to be taken for a process of the run.
    pub(crate) fn leave_out(&mut self, probe: Option<i32>) {
        self.probe = probe;
    }

    /// Whether its processes are not our descendants.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.origin, Origin::Foreign { .. })
    }

    /// Whether the kernel tells us when the last process of it has gone.
    pub(crate) fn is_told_by_kernel(&self) -> bool {
        matches!(self.origin, Origin::Own { .. }) && process::PROMPT_TREE_EXIT
    }

    /// Looks for all of its processes.
    fn walk(&self) -> Walk<'_> {
        self.walk_as(Walk::default())
    }

    fn walk_as<'a>(&self, mut walk: Walk<'a>) -> Walk<'a> {
        if let Some(probe) = self.probe {
            walk.pass_over(probe);
        }
        match &self.origin {
            Origin::Own {
                main,
                token,
                judged,
            } => walk.add_below(own_pid(), Some(main.pid), token, &mut judged.borrow_mut()),
            Origin::Foreign {
                variable,
                known,
                leaf,
            } => {
                let mut known = known.borrow_mut();
                known.retain(process::may_be_alive);
                for root in known.iter() {
                    walk.add(root.pid);
                    if !process::PROMPT_TREE_EXIT {
                        // Environments may be hidden; as long as its leader lives, a session is
                        // that of no other.
                        walk.add_session(root.pid);
                    }
                }
                let marked = process::all_with_environment(variable);
                for pid in walk.seen_all(marked) {
                    if pid != own_pid() {
                        walk.add(pid);
                    }
                }
                leaf.iter()
                    .flat_map(Leaf::pids)
                    .for_each(|pid| walk.add(pid));
                known.extend(&walk.living);
            }
        }
        walk
    }

    /// Whether nothing of it is alive. Who cannot look does not know that.
    pub(crate) fn is_gone(&self) -> bool {
        if self.is_foreign() {
            // All that is found of it is kept for the next look.
            let walk = self.walk();
            return !walk.is_blind && walk.living.is_empty();
        }
        let mut before = Vec::new();
        loop {
            let walk = self.walk_as(Walk::for_one());
            if walk.is_blind || !walk.living.is_empty() {
                return false;
            }
            // Who ended after our children were listed has left us its own, which are not in that
            // list. Who had ended before has not.
            if walk.found == before {
                return true;
            }
            before = walk.found;
        }
    }

    /// Sends signals to every process, once each, also to those that appear meanwhile.
    pub(crate) fn signal(&self, signals: &[SignalNumber]) {
        let mut told = BTreeSet::new();
        // Whoever forks faster than we look is left to SIGKILL, which sweeps until nothing is left.
        for _ in 0..8 {
            let before = told.len();
            self.walk_as(Walk::telling(signals, &mut told));
            if told.len() == before {
                return;
            }
        }
    }

    /// One sweep of SIGKILL.
    pub(crate) fn kill(&self) {
        self.walk_as(Walk::telling(&[SignalNumber::KILL], &mut BTreeSet::new()));
    }

    /// Has everything stand still, as far as it can be caught up with. Slower than killing at once,
    /// but what keeps up its number by forking (at the limit of its user's processes, say) gets no
    /// room for the next child as long as the others stand there.
    pub(crate) fn freeze(&self) {
        self.signal(&[SignalNumber::STOP]);
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
    Tree::foreign(main, token, None).walk().found
}

/// A process and what it has started.
pub(super) fn pids_of(root: i32) -> Vec<i32> {
    let mut walk = Walk::default();
    walk.add(root);
    walk.found
}
