//! A task that waits for its turn: first for the tasks that it is to run after, then in its line.
//!
//! Whoever only waits for its predecessor in the line knows nothing of the others: two hundred in a
//! line wake up one after the other, not all at once. The first in line watches those that have a
//! place. It takes its own under the group's lock, having looked once more, so no two can both take
//! the last one.

mod after;
mod in_line;
mod watches;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use super::Errand;
use crate::clock::Deadline;
use crate::store::{Awaited, Home, Line, TaskDir, Ticket};
use crate::task::{Queue, TaskId, TaskRecord};
use after::Progress;
use in_line::Outcome;
use watches::{Pace, Watches};

/// So long a line's lock is tried for before the caller is answered.
const SOON: Duration = Duration::from_millis(50);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// A task's turn: waited for, or come.
#[derive(Debug)]
pub(crate) struct Turn {
    stage: Stage,
    watches: Watches,
    pace: Pace,
}

#[derive(Debug)]
enum Stage {
    /// Other tasks have to get somewhere first.
    After {
        awaited: Awaited,
        succeeded: BTreeSet<TaskId>,
    },
    /// It has no place in the line yet. With a ticket already, where its caller has taken one.
    Joining { has_ticket: bool },
    /// It stands in the line, or has a place.
    InLine(Standing),
    /// Nothing is waited for any more, and there is no line.
    Come,
}

/// A ticket that is held: others see that it is in use.
#[derive(Debug)]
struct Standing {
    line: Line,
    ticket: Ticket,
    held: OwnedFd,
}

/// How it stands with a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has not come.
    Wait,
    /// It has.
    Come,
    /// It never will, for this reason.
    Never(String),
}

impl Turn {
    /// What a run that is about to begin has to wait for; `None` for nothing. A restart waits again
    /// only for tasks that have never got where they had to, and for a place at the end of the line.
    pub(crate) fn of(dir: &TaskDir, record: &TaskRecord, errand: Errand) -> Option<Self> {
        let (spec, is_start) = (&record.spec, errand == Errand::Start);
        let awaited = spec
            .after
            .as_ref()
            .and_then(|_| Awaited::read(dir, &record.facts.generation));
        let stage = match (awaited, &spec.queue) {
            (Some(mut awaited), _) => {
                if !is_start {
                    // What is there now counts.
                    awaited.not_started.clear();
                }
                Stage::After {
                    awaited,
                    succeeded: BTreeSet::new(),
                }
            }
            (None, Some(_)) => Stage::Joining {
                has_ticket: is_start,
            },
            (None, None) => return None,
        };
        Some(Self {
            stage,
            watches: Watches::default(),
            pace: Pace::at_once(),
        })
    }

    /// Takes its place in the line, if it is to stand in one now, and says whether the turn comes at
    /// once: where a place is free, the task need not be told to wait. Who is told that it waits can
    /// see where.
    pub(crate) fn comes_at_once(
        &mut self,
        home: &Home,
        dir: &TaskDir,
        record: &TaskRecord,
    ) -> bool {
        let (Stage::Joining { has_ticket }, Some(queue)) = (&self.stage, &record.spec.queue) else {
            return false;
        };
        let has_ticket = *has_ticket;
        let soon = Deadline::after(SOON);
        // Others hold the line's lock for an instant. Who comes after us is not to overtake us.
        while !soon.has_passed() {
            match in_line::join(home, queue, record, has_ticket) {
                Ok(Some(standing)) => {
                    self.stage = Stage::InLine(standing);
                    return self.look(home, dir, record) == Verdict::Come;
                }
                Ok(None) => std::thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        false
    }

    /// What becomes readable when there is something to see.
    pub(crate) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watches.fds()
    }

    /// When to look in any case.
    pub(crate) fn due(&self) -> Deadline {
        self.pace.due()
    }

    /// Looks how it stands.
    pub(crate) fn look(&mut self, home: &Home, dir: &TaskDir, record: &TaskRecord) -> Verdict {
        self.watches = Watches::default();
        let verdict = self.advance(home, dir, record).unwrap_or_else(|_| {
            // No descriptors, mostly: what cannot be seen is looked at again.
            self.watches.in_flux();
            Verdict::Wait
        });
        match verdict {
            Verdict::Wait => self.pace.follow(&self.watches),
            Verdict::Come | Verdict::Never(_) => {
                self.watches = Watches::default();
                self.pace = Pace::NEVER;
            }
        }
        verdict
    }

    fn advance(&mut self, home: &Home, dir: &TaskDir, record: &TaskRecord) -> io::Result<Verdict> {
        loop {
            self.stage = match &mut self.stage {
                Stage::After { awaited, succeeded } => {
                    let progress = match &record.spec.after {
                        Some(after) => {
                            after::look(home, after, awaited, succeeded, &mut self.watches)?
                        }
                        None => Progress::There,
                    };
                    match progress {
                        Progress::Waiting => return Ok(Verdict::Wait),
                        Progress::Never(why) => return Ok(Verdict::Never(why)),
                        Progress::There => {}
                    }
                    // Where it stays, a restart waits once more for what is there already.
                    let _ = Awaited::remove(dir);
                    Stage::after_the_others(record.spec.queue.as_ref())
                }
                Stage::Joining { has_ticket } => match &record.spec.queue {
                    Some(queue) => match in_line::join(home, queue, record, *has_ticket)? {
                        Some(standing) => Stage::InLine(standing),
                        None => {
                            self.watches.in_flux();
                            return Ok(Verdict::Wait);
                        }
                    },
                    None => Stage::Come,
                },
                Stage::InLine(standing) => {
                    let limit = record.spec.queue.as_ref().map_or(0, |queue| queue.limit);
                    match in_line::look(home, standing, limit, &mut self.watches)? {
                        Outcome::Waiting => return Ok(Verdict::Wait),
                        Outcome::Placed => return Ok(Verdict::Come),
                        Outcome::Lost => Stage::Joining { has_ticket: false },
                    }
                }
                Stage::Come => return Ok(Verdict::Come),
            };
        }
    }

    /// Leaves the line, with a place or without: whoever is next is woken.
    pub(crate) fn leave(self) {
        if let Stage::InLine(standing) = self.stage {
            standing.line.leave(&standing.ticket);
        }
    }
}

impl Stage {
    fn after_the_others(queue: Option<&Queue>) -> Self {
        match queue {
            Some(_) => Self::Joining { has_ticket: false },
            None => Self::Come,
        }
    }
}
