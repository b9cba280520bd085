//! `events`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cursors::{EXAMPLE_CURSOR, check_cursors};
use super::logs::{LEAST, refuse_zero};
use super::select::{Filter, select};
use super::{Logs, Request, Selection};
use crate::error::Result;
use crate::log::View;
use crate::task::TaskId;

/// Show what happened to tasks, their log lines among it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventsRequest")]
pub struct Events {
    /// The task; one of the following when left out.
    pub id: Option<TaskId>,
    /// Several tasks; another way of naming them when left out.
    #[schemars(length(min = 1))]
    pub ids: Option<Vec<TaskId>>,
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
    /// So many log lines from the end of each task's log; with a cursor, so many behind it, all when
    /// left out.
    #[schemars(extend("default" = Logs::DEFAULT_LINES))]
    pub lines: Option<usize>,
    /// Only what came after it; all of it when left out.
    #[schemars(extend("examples" = [EXAMPLE_CURSOR]))]
    pub cursor: Option<String>,
    /// The same for several tasks, by their ids; as `lines` says when left out. Those that are not
    /// named begin at their start.
    #[schemars(extend("examples" = [{ "dev": EXAMPLE_CURSOR }]))]
    pub cursors: Option<BTreeMap<TaskId, String>>,
    /// How lines are shown.
    #[serde(default)]
    pub view: View,
    /// Longer lines are cut there, with a mark.
    #[serde(alias = "maxLineBytes")]
    #[schemars(range(min = LEAST), extend("default" = Logs::DEFAULT_MAX_LINE_BYTES))]
    pub max_line_bytes: Option<usize>,
    /// What else is told of a task whose lines are told as other events: of a coding agent.
    #[serde(default)]
    #[schemars(extend("examples" = [[Include::Thinking]]))]
    pub include: Vec<Include>,
}

/// What else is told of a task whose lines are told as other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// What it thinks.
    Thinking,
    /// The line that an event was told of, as `raw` in its data.
    Raw,
    /// Lines of which nothing is told, standard error among them, as `task.log.line`.
    Lines,
}

impl Include {
    /// Each of them.
    pub const ALL: [Include; 3] = [Self::Thinking, Self::Raw, Self::Lines];
}

impl Events {
    /// With defaults for everything but the task.
    pub fn of(id: TaskId) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// Which tasks it is about.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let filter = Filter {
            tag: self.tag.as_ref(),
            tags: self.tags.as_ref(),
            parent_session_id: self.parent_session_id.as_ref(),
        };
        select(
            "events",
            "id, ids, a filter (tag, tags, parent_session_id), or all",
            self.id.as_ref(),
            self.ids.as_ref(),
            filter,
            self.all,
        )
    }
}

impl Request for Events {
    const COMMAND: &'static str = "events";

    fn check(&self) -> Result<()> {
        let selection = self.selection()?;
        check_cursors(&selection, self.cursor.as_ref(), self.cursors.as_ref())?;
        refuse_zero("max_line_bytes", self.max_line_bytes)
    }
}
