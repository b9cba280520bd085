//! `restart` of `start`: when a task is started again by itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::invalid;
use crate::error::Result;
use crate::task::{Backoff, RestartPolicy, RestartSettings};

/// When a task is started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// After which ends.
    #[schemars(extend("default" = RestartPolicy::default()))]
    pub policy: Option<RestartPolicy>,
    /// As earlier clients say `on_failure`.
    #[serde(default, alias = "onFailure")]
    #[schemars(skip)]
    pub on_failure: Option<bool>,
    /// How often in a row at most.
    #[serde(alias = "maxRetries")]
    #[schemars(extend("default" = RestartSettings::default().max_retries))]
    pub max_retries: Option<u32>,
    /// Milliseconds before the first time.
    #[serde(alias = "delayMs")]
    #[schemars(extend("default" = RestartSettings::default().delay_ms))]
    pub delay_ms: Option<u64>,
    /// How the delay grows from time to time.
    #[schemars(extend("default" = Backoff::default()))]
    pub backoff: Option<Backoff>,
    /// Milliseconds beyond which the delay never grows.
    #[serde(alias = "maxDelayMs")]
    #[schemars(extend("default" = RestartSettings::default().max_delay_ms))]
    pub max_delay_ms: Option<u64>,
    /// Milliseconds; a run that lasts so long begins the counting anew.
    #[serde(alias = "resetAfterMs")]
    #[schemars(extend("default" = RestartSettings::default().reset_after_ms))]
    pub reset_after_ms: Option<u64>,
}

impl Restarts {
    pub(super) fn check(self) -> Result<()> {
        if self.policy.is_some() && self.on_failure.is_some() {
            return Err(invalid(
                "restart",
                "`policy` and `on_failure` exclude each other",
                "Give policy: never, on_failure or always.",
            ));
        }
        Ok(())
    }

    pub(super) fn resolve(self) -> RestartSettings {
        let unless_told = RestartSettings::default();
        let policy = match self.on_failure {
            Some(true) => RestartPolicy::OnFailure,
            Some(false) | None => self.policy.unwrap_or_default(),
        };
        RestartSettings {
            policy,
            max_retries: self.max_retries.unwrap_or(unless_told.max_retries),
            delay_ms: self.delay_ms.unwrap_or(unless_told.delay_ms),
            backoff: self.backoff.unwrap_or_default(),
            max_delay_ms: self.max_delay_ms.unwrap_or(unless_told.max_delay_ms),
            reset_after_ms: self.reset_after_ms.unwrap_or(unless_told.reset_after_ms),
        }
    }
}
