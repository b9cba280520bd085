//! `events` and the streams: what happened to tasks, their log lines among it, in order.

use std::collections::BTreeMap;

use serde_json::json;

use super::follow::{Follow, Greeting, Plan, Stream};
use super::history::{Begin, Collected, Wanted};
use super::list::selected;
use super::logs::merged;
use crate::client::{Client, not_found};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::{FrameSink, OpenTranslator, Outlet};
use crate::log::{Look, Pattern};
use crate::request::{Events, EventsAnswer, Include, Logs, Selection, StreamChoice, cursor_of};
use crate::store::Home;
use crate::task::TaskId;

/// Shows what happened to tasks.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::CommandInput`] for a cursor that does not fit;
/// [`crate::Error::Store`] when a log cannot be read.
pub fn events(client: &Client, request: &Events) -> Result<EventsAnswer> {
    let mut collected = Collected::default();
    let mut total = 0;
    with_stream(
        client,
        &Asked::of_events(client, request)?,
        false,
        &mut |stream| {
            let mut outlet = Outlet::new(&mut collected);
            if stream.greet(&mut outlet)?.is_continue() {
                let _all = stream.run(Follow::No, &mut outlet)?;
            }
            for history in stream.histories() {
                total += history.total()?;
            }
            Ok(())
        },
    )?;
    Ok(EventsAnswer {
        task_id: request.id.clone(),
        total,
        frames: collected.0,
    })
}

/// Streams what [`events`] shows, and goes on with what happens, as `follow` says.
///
/// # Errors
/// As [`events`].
pub fn stream_events(
    client: &Client,
    request: &Events,
    follow: Follow<'_>,
    sink: &mut dyn FrameSink,
) -> Result<()> {
    let asked = Asked::of_events(client, request)?;
    with_stream(client, &asked, is_live(follow), &mut |stream| {
        let mut outlet = Outlet::new(&mut *sink);
        if stream.greet(&mut outlet)?.is_continue()
            && stream.run(follow, &mut outlet)?.is_continue()
        {
            let _ = outlet.flush();
        }
        Ok(())
    })
}

/// Streams log lines between `task.logs.started` and `task.logs.completed`.
///
/// # Errors
/// As [`events`].
pub fn stream_logs(
    client: &Client,
    request: &Logs,
    follow: Follow<'_>,
    sink: &mut dyn FrameSink,
) -> Result<()> {
    request.check_stream()?;
    let asked = Asked::of_logs(request)?;
    with_stream(client, &asked, is_live(follow), &mut |stream| {
        let mut outlet = Outlet::new(&mut *sink);
        if stream.greet(&mut outlet)?.is_break() {
            return Ok(());
        }
        if stream.run(follow, &mut outlet)?.is_break() {
            return Ok(());
        }
        for history in stream.histories() {
            let shown = history.lines_given;
            let facts = json!({ "task_id": history.id, "shown_lines": shown });
            if history
                .tell("task.logs.completed", facts, &mut outlet)
                .is_break()
            {
                return Ok(());
            }
        }
        let _ = outlet.flush();
        Ok(())
    })
}

fn is_live(follow: Follow<'_>) -> bool {
    matches!(follow, Follow::On { .. })
}

/// What a request for a stream comes to.
struct Asked<'a> {
    selection: Selection,
    lines: Option<usize>,
    cursor: Option<&'a String>,
    cursors: Option<&'a BTreeMap<TaskId, String>>,
    is_about_events: bool,
    streams: StreamChoice,
    look: Look,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    pattern: Option<Pattern>,
    translate: Option<OpenTranslator>,
    include: Vec<Include>,
}

impl<'a> Asked<'a> {
    fn of_events(client: &Client, request: &'a Events) -> Result<Self> {
        Ok(Self {
            selection: request.selection()?,
            lines: request.lines,
            cursor: request.cursor.as_ref(),
            cursors: request.cursors.as_ref(),
            is_about_events: true,
            streams: StreamChoice::All,
            look: look(request.view, request.max_line_bytes),
            since: None,
            until: None,
            pattern: None,
            translate: client.translators(),
            include: request.include.clone(),
        })
    }

