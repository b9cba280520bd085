//! `wait`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cursors::check_cursors;
use super::select::{Filter, select};
use super::{Request, Selection, invalid};
use crate::error::Result;
use crate::task::TaskId;

/// Wait until one task or several have ended, are ready, or have written a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WaitRequest")]
pub struct Wait {
    /// The task; or one of the following.
    pub id: Option<TaskId>,
    /// Several tasks.
    pub ids: Option<Vec<TaskId>>,
    /// The tasks that have this tag now.
    pub tag: Option<String>,
    /// The tasks that have all of these tags now.
    pub tags: Option<Vec<String>>,
    /// The tasks of this session now.
    #[serde(alias = "parentSessionId")]
    pub parent_session_id: Option<String>,
    /// Whether all of them must get there or any one; `all` when left out.
    #[serde(default)]
    pub mode: WaitMode,
    /// Where they must get; `terminal` when left out.
    #[serde(default)]
    pub until: Until,
    /// With `until: {"log"}`: search only what came after it, instead of the present run.
    pub cursor: Option<String>,
    /// The same for several tasks.
    pub cursors: Option<BTreeMap<TaskId, String>>,
}

/// Whether all tasks must get there or any one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitMode {
    /// All of them.
    #[default]
    All,
    /// Any one.
    Any,
}

/// Where a task must get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// It has ended.
    #[default]
    Terminal,
    /// Its health probe has succeeded; without a probe, it runs.
    Ready,
    /// A line of its log matches this regular expression (syntax of the Rust `regex` crate).
    Log(String),
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
