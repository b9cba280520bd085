//! Reading the texts of a cache.

use super::layout::Place;
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
        let Place { offset, len, crc } = entry.place()?;
        let len = len as usize;
        if len > super::writing::LONGEST_TEXT {
            return None;
        }
        if self.position(offset, len).is_none() {
            self.fill(offset, len);
        }
        let at = self.position(offset, len)?;
        let text = &self.chunk[at..at + len];
        (crc32fast::hash(text) == crc).then_some(text)
    }

    fn position(&self, offset: u64, len: usize) -> Option<usize> {
        let at = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        (at.checked_add(len)? <= self.chunk.len()).then_some(at)
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
