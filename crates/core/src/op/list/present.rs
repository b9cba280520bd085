//! Which tasks there are: those that the cache knows, and those that have to be read.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::store::{FolderState, Home, ListCache, Names, TasksFolder};

/// The folder of tasks as it was looked at.
pub(super) struct Present {
    state: Option<FolderState>,
    /// Whether no name has come or gone since that was noted. Then these are only those which the
    /// cache does not have.
    is_unchanged: bool,
    names: Names,
    /// Of each name, the number of its entry in the cache.
    numbers: Vec<Option<u32>>,
}

/// What the cache knows, and what it does not.
pub(super) struct Sorted<'a> {
    /// Of each entry of the cache, whether it can be believed.
    pub known: Vec<bool>,
    /// Inode and name of the others.
    pub unread: Vec<(u64, &'a [u8])>,
}

impl Present {
    pub(super) fn look(
        home: &Home,
        folder: &TasksFolder,
        cache: Option<&ListCache>,
    ) -> Result<Self> {
        // Before the names are read: who comes or goes meanwhile is found out next time.
        let state = cache.and_then(|_| folder.state());
        let noted = cache.zip(state.as_ref());
        let noted = noted.and_then(|(cache, state)| cache.names_beside(home, state));
        let is_unchanged = noted.is_some();
        let names = noted.map_or_else(|| folder.names(home), Ok)?;
        let number = |(inode, name)| cache.and_then(|cache| cache.number(inode, name));
        let numbers = names.iter().map(number).collect();
        Ok(Self {
            state,
            is_unchanged,
            names,
            numbers,
        })
    }

    /// How many the cache does not have.
    pub(super) fn unknown(&self) -> usize {
        self.numbers.iter().filter(|it| it.is_none()).count()
    }

    pub(super) fn sort<'a>(&'a self, cache: Option<&'a ListCache>) -> Sorted<'a> {
        let mut known = vec![self.is_unchanged; cache.map_or(0, ListCache::len)];
        let mut unread = Vec::new();
        let has_changed = |name| cache.is_some_and(|cache| cache.has_changed(name));
        for ((inode, name), number) in self.names.iter().zip(&self.numbers) {
            let known = number.and_then(|number| known.get_mut(number as usize));
            match known.filter(|_| !has_changed(name)) {
                Some(known) => *known = true,
                None => unread.push((inode, name)),
            }
        }
        // What the folder has was not asked then.
        if let Some(cache) = cache.filter(|cache| self.is_unchanged && cache.has_changes()) {
            let noted: BTreeSet<&[u8]> = self.names.iter().map(|(_, name)| name).collect();
            for ((_, entry), known) in cache.entries().zip(&mut known) {
                let name = entry.id_bytes();
                if cache.has_changed(name) {
                    *known = false;
                    // One that was removed and started anew is noted with its new folder.
                    if !noted.contains(name) {
                        unread.push((entry.folder().unwrap_or(0), name));
                    }
                }
            }
        }
        Sorted { known, unread }
    }

    /// Notes for the next time which names the cache does not have. Every entry of it must be that of
    /// a name in there, or be known to have changed: nothing else will tell that its task is gone.
    pub(super) fn note(&self, home: &Home, cache: &ListCache, known: &[bool]) {
        let Some(state) = self.state.as_ref().filter(|_| !self.is_unchanged) else {
            return;
        };
        let mut entries = cache.entries().zip(known);
        if entries.all(|((_, entry), known)| *known || cache.has_changed(entry.id_bytes())) {
            let beside = self.names.iter().zip(&self.numbers);
            let beside = beside.filter(|(_, number)| number.is_none());
            let beside = beside.map(|(name, _)| name);
            cache.note_beside(home, state, self.names.len(), beside);
        }
    }
}
