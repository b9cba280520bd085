//! When a task is started again by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When and how often a task is started again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartSettings {
    /// After which ends.
    pub policy: RestartPolicy,
    /// How often in a row at most.
    pub max_retries: u32,
    /// Milliseconds before the first time.
    pub delay_ms: u64,
    /// How the delay grows from time to time.
    pub backoff: Backoff,
    /// Milliseconds beyond which the delay never grows.
    pub max_delay_ms: u64,
    /// Milliseconds; a run that lasts so long begins the counting anew.
    pub reset_after_ms: u64,
}

/// After which ends a task is started again. Never after one that somebody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// After none.
    #[default]
    Never,
    /// When it exits with another code than 0, or a signal or a limit ends it.
    OnFailure,
    /// After any.
    Always,
}

/// How a delay grows: with the n-th restart in a row it is
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// the same as the first,
    Constant,
    /// n times the first,
    Linear,
    /// twice that of the time before.
    #[default]
    Exponential,
}

impl RestartSettings {
    /// The delay before the `n`-th restart in a row, from 1, in milliseconds. There is no jitter:
    /// tasks of one machine do not gang up on a distant server.
    pub(crate) fn delay(&self, n: u32) -> u64 {
        let n = u64::from(n.max(1));
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => n,
            Backoff::Exponential => 1_u64
                .checked_shl(u32::try_from(n - 1).unwrap_or(64))
                .unwrap_or(u64::MAX),
        };
        self.delay_ms.saturating_mul(factor).min(self.max_delay_ms)
    }
}

impl Default for RestartSettings {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::Never,
            max_retries: 5,
            delay_ms: 1000,
            backoff: Backoff::Exponential,
            max_delay_ms: 60_000,
            reset_after_ms: 60_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_as_told_and_not_beyond() {
        let delays = |backoff| {
            let settings = RestartSettings {
                backoff,
                max_delay_ms: 5000,
                ..Default::default()
            };
            [1, 2, 3, 4, 80].map(|n| settings.delay(n))
        };
        assert_eq!(delays(Backoff::Constant), [1000; 5]);
        assert_eq!(delays(Backoff::Linear), [1000, 2000, 3000, 4000, 5000]);
        assert_eq!(delays(Backoff::Exponential), [1000, 2000, 4000, 5000, 5000]);
    }
}
