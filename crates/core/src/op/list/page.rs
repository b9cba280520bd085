//! The tasks of a page, one after the other.

use std::borrow::Cow;
use std::io;

use super::scan::{Sources, find_page};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::op::position::Positions;
use crate::op::resources::resources;
use crate::request::{List, ListAnswer};
use crate::store::{
    Entry, FreshTask, Home, ListCache, TasksFolder, Texts, observe, observe_among_others,
};
use crate::task::{Task, TaskId};

/// So many tasks are compared with their records before a cache is believed about them. That costs
/// a system call each, and notices also what was changed by hand.
const COMPARED: usize = 1000;

/// A task on the page.
#[derive(Debug)]
pub(super) enum Row {
    /// It has been read.
    Read(ReadTask),
    /// Where the cache has it.
    Cached(usize),
}

impl Row {
    fn cached_in<'a>(&self, cache: &'a ListCache) -> Option<Entry<'a>> {
        match self {
            Self::Cached(at) => cache.entry(*at),
            Self::Read(_) => None,
        }
    }
}

/// A task that has been read.
#[derive(Debug)]
pub(super) struct ReadTask {
    created_at: Option<Timestamp>,
    id: TaskId,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Task(Box<Task>),
    /// As answers show it; it has ended.
    Text(Box<[u8]>),
}

impl ReadTask {
    /// One whose end is on record.
    pub(super) fn ended(task: &FreshTask<'_>) -> Option<Self> {
        Some(Self {
            created_at: Some(Timestamp::from_millis(task.entry.created_at())),
            id: TaskId::parse(task.entry.id()).ok()?,
            shown: Shown::Text(task.text.into()),
        })
    }

    /// Any other.
    pub(super) fn observed(task: Task) -> Self {
        Self {
            created_at: task.created_at,
            id: task.id.clone(),
            shown: Shown::Task(Box::new(task)),
        }
    }

    /// Newest last; unreadable records count as oldest.
    pub(super) fn order(&self) -> (i64, &TaskId) {
        let created_at = self.created_at.map_or(i64::MIN, Timestamp::as_millis);
        (created_at, &self.id)
    }
}

/// What has been found, newest first.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many match, on the page or not.
    pub total: usize,
    /// Whether more come after the page.
    pub has_more: bool,
    pub rows: Vec<Row>,
    pub cache: Option<ListCache>,
}

impl Found {
    /// Whether the cache says of these tasks what their records say.
    fn is_true(&self, home: &Home) -> Result<bool> {
        let Some(cache) = &self.cache else {
            return Ok(true);
        };
        let cached = self.rows.iter().filter_map(|row| match row {
            Row::Cached(at) => Some(*at),
            Row::Read(_) => None,
        });
        let cached: Vec<usize> = cached.take(COMPARED + 1).collect();
        if cached.is_empty() || cached.len() > COMPARED {
            return Ok(true);
        }
        let Some(folder) = TasksFolder::open(home)? else {
            return Ok(false);
        };
        Ok(cached.into_iter().all(|at| {
            let kept = cache.entry(at).map(|entry| (entry.id(), entry.identity()));
            kept.is_some_and(|(id, kept)| kept.is_some() && folder.identity(id) == kept)
        }))
    }
}

/// The page that a `list` asks for.
#[derive(Debug, Default)]
pub struct ListPage {
    home: Option<Home>,
    found: Found,
}

impl ListPage {
    pub(super) fn find(home: Home, request: &List) -> Result<Self> {
        let mut found = find_page(&home, request, Sources::CacheAndFolders)?;
        if !found.is_true(&home)? {
            found = find_page(&home, request, Sources::Folders)?;
        }
        let mut page = Self {
            home: Some(home),
            found,
        };
        if request.resources {
            page.add_resources()?;
        }
        Ok(page)
    }

    /// How many tasks match, on this page or not.
    pub fn total(&self) -> usize {
        self.found.total
    }

    /// How many are on this page.
    pub fn len(&self) -> usize {
        self.found.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.rows.is_empty()
    }

