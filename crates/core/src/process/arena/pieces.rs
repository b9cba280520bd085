//! Pieces of the arena that are used again.
//!
//! There is a list of free pieces for each of a few sizes, linked through the pieces themselves. What
//! was never in use, or has gone back to the kernel, begins at `next`.

use std::ops::{Range, RangeInclusive};

use super::SIZE;

/// The sizes of pieces. Whatever is larger comes from the system, and goes back to it.
const SIZES: [usize; 16] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096,
];
pub(super) const PAGE: usize = 4096;

/// No piece: the end of a list. The memory is smaller than this.
const END: u32 = u32::MAX;

/// What is in use of the arena's memory. Places in it are told by their offset.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Nothing before is among these pieces.
    begin: usize,
    /// Nothing from here on is.
    end: usize,
    /// Nothing from here on is in use.
    next: usize,
    /// The first free piece of each size.
    free: [u32; SIZES.len()],
    /// How many pieces in use each page has a part of.
    in_use: [u16; SIZE / PAGE + 1],
}

/// Which of the sizes is the smallest that is enough.
fn kind_of(size: usize) -> Option<usize> {
    SIZES.iter().position(|&enough| size <= enough)
}

/// Whether both are served by pieces of one size.
pub(super) fn have_one_size(one: usize, other: usize) -> bool {
    kind_of(one).is_some_and(|kind| kind_of(other) == Some(kind))
}

impl Pieces {
    /// There are none yet.
    pub(super) const NONE: Self = Self {
        begin: SIZE,
        end: SIZE,
        next: SIZE,
        free: [END; SIZES.len()],
        in_use: [0; SIZE / PAGE + 1],
    };

    /// There may be some in this part of the memory, of which nothing is in use; returns where the
    /// first will begin.
    pub(super) fn lie_in(&mut self, part: Range<usize>) -> usize {
        self.begin = part.start.next_multiple_of(SIZES[0]).min(part.end);
        self.end = part.end;
        self.next = self.begin;
        self.begin
    }

    /// A piece that nobody uses; `None` when there is no room, or it is too large.
    ///
    /// # Safety
    /// `memory` is that of all these pieces.
    pub(super) unsafe fn take(&mut self, memory: *mut u8, size: usize) -> Option<usize> {
        let kind = kind_of(size)?;
        let begin = if self.free[kind] == END {
            let begin = self.next;
            self.next = begin
                .checked_add(SIZES[kind])
                .filter(|&next| next <= self.end)?;
            begin
        } else {
            let begin = self.free[kind] as usize;
            // SAFETY: a free piece holds the next of its list.
            self.free[kind] = unsafe { link(memory, begin).read() };
            begin
        };
        for page in pages(memory, begin, SIZES[kind]) {
            self.in_use[page] += 1;
        }
        Some(begin)
    }

    /// Takes a piece back.
    ///
    /// # Safety
    /// `memory` is that of all these pieces; the piece was taken with a size of the same kind, and is
    /// given back once.
    pub(super) unsafe fn give(&mut self, memory: *mut u8, begin: usize, size: usize) {
        let Some(kind) = kind_of(size) else {
            return;
        };
        for page in pages(memory, begin, SIZES[kind]) {
            self.in_use[page] -= 1;
        }
        // SAFETY: inside of the piece, which nobody uses any more.
        unsafe { link(memory, begin).write(self.free[kind]) };
        self.free[kind] = u32::try_from(begin).unwrap_or(END);
    }

    /// Forgets what lies behind the last page in use; returns the whole pages of it that have been in
    /// use before.
    ///
    /// # Safety
    /// `memory` is that of all these pieces.
    #[cfg(any(target_os = "linux", test))]
    pub(super) unsafe fn shrink(&mut self, memory: *mut u8) -> Range<usize> {
        let shift = memory.addr() % PAGE;
        let behind_use = match self.in_use.iter().rposition(|&pieces| pieces > 0) {
            Some(page) => (page + 1) * PAGE - shift,
            None => 0,
        };
        let cut = behind_use.clamp(self.begin, self.next);
        let mut next = cut;
        for (first, size) in self.free.iter_mut().zip(SIZES) {
            let mut kept = END;
            let mut at = *first;
            while at != END {
                let begin = at as usize;
                let link = link(memory, begin);
                // SAFETY: a free piece holds the next of its list, and nobody uses it.
                let following = unsafe { link.replace(kept) };
                if begin < cut {
                    kept = at;
                    next = next.max(begin + size);
                }
                at = following;
            }
            *first = kept;
        }
        let end = std::mem::replace(&mut self.next, next);
        let begin = (next + shift).next_multiple_of(PAGE) - shift;
        let end = (end + shift).next_multiple_of(PAGE) - shift;
        // What else lies in the page in which the memory ends is not ours.
        let end = if end > self.end { end - PAGE } else { end };
        begin..end.max(begin)
    }
}

