//! What a caller wants of a living task: intent, kept apart from fact.

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use crate::task::{Facts, Generation, Recipient, SignalNumber, StopSettings};

/// The content of `want.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Want {
    version: u32,
    generation: Generation,
    run: u32,
    /// Counts up with every wish of the generation.
    pub seq: u64,
    /// What is wanted.
    pub verb: Verb,
    /// The stop that was wanted before: what is wished after it (a signal to what is being stopped,
    /// say) must not make anybody forget that the run is to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop: Option<StopSettings>,
}

/// What can be wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    /// End the task.
    Stop(StopSettings),
    /// End this run; a successor that is already waiting for the lock begins the next.
    Restart(StopSettings),
    /// Stop all processes of the task until it is resumed.
    Pause,
    /// Have them go on.
    Resume,
    /// Send a signal.
    Signal(SignalNumber, Recipient),
}

impl Verb {
    /// Whether it has the run end; the others have it go on.
    pub(crate) fn ends_run(self) -> bool {
        matches!(self, Self::Stop(_) | Self::Restart(_))
    }

    /// What wakes the supervisor for it. SIGTERM has the run end even where no wish is found, so it
    /// must never come for the others: one signal may be sent for a wish that is done already.
    pub(crate) fn wake_signal(self) -> SignalNumber {
        if self.ends_run() {
            SignalNumber::TERM
        } else {
            SignalNumber::USR1
        }
    }
}

impl Want {
    /// The next wish after `previous`, for the run that `facts` speak of. A stop that is less
    /// harsh than the one that is already wanted gives way to it.
    pub(crate) fn next(facts: &Facts, previous: Option<Want>, verb: Verb) -> Self {
        let previous = previous.filter(|want| want.is_for(facts));
        let last = previous.as_ref().map_or(facts.wish_done, |want| want.seq);
        // Damage may have made it the largest that there is.
        let seq = last.saturating_add(1);
        let before = previous.and_then(|want| want.wanted_stop());
        let (verb, stop) = match (verb, before) {
            (Verb::Stop(new), Some(old)) => (Verb::Stop(harsher(old, new)), None),
            // Whoever wants the next run does not want the task to end.
            (Verb::Stop(_) | Verb::Restart(_), _) => (verb, None),
            (Verb::Pause | Verb::Resume | Verb::Signal(..), before) => (verb, before),
        };
        Self {
            version: FORMAT_VERSION,
            generation: facts.generation.clone(),
            run: facts.run,
            seq,
            verb,
            stop,
        }
    }

    /// The stop that is wanted of this run, if one is.
    pub(crate) fn wanted_stop(&self) -> Option<StopSettings> {
        match self.verb {
            Verb::Stop(stop) => Some(stop),
            _ => self.stop,
        }
    }

    /// Whether it is for this run and has not been carried out.
    pub(crate) fn is_undone(&self, facts: &Facts) -> bool {
        self.is_for(facts) && self.seq > facts.wish_done
    }

    /// Whether it speaks of this very run; a wish for another is ignored.
    pub(crate) fn is_for(&self, facts: &Facts) -> bool {
        self.is_of(&facts.generation, facts.run)
    }

    /// The same, for a run that may be over.
    pub(crate) fn is_of(&self, generation: &Generation, run: u32) -> bool {
        self.generation == *generation && self.run == run
    }
}

/// SIGKILL beats every other signal; otherwise the newer signal is sent, and the shorter grace
/// holds.
fn harsher(old: StopSettings, new: StopSettings) -> StopSettings {
    let kill = SignalNumber::KILL;
    StopSettings {
        signal: if old.signal == kill { kill } else { new.signal },
        grace_ms: old.grace_ms.min(new.grace_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_can_follow_whatever_number_damage_has_left() {
        let facts = r#"{"revision":1,"generation":"a","run":1,"run_token":"b","restart_count":0,
            "boot_id":"c","created_at":"2026-01-31T09:30:00Z","updated_at":"2026-01-31T09:30:00Z",
            "wish_done":0,"cleared":true,"state":"starting"}"#;
        let facts: Facts = serde_json::from_str(facts).unwrap();
        let mut last = Want::next(&facts, None, Verb::Pause);
        assert_eq!(last.seq, 1);
        last.seq = u64::MAX;
        let next = Want::next(&facts, Some(last), Verb::Resume);
        assert!(next.seq == u64::MAX && next.is_undone(&facts));
    }
}
