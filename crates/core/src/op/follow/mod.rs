//! The histories of one task or many as one stream: what is stored, then what happens.

mod live;
mod member;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use serde_json::json;

use super::history::{Begin, History, Wanted};
use super::logs::generation_of;
use super::wait::Vigil;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Framer, Outlet};
use crate::log::{Cursor, FolderWatch};
use crate::request::Selection;
use crate::store::{Home, observe_among_others};
use crate::task::TaskId;

/// Whether a stream ends with what is there or goes on.
#[derive(Clone, Copy, Debug)]
pub enum Follow<'a> {
    /// It ends with what is there.
    No,
    /// It goes on until the tasks have ended; for a filter, whose tasks may be joined by others,
    /// until the deadline.
    On {
        /// Or until this has passed.
        deadline: Deadline,
        /// Or until nobody reads what is written here (a pipe, mostly), which is noticed also while
        /// nothing happens.
        output: Option<BorrowedFd<'a>>,
    },
}

/// What a stream is about and where it begins.
pub(super) struct Plan<'a> {
    pub home: &'a Home,
    pub selection: &'a Selection,
    /// Where the history of a task begins that is there from the start.
    pub begin: &'a dyn Fn(&TaskId) -> Begin,
    pub wanted: &'a dyn Fn() -> Wanted,
    /// What each task begins with.
    pub greeting: Greeting,
}

/// What the frames of a task begin with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Greeting {
    Nothing,
    /// `task.status.snapshot`
    Snapshot,
    /// `task.logs.started`
    LogsStarted,
}

impl Greeting {
    fn tell(self, history: &History<'_>, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        Ok(match self {
            Self::Nothing => ControlFlow::Continue(()),
            Self::Snapshot => history.snapshot(outlet),
            Self::LogsStarted => {
                let total = history.total_lines()?;
                let facts = json!({ "task_id": history.id, "total_lines": total });
                history.tell("task.logs.started", facts, outlet)
            }
        })
    }
}

impl Plan<'_> {
    /// Whether others may join in.
    fn is_open_ended(&self) -> bool {
        matches!(self.selection, Selection::Matching(_) | Selection::All)
    }

    /// Whether a task is left out that cannot be read, or has gone: it hurts no other, unless it was
    /// asked for by its name.
    fn does_without(&self, error: &Error) -> bool {
        let is_of_task = matches!(
            error.kind(),
            ErrorKind::TaskNotFound | ErrorKind::StoreError
        );
        self.is_open_ended() && is_of_task && !error.retryable()
    }
}

/// What has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Nothing,
    Lines,
    All,
}

/// One of the tasks.
struct Member<'a> {
    history: History<'a>,
    vigil: Option<Vigil>,
    stale: Stale,
    /// Started anew, or removed.
    is_over: bool,
    /// When the unfinished line of logs of this size may be given.
    quiet: Option<(u64, Deadline)>,
}

/// Several histories on their way into one stream.
pub(super) struct Stream<'a> {
    plan: Plan<'a>,
    /// By a number that is never used again: what was told of one is not taken for another.
    members: BTreeMap<usize, Member<'a>>,
    next_number: usize,
    /// Those that are left out since they cannot be read.
    unreadable: BTreeSet<TaskId>,
    watch: Option<FolderWatch>,
    /// Tasks may have come to match without a word.
    look_for_others: bool,
}

impl<'a> Stream<'a> {
    /// Opens the histories of these tasks.
    ///
    /// # Errors
    /// As [`History::open`]; with a filter, a task that cannot be read is left out.
    pub(super) fn open(plan: Plan<'a>, ids: &[TaskId]) -> Result<Self> {
        let mut stream = Self {
            plan,
            members: BTreeMap::new(),
            next_number: 0,
            unreadable: BTreeSet::new(),
            watch: None,
            look_for_others: false,
        };
        for id in ids {
            let begin = (stream.plan.begin)(id);
            stream.join(id, begin)?;
        }
        Ok(stream)
    }

