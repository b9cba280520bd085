//! Looking at every task: what the cache says of it, where that can be believed, else its folder.

use std::path::PathBuf;

use super::filter::{Listed, absolute, matches};
use super::page::{Found, ReadTask, Row};
use super::present::{Present, Sorted};
use super::reading::{Portion, Unread, read_all};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::op::position::Positions;
use crate::request::List;
use crate::store::{CacheWriter, Entry, Home, ListCache, TasksFolder, observe_among_others};
use crate::task::TaskId;

/// Where a page is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// In what an earlier `list` has kept as well.
    CacheAndFolders,
    /// In the folders alone; what is kept is made anew.
    Folders,
}

/// What is looked for, and what has been found.
struct Scan<'a> {
    home: &'a Home,
    request: &'a List,
    workdir: Option<PathBuf>,
    position: Option<(i64, TaskId)>,
    limit: usize,
    /// Those that match, on the page or not.
    total: usize,
    /// Of those behind the position: how many were left out before the page was complete.
    cut: usize,
    read: Vec<ReadTask>,
    cached: Vec<usize>,
    positions: Positions<'a>,
    writer: Option<CacheWriter>,
}

/// Finds the page that is asked for.
pub(super) fn find_page(home: &Home, request: &List, sources: Sources) -> Result<Found> {
    let mut scan = Scan {
        home,
        request,
        workdir: absolute(request)?,
        position: request.position()?,
        limit: request.limit.unwrap_or(List::DEFAULT_LIMIT),
        total: 0,
        cut: 0,
        read: Vec::new(),
        cached: Vec::new(),
        positions: Positions::of(home),
        writer: None,
    };
    let mut cache = None;
    if let Some(folder) = TasksFolder::open(home)? {
        match &request.ids {
            Some(ids) => scan.look_at(folder, ids)?,
            None => cache = scan.look_at_all(folder, sources)?,
        }
    }
    Ok(scan.finish(cache))
}

impl Scan<'_> {
    fn look_at(&mut self, folder: TasksFolder, ids: &[TaskId]) -> Result<()> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let (home, count) = (self.home, ids.len());
        let tasks = ids.into_iter().map(|id| Unread { id, inode: None });
        read_all(home, folder, count, tasks, |portion| self.read(portion))
    }

    fn look_at_all(&mut self, folder: TasksFolder, sources: Sources) -> Result<Option<ListCache>> {
        // First the cache, then what is there.
        let mut cache = match sources {
            Sources::CacheAndFolders => ListCache::open(self.home),
            Sources::Folders => None,
        };
        let present = Present::look(self.home, &folder, cache.as_ref())?;
        self.writer = CacheWriter::prepare(self.home, cache.as_mut(), present.unknown());
        let Sorted { known, unread } = present.sort(cache.as_ref());
        if let (Some(cache), None) = (&cache, &self.writer) {
            present.note(self.home, cache, &known);
        }
        let is_kept = self.writer.is_some();
        let (home, count) = (self.home, unread.len());
        let tasks = unread.into_iter().filter_map(|(inode, name)| {
            // Anything may lie there.
            let id = TaskId::parse(std::str::from_utf8(name).ok()?).ok()?;
            let inode = is_kept.then_some(inode);
            Some(Unread { id, inode })
        });
        read_all(home, folder, count, tasks, |portion| self.read(portion))?;
        if let Some(cache) = &cache {
            let entries = cache.entries().zip(known);
            for ((at, entry), _) in entries.filter(|(_, is_known)| *is_known) {
                self.take(at, &entry);
            }
        }
        if let Some(writer) = self.writer.take() {
            writer.finish(self.home, cache.as_ref());
        }
        Ok(cache)
    }

    /// A task that the cache knows; the newest comes first.
    fn take(&mut self, at: usize, entry: &Entry<'_>) {
        if let Some(writer) = &mut self.writer {
            writer.carry(at, entry.created_at());
        }
        if matches(entry, self.request, self.workdir.as_deref()) {
            self.total += 1;
            // One more than fit tells that there are more.
            let fits = self.cached.len() <= self.limit;
            if fits && self.is_behind(entry.created_at(), entry.id()) {
                self.cached.push(at);
            }
        }
    }

    /// Tasks that have been read.
    fn read(&mut self, portion: &Portion) -> Result<()> {
        for task in portion.ended.iter() {
            if let Some(writer) = &mut self.writer {
                writer.add(&task);
            }
            let (created_at, id) = (task.entry.created_at(), task.entry.id());
            self.found(&task.entry, created_at, id, || ReadTask::ended(&task));
        }
        for id in &portion.others {
            // One that was removed meanwhile is not there any more.
            if let Some(observed) = observe_among_others(self.home, id)? {
                let mut task = observed.task();
                self.positions.tell(&mut task);
                let created_at = task.created_at.map_or(i64::MIN, Timestamp::as_millis);
                self.found(&task, created_at, id.as_str(), || {
                    Some(ReadTask::observed(task.clone()))
                });
            }
        }
        Ok(())
    }

    fn found(
        &mut self,
        task: &impl Listed,
        created_at: i64,
        id: &str,
        read: impl FnOnce() -> Option<ReadTask>,
    ) {
        if !matches(task, self.request, self.workdir.as_deref()) {
            return;
        }
        self.total += 1;
        if let Some(found) = self.is_behind(created_at, id).then(read).flatten() {
            self.read.push(found);
            if self.read.len() > self.limit.saturating_add(SLACK) {
                self.cut();
            }
        }
    }

    /// Whether a task comes after those of the pages before.
    fn is_behind(&self, created_at: i64, id: &str) -> bool {
        let last = self.position.as_ref();
        last.is_none_or(|(at, last)| (created_at, id) < (*at, last.as_str()))
    }

    /// Drops what is not on the page.
    fn cut(&mut self) {
        if self.read.len() > self.limit {
            self.read
                .select_nth_unstable_by(self.limit, |a, b| b.order().cmp(&a.order()));
            self.cut += self.read.len() - self.limit;
            self.read.truncate(self.limit);
        }
    }

    /// Puts the newest first.
    fn finish(mut self, cache: Option<ListCache>) -> Found {
        let behind = self.cut + self.read.len() + self.cached.len();
        self.cut();
        self.read.sort_unstable_by(|a, b| b.order().cmp(&a.order()));
        // The entries of the cache are in this order already.
        self.cached.truncate(self.limit);
        Found {
            total: self.total,
            has_more: behind > self.limit,
            rows: merge(self.read, self.cached, cache.as_ref(), self.limit),
            cache,
        }
    }
}

/// How many more than fit the page are kept for a while.
const SLACK: usize = 1024;

fn merge(
    read: Vec<ReadTask>,
    cached: Vec<usize>,
    cache: Option<&ListCache>,
    limit: usize,
) -> Vec<Row> {
    let mut read = read.into_iter().peekable();
    let mut merged = Vec::with_capacity(limit.min(read.len() + cached.len()));
    for at in cached {
        let Some(entry) = cache.and_then(|cache| cache.entry(at)) else {
            continue;
        };
        let is_newer = |found: &ReadTask| {
            let (created_at, id) = found.order();
            (created_at, id.as_str()) > (entry.created_at(), entry.id())
        };
        while let Some(found) = read.next_if(is_newer) {
            merged.push(Row::Read(found));
        }
        merged.push(Row::Cached(at));
    }
    merged.extend(read.map(Row::Read));
    merged.truncate(limit);
    merged
}
