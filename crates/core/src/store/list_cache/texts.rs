//! Reading the texts of a cache.

use super::layout::{Place, SEPARATOR, checksum};
use super::writing::LONGEST_TEXT;
use super::{Entry, ListCache};
use std::os::unix::fs::FileExt;

/// How much is read at once where much is wanted.
const CHUNK: usize = 256 << 10;

/// Reads texts; they are mostly asked for in the order in which they are.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    cache: &'a ListCache,
    chunk: Vec<u8>,
    begin: u64,
    /// How much is read ahead.
    ahead: usize,
}

/// Texts that lie together, with commas in between.
#[derive(Debug)]
pub(crate) struct Run<'t> {
    pub(crate) texts: &'t [u8],
    /// The same with a comma in front, where one is there.
    pub(crate) behind_another: Option<&'t [u8]>,
    /// How many they are.
    pub(crate) count: usize,
}

impl<'a> Texts<'a> {
    /// `wanted`: about how many will be asked for.
    pub(crate) fn of(cache: &'a ListCache, wanted: usize) -> Self {
        Self {
            cache,
            chunk: Vec::new(),
            begin: 0,
            ahead: wanted.saturating_mul(1024).min(CHUNK),
        }
    }

    /// The text of an entry; `None` when it is damaged.
    pub(crate) fn get(&mut self, entry: &Entry<'_>) -> Option<&[u8]> {
        let run = self.run(std::iter::once(*entry))?;
        Some(run.texts)
    }

    /// The texts of as many of these entries as lie together. `None` when the first one is damaged.
    pub(crate) fn run<'e>(&mut self, entries: impl Iterator<Item = Entry<'e>>) -> Option<Run<'_>> {
        let (mut begin, mut end, mut count) = (0, 0, 0);
        for entry in entries {
            let Some(place) = entry.place() else { break };
            let len = place.len as usize;
            if count == 0 && len <= LONGEST_TEXT && self.position(&place).is_none() {
                // With what is in front of it.
                self.fill(place.offset.saturating_sub(1), len + 1);
            }
            let Some(at) = self.position(&place) else {
                break;
            };
            let is_next = at == end + 1 && self.chunk[end] == SEPARATOR;
            if count > 0 && !is_next || checksum(&self.chunk[at..at + len]) != place.checksum {
                break;
            }
            if count == 0 {
                begin = at;
            }
            end = at + len;
            count += 1;
        }
        if count == 0 {
            return None;
        }
        let is_behind_another = begin > 0 && self.chunk[begin - 1] == SEPARATOR;
        Some(Run {
            texts: &self.chunk[begin..end],
            behind_another: is_behind_another.then(|| &self.chunk[begin - 1..end]),
            count,
        })
    }

    /// Where in the chunk a text is, if it is in there.
    fn position(&self, place: &Place) -> Option<usize> {
        let at = usize::try_from(place.offset.checked_sub(self.begin)?).ok()?;
        (at.checked_add(place.len as usize)? <= self.chunk.len()).then_some(at)
    }

    fn fill(&mut self, offset: u64, len: usize) {
        self.begin = offset;
        self.chunk.resize(self.ahead.max(len), 0);
        let mut filled = 0;
        while filled < self.chunk.len() {
            let place = offset + filled as u64;
            match self.cache.file.read_at(&mut self.chunk[filled..], place) {
                Ok(n) if n > 0 => filled += n,
                _ => break,
            }
        }
        self.chunk.truncate(filled);
    }
}