    fn of_logs(request: &'a Logs) -> Result<Self> {
        let now = Timestamp::now();
        let grep = request.grep.as_deref();
        Ok(Self {
            selection: request.selection()?,
            lines: request.lines,
            cursor: request.cursor.as_ref(),
            cursors: request.cursors.as_ref(),
            is_about_events: false,
            streams: request.stream,
            look: look(request.view, request.max_line_bytes),
            since: request.since.map(|moment| moment.resolve(now)),
            until: request.until.map(|moment| moment.resolve(now)),
            pattern: grep
                .map(|text| Pattern::compile("grep", text))
                .transpose()?,
            translate: None,
            include: Vec::new(),
        })
    }

    fn begin(&self, id: &TaskId) -> Begin {
        match cursor_of(self.cursor, self.cursors, id) {
            Some((field, cursor)) => return Begin::Behind(field, cursor.to_owned()),
            None if self.cursors.is_some() => return Begin::Whole,
            None => {}
        }
        match self.lines {
            Some(lines) => Begin::Tail(Some(lines)),
            // Whoever asks for a time or for matches wants all of them.
            None if self.since.is_some() || self.pattern.is_some() => Begin::Start,
            None => Begin::Tail(None),
        }
    }

    fn has_cursor(&self) -> bool {
        self.cursor.is_some() || self.cursors.is_some()
    }

    fn wanted(&self, is_live: bool) -> Wanted {
        Wanted {
            streams: self.streams,
            look: self.look,
            since: self.since,
            until: self.until,
            pattern: self.pattern.clone(),
            // A stream that goes on has no last line.
            most: self.lines.filter(|_| !is_live && self.has_cursor()),
            events: self.is_about_events,
            ends_with_task: is_live,
            translate: self.translate,
            include: self.include.clone(),
        }
    }
}

pub(super) fn look(view: crate::log::View, max_line_bytes: Option<usize>) -> Look {
    Look {
        view,
        max_line_bytes: max_line_bytes.unwrap_or(Logs::DEFAULT_MAX_LINE_BYTES),
    }
}

/// Opens the stream that is asked for.
fn with_stream(
    client: &Client,
    asked: &Asked<'_>,
    is_live: bool,
    use_it: &mut dyn FnMut(&mut Stream<'_>) -> Result<()>,
) -> Result<()> {
    let ids = selected(client, &asked.selection)?;
    let home = home_for(client, &asked.selection, is_live)?;
    let Some(home) = home else { return Ok(()) };
    let plan = Plan {
        home: &home,
        selection: &asked.selection,
        begin: &|id| asked.begin(id),
        wanted: &|| asked.wanted(is_live),
        greeting: if asked.is_about_events {
            Greeting::Snapshot
        } else {
            Greeting::LogsStarted
        },
    };
    let mut stream = Stream::open(plan, &ids)?;
    let is_named = matches!(asked.selection, Selection::One(_) | Selection::Many(_));
    if asked.streams == StreamChoice::Stderr
        && is_named
        && let Some(history) = stream.histories().find(|history| !history.has_stderr())
    {
        return Err(merged(&history.id));
    }
    use_it(&mut stream)
}

/// The home, which has to be there for tasks to join in; `None` when there are none to read of.
fn home_for(client: &Client, selection: &Selection, is_live: bool) -> Result<Option<Home>> {
    match selection {
        Selection::One(id) => client.home_of(id).map(Some),
        Selection::Many(ids) => match client.existing_home()? {
            Some(home) => Ok(Some(home)),
            None => Err(not_found(&ids[0])),
        },
        Selection::Matching(_) | Selection::All if is_live => {
            let home = client.home()?;
            home.make_layout()?;
            Ok(Some(home))
        }
        Selection::Matching(_) | Selection::All => client.existing_home(),
    }
}
