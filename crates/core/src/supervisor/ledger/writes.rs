//! How the record is written.

use std::io;
use std::os::fd::AsFd;

use super::Ledger;
use crate::clock::Timestamp;
use crate::store::Replaces;
use crate::task::TaskState;

impl Ledger {
    pub(super) fn write(&mut self, state: TaskState) -> io::Result<()> {
        self.prepare(state);
        self.put()?;
        self.settle_record();
        Ok(())
    }

    /// Writes the record. It is to be settled when nobody waits any more.
    pub(super) fn put(&mut self) -> io::Result<()> {
        let written = self
            .dir
            .write_record_at_leisure(&self.record, self.replaces)?;
        self.unsettled.set(written);
        self.replaces = Replaces::of(&self.record);
        Ok(())
    }

    /// Has the record go to the disk, and takes away the one that it has replaced.
    pub(crate) fn settle_record(&self) {
        if let Some(record) = self.unsettled.take() {
            record.settle(self.dir.as_fd());
        }
    }

    /// The state with what has been changed in it.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        self.write(self.record.facts.state.clone())
    }

    pub(super) fn prepare(&mut self, state: TaskState) {
        let facts = &mut self.record.facts;
        facts.state = state;
        // Damage may have made it the largest that there is.
        facts.revision = facts.revision.saturating_add(1);
        facts.updated_at = Timestamp::now();
    }
}
