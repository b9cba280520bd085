//! `pause`, `resume` and `signal`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{Filter, select};
use super::{List, OneOrMany, Request, Selection};
use crate::error::Result;
use crate::task::{Recipient, SignalNumber, TaskId, TaskStatus};

/// A request that names one running task, or all that a filter finds.
macro_rules! of_running_tasks {
    ($name:ident, $command:literal, $rename:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = $rename)]
        pub struct $name {
            /// The task; one of the following filters when left out.
            pub id: Option<TaskId>,
            /// The running tasks with this tag; tags do not matter when left out.
            #[schemars(extend("examples" = ["web"]))]
            pub tag: Option<String>,
            /// The running tasks with all of these tags; tags do not matter when left out.
            #[schemars(extend("examples" = [["web", "api"]]))]
            pub tags: Option<Vec<String>>,
            /// The running tasks of this session; sessions do not matter when left out.
            #[serde(alias = "parentSessionId")]
            #[schemars(extend("examples" = ["session-1"]))]
            pub parent_session_id: Option<String>,
            /// Every running task.
            #[serde(default)]
            pub all: bool,
        }

        impl $name {
            /// Which tasks it is about; of a filter only those that run.
            pub(crate) fn selection(&self) -> Result<Selection> {
                let filter = Filter {
                    tag: self.tag.as_ref(),
                    tags: self.tags.as_ref(),
                    parent_session_id: self.parent_session_id.as_ref(),
                };
                running($command, self.id.as_ref(), filter, self.all)
            }
        }

        impl Request for $name {
            const COMMAND: &'static str = $command;

            fn check(&self) -> Result<()> {
                self.selection().map(|_| ())
            }
        }
    };
}

of_running_tasks!(
    Pause,
    "pause",
    "PauseRequest",
    "Have every process of a task stand still, or of all running tasks that a filter finds."
);
of_running_tasks!(
    Resume,
    "resume",
    "ResumeRequest",
    "Have every process of a paused task go on, or of all that a filter finds."
);

fn running(command: &str, id: Option<&TaskId>, filter: Filter<'_>, all: bool) -> Result<Selection> {
    let ways = "id, a filter (tag, tags, parent_session_id), or all";
    let only_running = |list| List {
        status: Some(OneOrMany(vec![TaskStatus::Running])),
        ..list
    };
    Ok(match select(command, ways, id, None, filter, all)? {
        Selection::Matching(list) => Selection::Matching(only_running(list)),
        Selection::All => Selection::Matching(only_running(List::default())),
        named => named,
    })
}

/// Send a signal to a running task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignalRequest")]
pub struct Signal {
    /// The task.
    pub id: TaskId,
    /// The signal.
    pub signal: SignalNumber,
    /// Which of its processes get it.
    #[serde(default)]
    pub to: Recipient,
}

impl Request for Signal {
    const COMMAND: &'static str = "signal";
}