    /// Goes into `after` for the next page; `None` on the last one.
    pub fn next(&self) -> Option<String> {
        let last = self.found.rows.last().filter(|_| self.found.has_more)?;
        let (created_at, id) = match last {
            Row::Read(task) => (task.created_at, task.id.as_str()),
            Row::Cached(at) => {
                let entry = self.found.cache.as_ref()?.entry(*at)?;
                (Some(Timestamp::from_millis(entry.created_at())), entry.id())
            }
        };
        let moment = created_at.map(|at| at.to_string()).unwrap_or_default();
        Some(format!("{moment}/{id}"))
    }

    /// Gives the tasks of the page in pieces that make the inside of a JSON array of [`Task`]s, in
    /// one line.
    ///
    /// # Errors
    /// What `give` answers with.
    pub fn for_each_piece(&self, mut give: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let cache = self.found.cache.as_ref();
        let mut texts = cache.map(|cache| (cache, Texts::of(cache, self.found.rows.len())));
        let mut rows = self.found.rows.as_slice();
        let mut is_first = true;
        while let [first, rest @ ..] = rows {
            let entries = |cache| rows.iter().map_while(move |row| row.cached_in(cache));
            let run = texts.as_mut();
            let run = run.and_then(|(cache, texts)| texts.run(entries(*cache)));
            let task;
            let (is_separate, text, count) = match run {
                // In one piece, if that can be.
                Some(run) => match run.behind_another.filter(|_| !is_first) {
                    Some(texts) => (false, texts, run.count),
                    None => (!is_first, run.texts, run.count),
                },
                None => match self.text_of(first)? {
                    Some(text) => {
                        task = text;
                        (!is_first, &*task, 1)
                    }
                    None => {
                        rows = rest;
                        continue;
                    }
                },
            };
            if is_separate {
                give(b",")?;
            }
            give(text)?;
            is_first = false;
            rows = &rows[count..];
        }
        Ok(())
    }

    /// The text of a task that the cache does not give. `None` when it was removed meanwhile.
    fn text_of<'a>(&self, row: &'a Row) -> io::Result<Option<Cow<'a, [u8]>>> {
        let loaded;
        let task = match row {
            Row::Read(ReadTask {
                shown: Shown::Text(text),
                ..
            }) => return Ok(Some(Cow::Borrowed(text))),
            Row::Read(ReadTask {
                shown: Shown::Task(task),
                ..
            }) => Some(&**task),
            Row::Cached(at) => {
                loaded = self.load_cached(*at);
                loaded.as_ref()
            }
        };
        Ok(task.map(serde_json::to_vec).transpose()?.map(Cow::Owned))
    }

    /// A task that the cache only knows where to find. `None` when it was removed meanwhile.
    fn load_cached(&self, at: usize) -> Option<Task> {
        let entry = self.found.cache.as_ref()?.entry(at)?;
        self.load(&TaskId::parse(entry.id()).ok()?)
    }

    fn load(&self, id: &TaskId) -> Option<Task> {
        let home = self.home.as_ref()?;
        let mut task = observe_among_others(home, id).ok()??.task();
        Positions::of(home).tell(&mut task);
        Some(task)
    }

    fn add_resources(&mut self) -> Result<()> {
        let tasks = self.take_tasks();
        if let Some(home) = &self.home {
            for mut task in tasks {
                // It takes several looks at each process.
                let observed = observe(home, &task.id)?;
                task.resources = Some(observed.as_ref().and_then(resources));
                self.found.rows.push(Row::Read(ReadTask::observed(task)));
            }
        }
        Ok(())
    }

    pub(super) fn into_answer(mut self) -> ListAnswer {
        let next = self.next();
        ListAnswer {
            total: self.found.total,
            tasks: self.take_tasks(),
            next,
        }
    }

    /// The tasks as values.
    fn take_tasks(&mut self) -> Vec<Task> {
        let rows = std::mem::take(&mut self.found.rows);
        let task = |row| match row {
            Row::Read(ReadTask { id, shown, .. }) => match shown {
                Shown::Task(task) => Some(*task),
                Shown::Text(_) => self.load(&id),
            },
            Row::Cached(at) => self.load_cached(at),
        };
        rows.into_iter().filter_map(task).collect()
    }
}
