//! Tasks that have just been read, in the form in which a cache holds them.

use std::ops::Range;

use super::{Entry, Identity};
use crate::task::Facets;

/// Tasks with their texts, in the order in which they were read.
#[derive(Debug, Default)]
pub(crate) struct FreshTasks {
    entries: Vec<u8>,
    texts: Vec<u8>,
    tasks: Vec<Place>,
}

/// Where a task is in there.
#[derive(Debug)]
struct Place {
    entry: Range<usize>,
    text: Range<usize>,
    can_be_kept: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreshTask<'a> {
    pub(crate) entry: Entry<'a>,
    /// As answers show it.
    pub(crate) text: &'a [u8],
    /// Whether it stays so unless somebody announces a change.
    pub(crate) can_be_kept: bool,
}

impl FreshTasks {
    /// Adds a task whose text `write` appends, which answers whether the task can be kept as well.
    /// `None`, and nothing is added, where it does not answer. Without an identity no task is kept.
    pub(crate) fn add<'t>(
        &mut self,
        inode: u64,
        identity: Option<&Identity>,
        write: impl FnOnce(&mut Vec<u8>) -> Option<(Facets<'t>, bool)>,
    ) -> Option<()> {
        let (entry, text) = (self.entries.len(), self.texts.len());
        let file = identity.copied().unwrap_or_default();
        let added = write(&mut self.texts).and_then(|(facets, can_be_kept)| {
            Entry::encode(&facets, inode, &file, &mut self.entries).map(|()| can_be_kept)
        });
        let Some(can_be_kept) = added else {
            self.entries.truncate(entry);
            self.texts.truncate(text);
            return None;
        };
        self.tasks.push(Place {
            entry: entry..self.entries.len(),
            text: text..self.texts.len(),
            can_be_kept: can_be_kept && identity.is_some(),
        });
        Some(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = FreshTask<'_>> {
        self.tasks.iter().filter_map(|place| {
            Some(FreshTask {
                entry: Entry::at(&self.entries[place.entry.clone()])?,
                text: &self.texts[place.text.clone()],
                can_be_kept: place.can_be_kept,
            })
        })
    }

    /// Makes room for others.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
        self.tasks.clear();
    }
}
