//! `restart`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Request;
use crate::task::TaskId;

/// Run a task's command again under the same id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RestartRequest")]
pub struct Restart {
    /// The task.
    pub id: TaskId,
}

impl Request for Restart {
    const COMMAND: &'static str = "restart";

    fn task_id(&self) -> Option<&TaskId> {
        Some(&self.id)
    }
}

/// Bring every task to where it would be had no supervisor been lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RecoverRequest")]
pub struct Recover {}

impl Request for Recover {
    const COMMAND: &'static str = "recover";
}
