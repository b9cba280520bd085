//! `logs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cursors::{EXAMPLE_CURSOR, check_cursors, cursor_of};
use super::select::{Filter, select};
use super::{Moment, Request, Selection, invalid};
use crate::error::Result;
use crate::log::View;
use crate::task::TaskId;

/// The smallest number of bytes and matches.
pub(super) const LEAST: usize = 1;

/// Show a part of a task's log: its end unless told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LogsRequest")]
pub struct Logs {
    /// The task; for a stream, one of the following when left out.
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
    /// So many lines from the end; with `cursor`, so many behind it.
    #[schemars(extend("default" = Logs::DEFAULT_LINES))]
    pub lines: Option<usize>,
    /// So many lines from the start as well.
    #[schemars(extend("default" = 0))]
    pub head: Option<usize>,
    /// Only what came after it; all of it when left out.
    #[schemars(extend("examples" = [EXAMPLE_CURSOR]))]
    pub cursor: Option<String>,
    /// The same for a stream about several tasks, by their ids; all of it when left out. Those
    /// that are not named begin at their start.
    #[schemars(extend("examples" = [{ "dev": EXAMPLE_CURSOR }]))]
    pub cursors: Option<BTreeMap<TaskId, String>>,
    /// Only lines written then or later: RFC 3339, or how long ago, as `"5m"`. From
    /// the start when left out.
    pub since: Option<Moment>,
    /// Only lines written then or earlier; to the end when left out.
    pub until: Option<Moment>,
    /// Only lines that match this regular expression (syntax of the Rust `regex` crate); any when left
    /// out.
    #[schemars(extend("examples" = ["(?i)error|warning"]))]
    pub grep: Option<String>,
    /// With `grep`: so many lines before and after each match.
    #[schemars(extend("default" = 0))]
    pub context: Option<usize>,
    /// With `grep`: at most so many matches, the oldest first.
    #[serde(alias = "maxMatches")]
    #[schemars(range(min = LEAST), extend("default" = Logs::DEFAULT_MAX_MATCHES))]
    pub max_matches: Option<usize>,
    /// Which stream; matters where standard error is kept apart.
    #[serde(default)]
    pub stream: StreamChoice,
    /// How lines are shown.
    #[serde(default)]
    pub view: View,
    /// Whether each line comes with its number, time and stream.
    #[serde(default)]
    pub timestamps: bool,
    /// At most so many bytes of text; at least one line is shown.
    #[serde(alias = "maxBytes")]
    #[schemars(range(min = LEAST), extend("default" = Logs::DEFAULT_MAX_BYTES))]
    pub max_bytes: Option<usize>,
    /// Longer lines are cut there, with a mark.
    #[serde(alias = "maxLineBytes")]
    #[schemars(range(min = LEAST), extend("default" = Logs::DEFAULT_MAX_LINE_BYTES))]
    pub max_line_bytes: Option<usize>,
}

/// Which of a task's streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamChoice {
    /// Both.
    #[default]
    All,
    /// Standard output; both, where they are one log.
    Stdout,
    /// Standard error, where it is kept apart.
    Stderr,
}

impl StreamChoice {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::All, Self::Stdout, Self::Stderr];
}

impl Logs {
    /// Lines shown unless told.
    pub const DEFAULT_LINES: usize = 100;
    /// Bytes of text shown unless told.
    pub const DEFAULT_MAX_BYTES: usize = 65536;
    /// Bytes of one line shown unless told.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 4096;
    /// Matches shown unless told.
    pub const DEFAULT_MAX_MATCHES: usize = 100;

    /// With defaults for everything but the task.
    pub fn of(id: TaskId) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// The cursor of one task, and the field that holds it.
    pub(crate) fn cursor_of(&self, id: &TaskId) -> Option<(&'static str, &str)> {
        cursor_of(self.cursor.as_ref(), self.cursors.as_ref(), id)
    }

    /// Refuses what only one document can show.
    pub(crate) fn check_stream(&self) -> Result<()> {
        let given = [
            ("head", self.head.is_some()),
            ("context", self.context.is_some()),
            ("max_matches", self.max_matches.is_some()),
            ("max_bytes", self.max_bytes.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(invalid(
                field,
                "it bounds one document, and a stream gives all that is asked for",
                "Leave it out, or leave --stream and --follow out.",
            )),
            None => Ok(()),
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
            "logs",
            "id; or, with --stream or --follow, ids, a filter (tag, tags, parent_session_id), or all",
            self.id.as_ref(),
            self.ids.as_ref(),
            filter,
            self.all,
        )
    }
}

impl Request for Logs {
    const COMMAND: &'static str = "logs";

    fn check(&self) -> Result<()> {
        let selection = self.selection()?;
        check_cursors(&selection, self.cursor.as_ref(), self.cursors.as_ref())?;
        for (field, value) in [
            ("max_bytes", self.max_bytes),
            ("max_line_bytes", self.max_line_bytes),
            ("max_matches", self.max_matches),
        ] {
            refuse_zero(field, value)?;
        }
        let has_cursor = self.cursor.is_some() || self.cursors.is_some();
        if has_cursor && self.head.is_some() {
            return Err(invalid(
                "head",
                "`head` shows the start of a log, and `cursor` what comes after a place in it",
                "Give one of the two.",
            ));
        }
        if self.grep.is_some() && self.head.is_some() {
            return Err(invalid(
                "head",
                "matches are not lines from the start",
                "Leave head out; max_matches limits a search.",
            ));
        }
        for (field, given) in [
            ("context", self.context.is_some()),
            ("max_matches", self.max_matches.is_some()),
        ] {
            if given && self.grep.is_none() {
                let problem = "it says how matches are shown, and nothing is searched";
                return Err(invalid(
                    field,
                    problem,
                    "Give grep as well, or leave it out.",
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn refuse_zero(field: &str, value: Option<usize>) -> Result<()> {
    if value.is_some_and(|value| value < LEAST) {
        return Err(invalid(
            field,
            "it must be at least 1",
            "Leave it out for the default.",
        ));
    }
    Ok(())
}
