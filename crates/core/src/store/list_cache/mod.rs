//! `list.cache`: the ended tasks as answers show them, so that a `list` need not read each record.
//!
//! The folders are the truth. What the cache says of a task is used only where
//!
//! * it was made during this boot, for this home, by a build that shows tasks in the same way, and
//!   its checksums fit;
//! * the task's folder has still the same name and inode;
//! * nobody has announced a change of the task's record since (see [`changes`]).
//!
//! Everything else is read from the folders. The file may be deleted at any time.

mod beside;
mod changes;
mod fresh;
mod layout;
mod table;
mod texts;
mod writing;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::sys::stat::fstat;

use super::Home;
use super::format::open_for_reading;
use crate::process;
use crate::task::{Task, TaskId};
pub(crate) use beside::FolderState;
use changes::Changes;
pub(crate) use changes::{announce, is_unfinished};
pub(crate) use fresh::{FreshTask, FreshTasks};
pub(crate) use layout::{Entry, Identity};
use layout::{HEAD, Head, checksum};
use table::{Table, folder_key};
pub(crate) use texts::Texts;
pub(crate) use writing::CacheWriter;

/// The file's name in the home.
const NAME: &str = "list.cache";
/// Nothing that is not a checked number is allocated.
const LARGEST_INDEX: u32 = 512 << 20;

/// A cache that fits.
#[derive(Debug)]
pub(crate) struct ListCache {
    file: File,
    count: usize,
    /// The table, then the entries.
    index: Vec<u8>,
    changes: Changes,
    changed: BTreeSet<Vec<u8>>,
    /// Tells it apart from all others.
    mark: u64,
}

impl ListCache {
    /// Opens the cache of a home; `None` when there is none that can be believed.
    pub(crate) fn open(home: &Home) -> Option<Self> {
        // First the cache, then what has changed since.
        let file = open_for_reading(home.as_fd(), NAME).ok()?;
        let stamp = stamp(home)?;
        let mut begin = vec![0; HEAD + stamp.len()];
        file.read_exact_at(&mut begin, 0).ok()?;
        let head = Head::decode(&begin)?;
        let fits = begin[HEAD..] == *stamp.as_bytes()
            && usize::try_from(head.stamp_len) == Ok(stamp.len())
            && head.index_len <= LARGEST_INDEX;
        if !fits {
            return None;
        }
        let mut changes = Changes::open(home.as_fd()).filter(|it| it.token == head.token)?;
        changes.go_to(head.changes)?;
        let mut index = vec![0; head.index_len as usize];
        file.read_exact_at(&mut index, head.index).ok()?;
        let count = usize::try_from(head.count).ok()?;
        if checksum(&index) != head.index_checksum || index.len() < Table::size(count) {
            return None;
        }
        let mut cache = Self {
            file,
            count,
            index,
            changes,
            changed: BTreeSet::new(),
            mark: checksum(&begin),
        };
        let changed = cache.changes.read_on()?;
        cache.note_changed(&changed);
        Some(cache)
    }

    fn note_changed(&mut self, lines: &[u8]) {
        let ids = lines.split(|&byte| byte == b'\n');
        let ids = ids.filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
        self.changed.extend(ids);
    }

    /// How many tasks it holds.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether the cache should be made anew because so much has changed since.
    pub(crate) fn is_outdated(&self) -> bool {
        self.changes.is_long()
    }

    /// The number of the entry of a folder, whether it can still be believed or not.
    pub(crate) fn number(&self, inode: u64, name: &[u8]) -> Option<u32> {
        Table::of(&self.index[..Table::size(self.count)]).find(folder_key(inode, name))
    }

    /// Whether any of its entries are not to be believed any more.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether the entry of this task is not to be believed any more.
    pub(crate) fn has_changed(&self, name: &[u8]) -> bool {
        !self.changed.is_empty() && self.changed.contains(name)
    }

    /// Where each entry is, newest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, Entry<'_>)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (here, entry) = (at, self.entry(at)?);
            at += entry.bytes().len();
            Some((here, entry))
        })
    }

    /// The entry at a place.
    pub(crate) fn entry(&self, at: usize) -> Option<Entry<'_>> {
        Entry::at(self.index.get(Table::size(self.count)..)?.get(at..)?)
    }
}

/// What the texts depend on besides the records.
fn stamp(home: &Home) -> Option<String> {
    let stat = fstat(home).ok()?;
    let boot = process::boot_id().ok()?;
    // What differs between builds of one version is mostly which fields there are.
    let unknown = Task::unknown(TaskId::parse("a").ok()?, PathBuf::new());
    let shape = checksum(&serde_json::to_vec(&unknown).ok()?);
    Some(format!(
        "{}\n{}\n{}:{}\n{boot}\n{shape:016x}",
        env!("CARGO_PKG_VERSION"),
        home.path().display(),
        stat.st_dev,
        stat.st_ino
    ))
}
