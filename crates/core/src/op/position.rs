//! How many are before a task in its line.

use std::collections::BTreeMap;

use crate::store::{Home, Line, Presence, ShortLock, Ticket};
use crate::task::{GroupName, Task, TaskId, TaskStatus};

/// Who waits in the lines of a home, as far as that has been asked for: each line is read once.
pub(super) struct Positions<'a> {
    home: &'a Home,
    lines: BTreeMap<GroupName, Vec<TaskId>>,
}

impl<'a> Positions<'a> {
    pub(super) fn of(home: &'a Home) -> Self {
        Self {
            home,
            lines: BTreeMap::new(),
        }
    }

    /// Completes a task that waits in a line. One that cannot be found there stays without: it is
    /// about to begin, or waits for other tasks first.
    pub(super) fn tell(&mut self, task: &mut Task) {
        if task.status != TaskStatus::Queued {
            return;
        }
        let Some(queue) = &task.queue else {
            return;
        };
        if !self.lines.contains_key(&queue.group) {
            let waiting = waiting(self.home, &queue.group);
            self.lines.insert(queue.group.clone(), waiting);
        }
        let line = &self.lines[&queue.group];
        task.queue_position = line.iter().position(|id| *id == task.id);
    }
}

/// Those who wait, in the order of the line. What cannot be read is no reason not to show the rest.
fn waiting(home: &Home, group: &GroupName) -> Vec<TaskId> {
    let Ok(Some(line)) = Line::find(home, group) else {
        return Vec::new();
    };
    let is_in_use = |ticket: &Ticket| match line.look(ticket) {
        Ok(Presence::Held(_)) => true,
        // Its supervisor has still to be launched, or is lost.
        Ok(Presence::Deserted) => !ShortLock::is_free(home, &ticket.id).unwrap_or(true),
        Ok(Presence::Gone) | Err(_) => false,
    };
    let tickets = line.tickets().unwrap_or_default().into_iter();
    tickets
        .filter(|ticket| !ticket.has_place && is_in_use(ticket))
        .map(|ticket| ticket.id)
        .collect()
}
