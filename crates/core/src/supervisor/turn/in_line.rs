//! Standing in a line.

use std::io;

use super::Standing;
use super::watches::Watches;
use crate::process;
use crate::store::{
    Condition, Holder, Home, Line, Presence, SupervisorLock, Ticket, observe_among_others,
};
use crate::task::{Queue, TaskRecord};

/// What became of a look at the line.
pub(super) enum Outcome {
    Waiting,
    /// The ticket has been taken away, which nobody has a right to.
    Lost,
    Placed,
}

/// Takes a ticket, or the one that the caller has taken. `None` while others have the line's lock.
pub(super) fn join(
    home: &Home,
    queue: &Queue,
    record: &TaskRecord,
    has_ticket: bool,
) -> io::Result<Option<Standing>> {
    let (id, generation) = (&record.id, &record.facts.generation);
    let line = Line::open(home, &queue.group).map_err(io::Error::other)?;
    let mut own = None;
    if has_ticket {
        let mut tickets = line.tickets()?.into_iter();
        own = tickets.find(|ticket| !ticket.has_place && ticket.is_of(id, generation));
    }
    let ticket = if let Some(ticket) = own {
        ticket
    } else {
        let Some(lock) = line.try_lock(home).map_err(io::Error::other)? else {
            return Ok(None);
        };
        line.join(id, generation, &lock)?
    };
    let held = line.hold(&ticket)?;
    Ok(Some(Standing { line, ticket, held }))
}

/// Looks whether it is our turn, and takes the place then.
pub(super) fn look(
    home: &Home,
    own: &mut Standing,
    limit: u32,
    watches: &mut Watches,
) -> io::Result<Outcome> {
    let glance = Survey::of(home, own, watches)?;
    if !glance.is_listed {
        return Ok(Outcome::Lost);
    }
    if !glance.has_room(limit) && glance.void.is_empty() {
        return Ok(Outcome::Waiting);
    }
    let Some(lock) = own.line.try_lock(home).map_err(io::Error::other)? else {
        watches.in_flux();
        return Ok(Outcome::Waiting);
    };
    // Nobody else takes a place or a ticket now.
    *watches = Watches::default();
    let survey = Survey::of(home, own, watches)?;
    survey.void.iter().for_each(|ticket| own.line.leave(ticket));
    if !survey.is_listed {
        return Ok(Outcome::Lost);
    }
    if !survey.has_room(limit) {
        return Ok(Outcome::Waiting);
    }
    let (ticket, held) = own.line.take_place(&own.ticket, &lock)?;
    own.ticket = ticket;
    // Whoever watched the ticket that we waited with looks again.
    own.held = held;
    Ok(Outcome::Placed)
}

/// A line as one of those in it sees it.
#[derive(Default)]
struct Survey {
    /// Whether our own ticket is in it.
    is_listed: bool,
    /// Whether somebody waits who came before us; then nothing else is known.
    is_preceded: bool,
    /// How many places are taken.
    taken: u32,
    /// Tickets whose tasks are gone.
    void: Vec<Ticket>,
}

impl Survey {
    /// What it found is watched: our predecessor, or else those that have a place.
    fn of(home: &Home, own: &Standing, watches: &mut Watches) -> io::Result<Self> {
        let line = &own.line;
        let mut tickets = line.tickets()?;
        let mut survey = Self {
            is_listed: tickets.contains(&own.ticket),
            ..Self::default()
        };
        tickets.retain(|ticket| ticket.id != own.ticket.id);
        let waiting = tickets
            .iter()
            .filter(|ticket| !ticket.has_place && ticket.number < own.ticket.number);
        for ticket in waiting.rev() {
            if survey.counts(home, line, ticket, watches)? {
                survey.is_preceded = true;
                return Ok(survey);
            }
        }
        for ticket in tickets.iter().filter(|ticket| ticket.has_place) {
            if survey.counts(home, line, ticket, watches)? {
                survey.taken += 1;
            }
        }
        Ok(survey)
    }

    fn has_room(&self, limit: u32) -> bool {
        self.is_listed && !self.is_preceded && (limit == 0 || self.taken < limit)
    }

    /// Whether a ticket is in use. What tells of its end is watched.
    fn counts(
        &mut self,
        home: &Home,
        line: &Line,
        ticket: &Ticket,
        watches: &mut Watches,
    ) -> io::Result<bool> {
        let is_in_use = match line.look(ticket)? {
            Presence::Held(fifo) => {
                watches.hang_up(fifo);
                true
            }
            Presence::Gone => false,
            Presence::Deserted => {
                let is_in_use = is_alive(home, ticket, watches)?;
                if !is_in_use {
                    self.void.push(ticket.clone());
                }
                is_in_use
            }
        };
        Ok(is_in_use)
    }
}

/// Whether the task of a ticket that no supervisor holds may still take part: it is about to get a
/// supervisor, has one that was put in charge later, or its command lives on without any.
fn is_alive(home: &Home, ticket: &Ticket, watches: &mut Watches) -> io::Result<bool> {
    let observed = observe_among_others(home, &ticket.id).map_err(io::Error::other)?;
    let Some(observed) = observed else {
        return Ok(false);
    };
    let generation = observed.run().map(|(generation, _)| generation);
    if generation.is_some_and(|generation| generation != ticket.generation) {
        return Ok(false);
    }
    match observed.condition {
        Condition::Supervised(pid) => {
            if let Some(dir) = home.task_dir(&ticket.id).map_err(io::Error::other)? {
                watches.supervisor(&dir, pid);
            }
            if !ticket.has_place {
                // It is about to hold its ticket, or has just let go of it.
                watches.in_flux();
            }
            Ok(true)
        }
        Condition::SupervisedElsewhere => {
            watches.untold();
            Ok(true)
        }
        Condition::Changing => {
            watches.in_flux();
            Ok(true)
        }
        Condition::Unsupervised => {
            let main = observed.record().ok();
            let main = main.and_then(|record| record.facts.state.main().copied());
            let Some(main) = main.filter(process::may_be_alive) else {
                return Ok(false);
            };
            watches.main(main);
            Ok(true)
        }
        // Its supervisor may still be busy with what it left.
        Condition::Ended | Condition::Unreadable => {
            let Some(dir) = home.task_dir(&ticket.id).map_err(io::Error::other)? else {
                return Ok(false);
            };
            match SupervisorLock::holder(&dir)? {
                Holder::Nobody => return Ok(false),
                Holder::Supervisor(pid) => watches.supervisor(&dir, pid),
                Holder::Elsewhere => watches.untold(),
            }
            Ok(true)
        }
        Condition::Lost => Ok(false),
    }
}
