//! `wait`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cursors::{EXAMPLE_CURSOR, check_cursors};
use super::select::{Filter, select};
use super::{Request, Selection, invalid};
use crate::error::Result;
use crate::task::TaskId;

/// Wait until one task or several have ended, are ready, or have written a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WaitRequest")]
pub struct Wait {
    /// The task; one of the following when left out.
    pub id: Option<TaskId>,
    /// Several tasks; another way of naming them when left out.
    #[schemars(length(min = 1))]
    pub ids: Option<Vec<TaskId>>,
    /// The tasks that have this tag now; tags do not matter when left out.
    #[schemars(extend("examples" = ["web"]))]
    pub tag: Option<String>,
    /// The tasks that have all of these tags now; tags do not matter when left out.
    #[schemars(extend("examples" = [["web", "api"]]))]
    pub tags: Option<Vec<String>>,
    /// The tasks of this session now; sessions do not matter when left out.
    #[serde(alias = "parentSessionId")]
    #[schemars(extend("examples" = ["session-1"]))]
    pub parent_session_id: Option<String>,
    /// Whether all of them must get there or any one.
    #[serde(default)]
    pub mode: WaitMode,
    /// Where they must get.
    #[serde(default)]
    pub until: Until,
    /// With `until: {"log"}`: search only what came after it; the present run when left out.
    #[schemars(extend("examples" = [EXAMPLE_CURSOR]))]
    pub cursor: Option<String>,
    /// The same for several tasks, by their ids; the present run when left out.
    #[schemars(extend("examples" = [{ "dev": EXAMPLE_CURSOR }]))]
    pub cursors: Option<BTreeMap<TaskId, String>>,
}

/// Whether all tasks must get there or any one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitMode {
    /// All of them.
    #[default]
    All,
    /// Any one.
    Any,
}

/// Where a task must get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// It has ended.
    #[default]
    Terminal,
    /// Its health probe has succeeded; without a probe, it runs.
    Ready,
    /// A line of its log matches this regular expression (syntax of the Rust `regex` crate).
    Log(#[schemars(extend("examples" = ["listening on port [0-9]+"]))] String),
}

impl Wait {
    /// Which tasks it is about.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let filter = Filter {
            tag: self.tag.as_ref(),
            tags: self.tags.as_ref(),
            parent_session_id: self.parent_session_id.as_ref(),
        };
        select(
            "wait",
            "id, ids, or a filter (tag, tags, parent_session_id)",
            self.id.as_ref(),
            self.ids.as_ref(),
            filter,
            false,
        )
    }
}

impl Request for Wait {
    const COMMAND: &'static str = "wait";

    fn check(&self) -> Result<()> {
        let selection = self.selection()?;
        let (cursor, cursors) = (self.cursor.as_ref(), self.cursors.as_ref());
        check_cursors(&selection, cursor, cursors)?;
        if !matches!(self.until, Until::Log(_)) && (cursor.is_some() || cursors.is_some()) {
            return Err(invalid(
                "cursor",
                "it says where a search begins, and nothing is searched",
                "Give until: {\"log\": \"...\"} as well, or leave it out.",
            ));
        }
        Ok(())
    }
}
