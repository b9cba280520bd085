//! `remove` and `prune`: taking tasks that have ended away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::select::{Filter, select};
use super::{List, OneOrMany, Request, Selection, invalid};
use crate::error::{Error, Result};
use crate::task::{TaskId, TaskStatus};

/// Delete the record and the logs of a task that has ended, or of all such that a filter finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RemoveRequest")]
pub struct Remove {
    /// The task; one of the following filters when left out.
    pub id: Option<TaskId>,
    /// The ended tasks with this tag; tags do not matter when left out.
    #[schemars(extend("examples" = ["web"]))]
    pub tag: Option<String>,
    /// The ended tasks with all of these tags; tags do not matter when left out.
    #[schemars(extend("examples" = [["web", "api"]]))]
    pub tags: Option<Vec<String>>,
    /// The ended tasks of this session; sessions do not matter when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
    /// Every task that has ended.
    #[serde(default)]
    pub all: bool,
}

impl Remove {
    /// Which tasks it is about; of a filter only those that have ended.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let filter = Filter {
            tag: self.tag.as_ref(),
            tags: self.tags.as_ref(),
            parent_session_id: self.parent_session_id.as_ref(),
        };
        let selection = select(
            "remove",
            "id, a filter (tag, tags, parent_session_id), or all",
            self.id.as_ref(),
            None,
            filter,
            self.all,
        )?;
        Ok(match selection {
            Selection::Matching(list) => Selection::Matching(only_ended(list)),
            Selection::All => Selection::Matching(only_ended(List::default())),
            named => named,
        })
    }
}

impl Request for Remove {
    const COMMAND: &'static str = "remove";
    const ITEMS_NAME_A_TASK: bool = true;

    fn task_id(&self) -> Option<&TaskId> {
        self.id.as_ref()
    }

    fn check(&self) -> Result<()> {
        self.selection().map(|_| ())
    }
}

fn only_ended(filter: List) -> List {
    let terminal = |status: &TaskStatus| status.is_terminal();
    let ended = TaskStatus::ALL.into_iter().filter(terminal).collect();
    List {
        status: Some(OneOrMany(ended)),
        ..filter
    }
}

/// What `remove` answers for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemoveAnswer {
    /// The task that was.
    pub task_id: TaskId,
    /// Always true: otherwise there is an error.
    pub removed: bool,
    /// How much disk its record and its logs took.
    pub freed_bytes: u64,
}

/// Delete tasks that have ended: those that any of the criteria asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PruneRequest")]
pub struct Prune {
    /// Those that ended longer ago than so many milliseconds; age does not matter when left out.
    #[serde(alias = "olderThanMs")]
    #[schemars(extend("examples" = [86_400_000]))]
    pub older_than_ms: Option<u64>,
    /// All but so many that ended last; number does not matter when left out.
    #[schemars(extend("examples" = [20]))]
    pub keep: Option<usize>,
    /// Those that ended first, until the rest takes at most so many bytes of disk; size does not
    /// matter when left out.
    #[serde(alias = "maxBytes")]
    #[schemars(extend("examples" = [1_u64 << 30]))]
    pub max_bytes: Option<u64>,
    /// Only tell what would be removed.
    #[serde(default, alias = "dryRun")]
    pub dry_run: bool,
    /// Only tasks with this tag are looked at; tags do not matter when left out.
    #[schemars(extend("examples" = ["web"]))]
    pub tag: Option<String>,
    /// Only tasks with all of these tags; tags do not matter when left out.
    #[schemars(extend("examples" = [["web", "api"]]))]
    pub tags: Option<Vec<String>>,
    /// Only tasks of this session; sessions do not matter when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
}

impl Prune {
    /// The tasks that are looked at.
    pub(crate) fn filter(&self) -> List {
        only_ended(List {
            tag: self.tag.clone(),
            tags: self.tags.clone(),
            parent_session_id: self.parent_session_id.clone(),
            ..List::default()
        })
    }
}

impl Request for Prune {
    const COMMAND: &'static str = "prune";

    fn check(&self) -> Result<()> {
        if self.older_than_ms.is_none() && self.keep.is_none() && self.max_bytes.is_none() {
            return Err(invalid(
                "older_than_ms",
                "nothing says which tasks are to be removed",
                "Give older_than_ms, keep or max_bytes; remove with a filter or all removes every task that has ended.",
            )
            .with("available", json!(["older_than_ms", "keep", "max_bytes"])));
        }
        Ok(())
    }
}

/// What `prune` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PruneAnswer {
    /// The tasks that were removed, or would be; those that ended first come first.
    pub removed: Vec<TaskId>,
    /// How many ended tasks were looked at: removed, kept and failed.
    pub total: usize,
    /// How much disk the removed took.
    pub freed_bytes: u64,
    /// How many of them stay.
    pub kept: usize,
    /// Whether nothing was removed, only told.
    pub dry_run: bool,
    /// Those that should have been removed, but could not.
    pub failed: Vec<PruneFailure>,
}

/// A task that could not be removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PruneFailure {
    /// The task.
    pub id: TaskId,
    /// Why.
    #[schemars(with = "serde_json::Value")]
    pub error: Error,
}
