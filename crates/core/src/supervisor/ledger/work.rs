//! The pieces of work of a task that takes any (see `store/work.rs`).

use super::Ledger;
use crate::event::EventData;
use crate::store::Work;

impl Ledger {
    /// Whether the task takes work.
    pub(crate) fn takes_work(&self) -> bool {
        self.record.spec.extension.is_some()
    }

    /// Whether there is another piece; if not, none is taken from now on. Where that cannot be told
    /// (a full disk) the task ends: whoever gives more finds that out.
    pub(crate) fn has_more_work(&self) -> bool {
        let facts = &self.record.facts;
        let next = Work::of(&self.dir, facts).close_unless_next(facts);
        matches!(next, Ok(Some(_)))
    }

    /// No work is taken from now on, and what there is is dropped, which is told.
    pub(crate) fn drop_work(&mut self) {
        let facts = &self.record.facts;
        let work = Work::of(&self.dir, facts);
        let is_own_lost = self.has_lost_work() && work.drop_piece(facts.work).is_ok();
        let dropped = work
            .close_and_drop(facts)
            .map_or(0, |closed| closed.dropped);
        let count = dropped + u64::from(is_own_lost);
        if count > 0 {
            self.note(EventData::WorkDropped { count });
        }
    }

    /// The run that begins is about the next piece, if there is one; else about the same again.
    pub(crate) fn begin_next_work(&mut self) {
        let facts = &self.record.facts;
        if let Ok(Some(next)) = Work::of(&self.dir, facts).next(facts) {
            self.record.facts.work = next;
        }
    }

    /// A new run takes work, whatever earlier ones have refused.
    pub(super) fn open_work(&mut self) {
        if self.takes_work() {
            let facts = &self.record.facts;
            let closed = Work::of(&self.dir, facts).closed_until(facts);
            self.record.facts.work_closed = closed.unwrap_or(facts.work_closed);
        }
    }

    /// The generation has come to nothing.
    pub(crate) fn forget_work(&self) {
        let facts = &self.record.facts;
        if self.takes_work() && facts.run == 1 {
            Work::of(&self.dir, facts).forget(facts.work);
        }
    }
}
