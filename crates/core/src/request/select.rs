//! `status`, `list`, `stop`: requests that name tasks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Request, invalid};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::task::{SignalNumber, StopSettings, TaskId, TaskStatus};

/// Show one task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StatusRequest")]
pub struct Status {
    /// The task.
    pub id: TaskId,
    /// Show the values of `env`.
    #[serde(default, alias = "revealEnv")]
    pub reveal_env: bool,
    /// Show what its processes use.
    #[serde(default)]
    pub resources: bool,
}

impl Request for Status {
    const COMMAND: &'static str = "status";
}

/// Show many tasks, newest first. All filters that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListRequest")]
pub struct List {
    /// Only these; ids that do not exist are passed over. Any when left out.
    pub ids: Option<Vec<TaskId>>,
    /// Only tasks with one of these statuses; any when left out.
    #[schemars(extend("examples" = [["starting", "running"]]))]
    pub status: Option<OneOrMany<TaskStatus>>,
    /// Only tasks with this tag; tags do not matter when left out.
    #[schemars(extend("examples" = ["web"]))]
    pub tag: Option<String>,
    /// Only tasks with all of these tags; tags do not matter when left out.
    #[schemars(extend("examples" = [["web", "api"]]))]
    pub tags: Option<Vec<String>>,
    /// Only tasks of this session; sessions do not matter when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
    /// Only tasks with this name; any when left out.
    #[schemars(extend("examples" = ["dev server"]))]
    pub name: Option<String>,
    /// Only tasks that run there; anywhere when left out.
    #[serde(alias = "cwd")]
    #[schemars(extend("examples" = ["/home/ada/shop"]))]
    pub workdir: Option<PathBuf>,
    /// At most so many.
    #[schemars(range(min = List::LEAST_LIMIT, max = List::MAX_LIMIT))]
    #[schemars(extend("default" = List::DEFAULT_LIMIT))]
    pub limit: Option<usize>,
    /// The `next` of the page before; the first page when left out.
    #[schemars(extend("examples" = ["2026-11-21T16:03:43.657Z/dev"]))]
    pub after: Option<String>,
    /// Show what the processes of each use.
    #[serde(default)]
    pub resources: bool,
}

impl List {
    /// How many tasks an answer holds unless told.
    pub const DEFAULT_LIMIT: usize = 200;
    /// The smallest `limit`.
    const LEAST_LIMIT: usize = 1;
    /// The largest `limit`.
    pub const MAX_LIMIT: usize = 1_000_000;

    /// Reads `after`: the creation time (milliseconds; `None` for unreadable records) and id of
    /// the last task of the page before.
    pub(crate) fn position(&self) -> Result<Option<(i64, TaskId)>> {
        let Some(after) = &self.after else {
            return Ok(None);
        };
        let parsed = after.split_once('/').and_then(|(moment, id)| {
            let millis = match moment {
                "" => i64::MIN,
                text => Timestamp::parse(text)?.as_millis(),
            };
            Some((millis, TaskId::parse(id).ok()?))
        });
        parsed.map(Some).ok_or_else(|| {
            invalid(
                "after",
                "it is not the `next` of an earlier answer",
                "Pass `next` on as it was.",
            )
        })
    }
}

impl Request for List {
    const COMMAND: &'static str = "list";

    fn check(&self) -> Result<()> {
        if self
            .limit
            .is_some_and(|limit| !(Self::LEAST_LIMIT..=Self::MAX_LIMIT).contains(&limit))
        {
            return Err(invalid(
                "limit",
                format!(
                    "it must be from {} to {}",
                    Self::LEAST_LIMIT,
                    Self::MAX_LIMIT
                ),
                "Page with `next` and `after`.",
            ));
        }
        self.position().map(|_| ())
    }
}

/// Which tasks a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One, by id.
    One(TaskId),
    /// Several, by id.
    Many(Vec<TaskId>),
    /// All that match.
    Matching(List),
    /// All.
    All,
}

/// End a task, or all that a filter finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StopRequest")]
pub struct Stop {
    /// The task; one of the following filters when left out.
    pub id: Option<TaskId>,
    /// The tasks with this tag; tags do not matter when left out.
    #[schemars(extend("examples" = ["web"]))]
    pub tag: Option<String>,
    /// The tasks with all of these tags; tags do not matter when left out.
    #[schemars(extend("examples" = [["web", "api"]]))]
    pub tags: Option<Vec<String>>,
    /// The tasks of this session; sessions do not matter when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
    /// Every task.
    #[serde(default)]
    pub all: bool,
    /// The signal that asks; the task's own when left out.
    pub signal: Option<SignalNumber>,
    /// Milliseconds until SIGKILL; the task's own when left out.
    #[serde(alias = "graceMs")]
    #[schemars(extend("examples" = [StopSettings::default().grace_ms]))]
    pub grace_ms: Option<u64>,
}

impl Stop {
    /// Which tasks it is about.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let filter = Filter {
            tag: self.tag.as_ref(),
            tags: self.tags.as_ref(),
            parent_session_id: self.parent_session_id.as_ref(),
        };
        select(
            "stop",
            "id, a filter (tag, tags, parent_session_id), or all",
            self.id.as_ref(),
            None,
            filter,
            self.all,
        )
    }
}

impl Request for Stop {
    const COMMAND: &'static str = "stop";
    const ITEMS_NAME_A_TASK: bool = true;

    fn task_id(&self) -> Option<&TaskId> {
        self.id.as_ref()
    }

    fn check(&self) -> Result<()> {
        self.selection().map(|_| ())
    }
}

/// The filters of a request.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub tag: Option<&'a String>,
    pub tags: Option<&'a Vec<String>>,
    pub parent_session_id: Option<&'a String>,
}

/// Exactly one way of naming tasks must be used: a filter beside an id would be ignored.
pub(super) fn select(
    command: &str,
    ways_to_name: &str,
    id: Option<&TaskId>,
    ids: Option<&Vec<TaskId>>,
    filter: Filter<'_>,
    all: bool,
) -> Result<Selection> {
    let filtered =
        filter.tag.is_some() || filter.tags.is_some() || filter.parent_session_id.is_some();
    let ways = [id.is_some(), ids.is_some(), filtered, all];
    if ways.iter().filter(|&&used| used).count() != 1 {
        let problem = if ways.contains(&true) {
            "several ways of naming tasks exclude each other"
        } else {
            "no task is named"
        };
        return Err(invalid(
            "id",
            problem,
            format!("Give {command} {ways_to_name}."),
        ));
    }
    Ok(match (id, ids) {
        (Some(id), _) => Selection::One(id.clone()),
        (None, Some(ids)) if ids.is_empty() => {
            return Err(invalid("ids", "it is empty", "Name at least one task."));
        }
        (None, Some(ids)) => Selection::Many(ids.clone()),
        (None, None) if all => Selection::All,
        (None, None) => Selection::Matching(List {
            tag: filter.tag.cloned(),
            tags: filter.tags.cloned(),
            parent_session_id: filter.parent_session_id.cloned(),
            ..List::default()
        }),
    })
}
