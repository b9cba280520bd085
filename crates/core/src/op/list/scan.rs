//! Looking at every task: what the cache says of it, where that can be believed, else its folder.

use std::path::PathBuf;

use super::filter::{absolute, matches};
use super::page::{Found, Keep, ReadTask, Row};
use crate::error::Result;
use crate::op::position::Positions;
use crate::request::List;
use crate::store::{CacheWriter, Ended, Entry, Home, ListCache, TasksFolder, observe_among_others};
use crate::task::{Task, TaskId};

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
    keep: Keep,
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
pub(super) fn find_page(
    home: &Home,
    request: &List,
    keep: Keep,
    sources: Sources,
) -> Result<Found> {
    let mut scan = Scan {
        home,
        request,
        workdir: absolute(request)?,
        position: request.position()?,
        limit: request.limit.unwrap_or(List::DEFAULT_LIMIT),
        keep,
        total: 0,
        cut: 0,
        read: Vec::new(),
        cached: Vec::new(),
        positions: Positions::of(home),
        writer: None,
    };
    let mut cache = None;
    if let Some(mut folder) = TasksFolder::open(home)? {
        match &request.ids {
            Some(ids) => scan.look_at(&mut folder, ids)?,
            None => cache = scan.look_at_all(&mut folder, sources)?,
        }
    }
    Ok(scan.finish(cache))
}

impl Scan<'_> {
    fn look_at(&mut self, folder: &mut TasksFolder, ids: &[TaskId]) -> Result<()> {
        let mut ids: Vec<&TaskId> = ids.iter().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .try_for_each(|id| self.read(folder, id, None))
    }

    fn look_at_all(
        &mut self,
        folder: &mut TasksFolder,
        sources: Sources,
    ) -> Result<Option<ListCache>> {
        // First the cache, then what is there.
        let mut cache = match sources {
            Sources::CacheAndFolders => ListCache::open(self.home),
            Sources::Folders => None,
        };
        let names = folder.names(self.home)?;
        let place = |inode| cache.as_ref().and_then(|cache| cache.place(inode));
        let places: Vec<Option<usize>> = names.iter().map(|(inode, _)| place(inode)).collect();
        let unknown = places.iter().filter(|place| place.is_none()).count();
        self.writer = CacheWriter::prepare(self.home, cache.as_mut(), unknown);
        for ((inode, name), place) in names.iter().zip(places) {
            let known = place.zip(cache.as_ref()).and_then(|(at, cache)| {
                let entry = cache.find(at, name.as_bytes())?;
                Some((at, entry))
            });
            match known {
                Some((at, entry)) => self.take(at, &entry),
                None => {
                    if let Ok(id) = TaskId::parse(name) {
                        self.read(folder, &id, Some(inode))?;
                    }
                }
            }
        }
        if let Some(writer) = self.writer.take() {
            writer.finish(self.home, cache.as_ref());
        }
        Ok(cache)
    }

    /// A task that the cache knows.
    fn take(&mut self, at: usize, entry: &Entry<'_>) {
        if let Some(writer) = &mut self.writer {
            writer.carry(at, entry.created_at());
        }
        if matches(entry, self.request, self.workdir.as_deref()) {
            self.total += 1;
            if self.is_behind(entry.created_at(), entry.id()) {
                self.cached.push(at);
            }
        }
    }

    /// A task that has to be looked at.
    fn read(&mut self, folder: &mut TasksFolder, id: &TaskId, inode: Option<u64>) -> Result<()> {
        let task = match folder.ended(self.home, id) {
            Some(Ended { task, identity }) => {
                if let (Some(writer), Some(inode), Some(identity)) =
                    (&mut self.writer, inode, identity)
                {
                    writer.add(&task, inode, &identity);
                }
                Some(task)
            }
            // One that was removed meanwhile is not there any more.
            None => observe_among_others(self.home, id)?.map(|observed| observed.task()),
        };
        if let Some(task) = task
            && matches(&task, self.request, self.workdir.as_deref())
        {
            self.found(task);
        }
        Ok(())
    }

    fn found(&mut self, mut task: Task) {
        self.total += 1;
        self.positions.tell(&mut task);
        let found = ReadTask::of(
            task,
            if self.limit > MANY {
                self.keep
            } else {
                Keep::Tasks
            },
        );
        let (created_at, id) = found.order();
        if self.is_behind(created_at, id.as_str()) {
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
        self.cached.sort_unstable();
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
/// Of a larger page the texts are kept, which take less memory.
const MANY: usize = 4096;

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
