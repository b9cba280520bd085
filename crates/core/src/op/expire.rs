//! `ttl_ms`: no process stays to remove a task later, so commands that come by do it.

use super::remove::remove_if_idle;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{
    Home, Observed, ShortLock, ended_at, mark_ttl, marked_until, observe_settled, unmark_ttl,
};
use crate::task::TaskId;

/// How many tasks a `start` removes at the most: it is to be quick.
pub(super) const A_FEW: usize = 16;

/// When a task is to be removed; `None` while that cannot be said, and when it never is.
pub(super) fn due(home: &Home, observed: &Observed) -> Option<Timestamp> {
    let ttl = observed.record().ok()?.spec.ttl_ms?;
    let has_ended = observed.status().is_terminal();
    has_ended.then(|| ended_at(home, observed).after_ms(ttl))
}

/// Removes tasks whose time is over, `most` of them. What cannot be removed waits for the next
/// command that comes by.
pub(super) fn expire(home: &Home, most: usize) {
    let now = Timestamp::now();
    for (id, marks) in marked_until(home, now).into_iter().take(most) {
        // Others are changing it: they, or somebody later, will see to it.
        let _ = look_after(home, &id, &marks, now);
    }
}

fn look_after(home: &Home, id: &TaskId, marks: &[Timestamp], now: Timestamp) -> Result<()> {
    let Some(lock) = ShortLock::try_take(home, id)? else {
        return Ok(());
    };
    let forget = |but: Option<Timestamp>| {
        let old = marks.iter().filter(|&&due| Some(due) != but);
        old.for_each(|&due| unmark_ttl(home, id, due));
    };
    let Some(observed) = observe_settled(home, id, &lock)? else {
        forget(None);
        return Ok(());
    };
    let Ok(record) = observed.record() else {
        // Nobody knows any more how long it was to stay; a newer build may know better.
        if !observed.is_newer() {
            forget(None);
        }
        return Ok(());
    };
    let Some(ttl) = record.spec.ttl_ms else {
        forget(None);
        return Ok(());
    };
    // While it has not ended it cannot be due before its whole time has passed from now on.
    let next = due(home, &observed).unwrap_or_else(|| now.after_ms(ttl));
    if next > now {
        mark_ttl(home, id, next)?;
        forget(Some(next));
        return Ok(());
    }
    drop(lock);
    if remove_if_idle(home, id, |now| now.run() == observed.run())?.is_some() {
        forget(None);
    }
    Ok(())
}
