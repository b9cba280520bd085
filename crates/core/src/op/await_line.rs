//! `wait` for a line of a log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::follow::{Follow, Greeting, Plan, Stream};
use super::history::{Begin, Wanted};
use super::logs::last_lines;
use super::wait::many_timed_out;
use crate::client::find;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::event::{Frame, FrameData, FrameSink, Outlet};
use crate::log::{Look, Pattern, View};
use crate::request::{
    LineMatch, Logs, Selection, StreamChoice, TaskAnswer, Wait, WaitAnswer, WaitManyAnswer,
    WaitMode, WaitOutcome, cursor_of,
};
use crate::store::Home;
use crate::task::{Task, TaskId};

/// Waits until tasks, all or any of them, have written a line that matches.
pub(super) fn wait_for_line(
    home: &Home,
    request: &Wait,
    ids: &[TaskId],
    single: bool,
    pattern: &Pattern,
    deadline: Deadline,
) -> Result<WaitAnswer> {
    let selection = Selection::Many(ids.to_vec());
    let wanted = || Wanted {
        streams: StreamChoice::All,
        look: Look {
            view: View::Clean,
            max_line_bytes: Logs::DEFAULT_MAX_LINE_BYTES,
        },
        since: None,
        until: None,
        pattern: Some(pattern.clone()),
        most: None,
        events: true,
        ends_with_task: true,
        translate: None,
        include: Vec::new(),
    };
    let plan = Plan {
        home,
        selection: &selection,
        begin: &|id| begin(request, id),
        wanted: &wanted,
        greeting: Greeting::Nothing,
    };
    let mut stream = Stream::open(plan, ids)?;
    let mut seen = Seen {
        count: ids.len(),
        mode: request.mode,
        found: BTreeMap::new(),
        ended: BTreeSet::new(),
    };
    let follow = Follow::On {
        deadline,
        output: None,
    };
    let _ = stream.run(follow, &mut Outlet::new(&mut seen))?;
    if seen.is_enough() {
        return answer(home, ids, single, seen.found);
    }
    // An end that was behind its cursor is not told again.
    let over = stream.histories().filter(|history| history.terminal_given);
    let over = over.map(|history| history.id.clone());
    seen.ended
        .extend(over.filter(|id| !seen.found.contains_key(id)));
    // Whoever is over without a terminal frame has been started anew or removed.
    let is_hopeless = seen.is_hopeless() || !deadline.has_passed();
    // Where the search has got to, which may be before the end of the log by now.
    let places: BTreeMap<TaskId, String> = stream
        .histories()
        .map(|history| (history.id.clone(), history.cursor()))
        .collect();
    if !single && !is_hopeless {
        let pending: Vec<TaskId> = ids
            .iter()
            .filter(|id| !seen.found.contains_key(*id))
            .cloned()
            .collect();
        let done = tasks(home, seen.found.keys())?;
        let cursors = places.into_iter().filter(|(id, _)| pending.contains(id));
        let cursors: Map<String, Value> = cursors
            .map(|(id, cursor)| (id.to_string(), cursor.into()))
            .collect();
        let error = many_timed_out(home, &done, &pending, "written a line that matches");
        return Err(error.with("cursors", cursors));
    }
    let culprit = ids
        .iter()
        .find(|id| seen.ended.contains(*id))
        .or_else(|| ids.iter().find(|id| !seen.found.contains_key(*id)))
        .unwrap_or(&ids[0]);
    let observed = find(home, culprit)?;
    let task = observed.task();
    let logs = last_lines(home, &observed)?;
    let cursor = places.get(culprit).unwrap_or(&logs.cursor).clone();
    let error = if is_hopeless {
        Error::not_running(
            format!("{culprit} ended before a line matched"),
            "details.task tells how it ended (reason, problem), details.logs hold its last lines.",
        )
    } else {
        Error::timed_out(format!(
            "no line of {culprit} has matched in the time to wait"
        ))
    };
    Err(error
        .with_task(&task)
        .with("logs", json!(logs))
        .with("cursor", cursor))
}

fn begin(request: &Wait, id: &TaskId) -> Begin {
    match cursor_of(request.cursor.as_ref(), request.cursors.as_ref(), id) {
        Some((field, cursor)) => Begin::Behind(field, cursor.to_owned()),
        None => Begin::PresentRun,
    }
}

fn tasks<'a>(home: &Home, ids: impl Iterator<Item = &'a TaskId>) -> Result<Vec<Task>> {
    ids.map(|id| Ok(find(home, id)?.task())).collect()
}

fn answer(
    home: &Home,
    ids: &[TaskId],
    single: bool,
    mut found: BTreeMap<TaskId, LineMatch>,
) -> Result<WaitAnswer> {
    if single {
        let observed = find(home, &ids[0])?;
        return Ok(WaitAnswer::One {
            logs: last_lines(home, &observed)?,
            answer: Box::new(TaskAnswer::of(observed.task())),
            r#match: found.remove(&ids[0]),
        });
    }
    let pending: Vec<TaskId> = ids
        .iter()
        .filter(|id| !found.contains_key(*id))
        .cloned()
        .collect();
    Ok(WaitAnswer::Many(WaitManyAnswer {
        outcome: if pending.is_empty() {
            WaitOutcome::Reached
        } else {
            WaitOutcome::Partial
        },
        tasks: tasks(home, found.keys())?,
        pending,
        matches: Some(found),
    }))
}

/// What has come by.
struct Seen {
    count: usize,
    mode: WaitMode,
    found: BTreeMap<TaskId, LineMatch>,
    ended: BTreeSet<TaskId>,
}

impl Seen {
    fn is_enough(&self) -> bool {
        match self.mode {
            WaitMode::All => self.found.len() == self.count,
            WaitMode::Any => !self.found.is_empty(),
        }
    }

    fn is_hopeless(&self) -> bool {
        match self.mode {
            WaitMode::All => !self.ended.is_empty(),
            WaitMode::Any => self.ended.len() == self.count,
        }
    }
}

impl FrameSink for Seen {
    fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        let id = frame.task_id.as_ref();
        if let FrameData::Line(line) = &frame.data {
            self.found.entry(id.clone()).or_insert_with(|| LineMatch {
                line: line.line.to_string(),
                number: line.number,
                cursor: frame.cursor.to_string(),
            });
        } else if frame.is_terminal() && !self.found.contains_key(id) {
            self.ended.insert(id.clone());
        }
        if self.is_enough() || self.is_hopeless() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
