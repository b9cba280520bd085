//! When a task stands still.

use std::time::Duration;

use super::Ledger;
use crate::clock::Timestamp;
use crate::event::EventData;
use crate::task::TaskState;

impl Ledger {
    /// All processes of the task stand still, or go on. Returns whether that is new.
    pub(crate) fn set_paused(&mut self, now: bool) -> bool {
        let TaskState::Running {
            paused_at,
            paused_ms,
            ..
        } = &mut self.record.facts.state
        else {
            return false;
        };
        match (now, *paused_at) {
            (true, None) => *paused_at = Some(Timestamp::now()),
            (false, Some(since)) => {
                *paused_ms = paused_ms.saturating_add(Timestamp::now().millis_since(since));
                *paused_at = None;
            }
            (true, Some(_)) | (false, None) => return false,
        }
        self.note(if now {
            EventData::Paused {}
        } else {
            EventData::Resumed {}
        });
        let _ = self.rewrite();
        true
    }

    pub(crate) fn is_paused(&self) -> bool {
        matches!(
            self.record.facts.state,
            TaskState::Running {
                paused_at: Some(_),
                ..
            }
        )
    }

    /// How long the present run has lasted, its pauses not counted.
    pub(crate) fn active_time(&self) -> Duration {
        let paused_ms = match self.record.facts.state {
            TaskState::Running {
                paused_at,
                paused_ms,
                ..
            } => paused_ms
                .saturating_add(paused_at.map_or(0, |since| Timestamp::now().millis_since(since))),
            _ => 0,
        };
        self.run_time()
            .saturating_sub(Duration::from_millis(paused_ms))
    }
}