/// Where a free piece says which is the next of its list.
fn link(memory: *mut u8, begin: usize) -> *mut u32 {
    memory.wrapping_add(begin).cast()
}

/// The pages that a piece has a part of.
fn pages(memory: *mut u8, begin: usize, size: usize) -> RangeInclusive<usize> {
    let begin = memory.addr() % PAGE + begin;
    begin / PAGE..=(begin + size - 1) / PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Memory([u8; SIZE + PAGE]);

    /// Pieces of pseudo-random sizes come and go: none overlaps another, and what is told to be
    /// unused is in no piece and in no list.
    #[test]
    fn pieces_are_apart_and_what_is_given_back_is_in_none() {
        for shift in [0, 0x460] {
            let mut space = Box::new(Memory([0; SIZE + PAGE]));
            let memory = space.0[shift..].as_mut_ptr();
            let mut pieces = Pieces::NONE;
            assert_eq!(pieces.lie_in(100..SIZE), 112);
            let mut held: Vec<(usize, usize, u8)> = Vec::new();
            let mut state = 7_u32;
            let mut random = |below: usize| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as usize % below
            };
            let mut forgotten = 0;
            for turn in 0..20_000 {
                // SAFETY: the memory is that of these pieces, which are used within their sizes.
                unsafe {
                    // It grows and shrinks in waves.
                    let wanted = if turn / 1000 % 2 == 0 { 60 } else { 3 };
                    if held.len() < wanted {
                        let size = 1 + random(if turn % 50 == 0 { 4096 } else { 300 });
                        if let Some(begin) = pieces.take(memory, size) {
                            let mark = turn as u8;
                            memory.add(begin).write_bytes(mark, size);
                            held.push((begin, size, mark));
                        }
                    } else {
                        let (begin, size, mark) = held.swap_remove(random(held.len()));
                        let bytes = std::slice::from_raw_parts(memory.add(begin), size);
                        assert!(bytes.iter().all(|&byte| byte == mark), "turn {turn}");
                        pieces.give(memory, begin, size);
                    }
                    if turn % 97 == 0 {
                        let unused = pieces.shrink(memory);
                        assert!(unused.is_empty() || (unused.start + shift).is_multiple_of(PAGE));
                        assert!(unused.end <= SIZE && unused.len().is_multiple_of(PAGE));
                        forgotten += unused.len();
                        memory.add(unused.start).write_bytes(0xff, unused.len());
                    }
                }
            }
            assert!(forgotten > 10 * PAGE, "{forgotten}");
            let all = held.iter().map(|(begin, size, _)| begin + size);
            assert!(all.max().unwrap_or(0) <= SIZE);
        }
    }

    #[test]
    fn what_is_too_large_or_finds_no_room_is_the_systems() {
        let mut space = Box::new(Memory([0; SIZE + PAGE]));
        let memory = space.0.as_mut_ptr();
        let mut pieces = Pieces::NONE;
        // SAFETY: as above; none is used.
        unsafe {
            assert_eq!(pieces.take(memory, 1), None);
            pieces.lie_in(SIZE - 4096..SIZE);
            assert_eq!(pieces.take(memory, 4097), None);
            let only = pieces.take(memory, 4096);
            assert_eq!(only, Some(SIZE - 4096));
            assert_eq!(pieces.take(memory, 1), None);
            pieces.give(memory, SIZE - 4096, 4000);
            assert_eq!(pieces.take(memory, 3500), only);
        }
        assert!(have_one_size(3500, 4096) && !have_one_size(16, 17));
        assert!(!have_one_size(5000, 5000));
    }
}
