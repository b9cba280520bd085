//! How a successor takes over from a supervisor that is still there.

use std::io;

use super::run::read_record;
use crate::process::send_while;
use crate::store::{Candidacy, Holder, TaskDir, Verb, Want};
use crate::task::{Generation, SignalNumber};

/// What a successor wished of its predecessor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The run that was to end.
    pub run: u32,
    seq: u64,
}

impl Asked {
    /// Whether somebody stopped the task after we had asked for its restart: the later wish holds,
    /// whether the predecessor has still seen it or not.
    pub(super) fn was_overruled(self, dir: &TaskDir, generation: &Generation) -> bool {
        dir.read_want().is_some_and(|want| {
            matches!(want.verb, Verb::Stop(_))
                && want.is_of(generation, self.run)
                && want.seq > self.seq
        })
    }
}

/// Asks the supervisor that still holds the lock to make way. Returns what it was asked, `None` when
/// there was nobody to ask.
///
/// We hold the short lock (our caller's), so nobody else leaves a wish meanwhile.
pub(super) fn ask_predecessor(dir: &TaskDir, candidacy: &Candidacy) -> io::Result<Option<Asked>> {
    let record = read_record(dir)?;
    let Holder::Supervisor(pid) = candidacy.predecessor()? else {
        return Ok(None);
    };
    let facts = &record.facts;
    if facts.state.status().is_terminal() {
        return Ok(None);
    }
    let run = facts.run;
    let pending = dir.read_want().filter(|want| want.is_undone(facts));
    if let Some(want) = pending
        && matches!(want.verb, Verb::Stop(_))
    {
        // It is being stopped. The next run follows then all the same.
        return Ok(Some(Asked { run, seq: want.seq }));
    }
    let want = Want::next(facts, dir.read_want(), Verb::Restart(record.spec.stop));
    dir.write_want(&want)?;
    send_while(pid, &[SignalNumber::TERM], || {
        candidacy
            .predecessor()
            .is_ok_and(|holder| holder == Holder::Supervisor(pid))
    });
    Ok(Some(Asked { run, seq: want.seq }))
}