    /// Adds a task; its number, unless it is left out.
    fn join(&mut self, id: &TaskId, begin: Begin) -> Result<Option<usize>> {
        let history = match History::open(self.plan.home, id, begin, (self.plan.wanted)()) {
            Err(error) if self.plan.does_without(&error) => {
                if error.kind() != ErrorKind::TaskNotFound {
                    self.unreadable.insert(id.clone());
                }
                return Ok(None);
            }
            other => other?,
        };
        let number = self.next_number;
        self.next_number += 1;
        self.members.insert(
            number,
            Member {
                history,
                vigil: None,
                stale: Stale::All,
                is_over: false,
                quiet: None,
            },
        );
        Ok(Some(number))
    }

    /// The tasks' histories.
    pub(super) fn histories(&self) -> impl Iterator<Item = &History<'a>> {
        self.members.values().map(|member| &member.history)
    }

    /// Tells what each task begins with.
    pub(super) fn greet(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let greeting = self.plan.greeting;
        let greeted = self.each(|_, member| greeting.tell(&member.history, outlet))?;
        if greeted.is_break() {
            return Ok(greeted);
        }
        for id in &self.unreadable {
            if self.tell_unreadable(id, outlet)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Tells what is known of one that is left out, where that is told of all.
    fn tell_unreadable(&self, id: &TaskId, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let Greeting::Snapshot = self.plan.greeting else {
            return Ok(ControlFlow::Continue(()));
        };
        let Some(observed) = observe_among_others(self.plan.home, id)? else {
            return Ok(ControlFlow::Continue(()));
        };
        let framer = Framer::new(id.clone(), Cursor::start_of(generation_of(&observed)));
        Ok(outlet.send(framer.snapshot(&observed.task())))
    }

    /// Does something with each task, until it breaks. One that cannot be read may leave the stream.
    fn each(
        &mut self,
        mut act: impl FnMut(usize, &mut Member<'a>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut left_out = Vec::new();
        for (&number, member) in &mut self.members {
            match act(number, member) {
                Ok(ControlFlow::Continue(())) => {}
                Err(error) if self.plan.does_without(&error) => left_out.push(number),
                other => return other,
            }
        }
        left_out
            .into_iter()
            .for_each(|number| self.leave_out(number));
        Ok(ControlFlow::Continue(()))
    }

    fn leave_out(&mut self, number: usize) {
        if let Some(watch) = &mut self.watch {
            watch.remove(number);
        }
        self.members.remove(&number);
    }

    /// Gives what there is, or also what happens. Breaks when nobody reads any more.
    pub(super) fn run(
        &mut self,
        follow: Follow<'_>,
        outlet: &mut Outlet<'_>,
    ) -> Result<ControlFlow<()>> {
        match follow {
            Follow::No => self.give_stored(outlet),
            Follow::On { deadline, output } => self.follow(deadline, output, outlet),
        }
    }

    fn give_stored(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let _all = self.each(|_, member| {
            member.history.refresh()?;
            // Whoever looks once sees the line that is being written, too.
            member.history.give_unfinished();
            Ok(ControlFlow::Continue(()))
        })?;
        self.give(outlet)
    }

    /// Gives what the latest round has found, in the order of time.
    fn give(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        if self.members.len() == 1
            && let Some(only) = self.members.values_mut().next()
        {
            return only.history.give_all(outlet);
        }
        // The histories that have something, by when that was.
        let mut next = BinaryHeap::new();
        let mut line_up = |number, member: &mut Member<'_>| {
            let time = member.history.next_time()?;
            next.extend(time.map(|time| Reverse((time, number))));
            Ok(ControlFlow::Continue(()))
        };
        let _all = self.each(&mut line_up)?;
        while let Some(Reverse((_, number))) = next.pop() {
            let until = next.peek().map(|Reverse((time, _))| *time);
            let Some(member) = self.members.get_mut(&number) else {
                continue;
            };
            let given = member.history.give_until(until, outlet);
            let time = match given.and_then(|given| Ok((given, member.history.next_time()?))) {
                Ok((ControlFlow::Continue(()), time)) => time,
                Ok((ControlFlow::Break(()), _)) => return Ok(ControlFlow::Break(())),
                Err(error) if self.plan.does_without(&error) => {
                    self.leave_out(number);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if outlet.is_late() {
                break;
            }
            next.extend(time.map(|time| Reverse((time, number))));
        }
        Ok(ControlFlow::Continue(()))
    }
}
