//! The allocator of short-lived programs: hands out memory front to back and mostly never takes
//! it back.
//!
//! A command such as `status` makes a few hundred small allocations and ends. With a C library's
//! allocator that costs dozens of mmap(2) and munmap(2) calls, a large part of its whole life.
//!
//! A supervisor lives long, so it uses again what it gives back (`pieces`), and what it needed only to
//! begin goes back to the kernel. Small pieces lie together that way, where the C library would keep
//! a page for each kind, and its own books besides.
#![allow(unsafe_code, reason = "a global allocator")]

mod pieces;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pieces::{PAGE, Pieces};

/// What fits a command that shows a page of tasks. Pages that are never used cost nothing.
const SIZE: usize = 256 << 10;

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

// SAFETY: every byte is handed out to one owner at a time (`Arena::take`).
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE]));
/// Offset of the first byte that has not been handed out.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// From here on pieces are used again; `SIZE` where none are.
static REUSED_FROM: AtomicUsize = AtomicUsize::new(SIZE);

/// Pieces up to this size lie together, and so do the larger ones: of those a supervisor keeps hardly
/// any, and their pages go back as a whole.
const LARGEST_SMALL: usize = 256;
/// Where the larger ones begin.
const LARGE_FROM: usize = 64 << 10;

/// The pieces that are used again, small and large, of one thread at a time.
struct Shared {
    taken: AtomicBool,
    pieces: UnsafeCell<[Pieces; 2]>,
}

// SAFETY: `Arena::with_pieces` lets one thread at a time have them.
unsafe impl Sync for Shared {}

static PIECES: Shared = Shared {
    taken: AtomicBool::new(false),
    pieces: UnsafeCell::new([Pieces::NONE; 2]),
};

/// A global allocator that serves the first 256 KiB from a fixed place and the rest from the
/// system. Only the latest piece can be given back or grown in place, except in a supervisor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arena;

impl Arena {
    /// From now on uses again what is given back, for a process that lives long and must stay small.
    /// What was handed out before is not used again.
    pub(crate) fn reuse() {
        let next = NEXT.swap(SIZE, Ordering::Relaxed);
        let base = Self::base().addr();
        // Pages of their own.
        let large_from = (base + LARGE_FROM).next_multiple_of(PAGE) - base;
        let begin = Self::with_pieces(|[small, large]| {
            large.lie_in(large_from.max(next)..SIZE);
            small.lie_in(next.min(large_from)..large_from)
        });
        REUSED_FROM.store(begin, Ordering::Release);
    }

    /// Gives what lies behind the last piece in use back to the kernel.
    #[cfg(target_os = "linux")]
    pub(crate) fn give_back() {
        let base = Self::base();
        Self::with_pieces(|pieces| {
            for pieces in pieces {
                // SAFETY: the memory of these pieces.
                let unused = unsafe { pieces.shrink(base) };
                // SAFETY: whole pages of the memory in which nothing is in use, and whose content
                // does not matter until it is handed out again.
                unsafe {
                    libc::madvise(
                        base.add(unused.start).cast(),
                        unused.len(),
                        libc::MADV_DONTNEED,
                    );
                }
            }
        });
    }

    fn of_size([small, large]: &mut [Pieces; 2], size: usize) -> &mut Pieces {
        if size <= LARGEST_SMALL { small } else { large }
    }

    fn with_pieces<T>(act: impl FnOnce(&mut [Pieces; 2]) -> T) -> T {
        // A supervisor has one thread; nobody waits here in earnest.
        while PIECES.taken.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: ours alone until `taken` is taken back.
        let result = act(unsafe { &mut *PIECES.pieces.get() });
        PIECES.taken.store(false, Ordering::Release);
        result
    }

    fn take_again(layout: Layout) -> Option<*mut u8> {
        if REUSED_FROM.load(Ordering::Acquire) == SIZE || layout.align() > 16 {
            return None;
        }
        // SAFETY: the memory is ours, and what is in use of it is known to the pieces.
        let begin = Self::with_pieces(|pieces| unsafe {
            Self::of_size(pieces, layout.size()).take(Self::base(), layout.size())
        });
        // SAFETY: `begin` is inside of the memory.
        begin.map(|begin| unsafe { Self::base().add(begin) })
    }

    fn base() -> *mut u8 {
        MEMORY.0.get().cast()
    }

    fn take(layout: Layout) -> Option<*mut u8> {
        if layout.align() > 16 {
            return None;
        }
        let mut next = NEXT.load(Ordering::Relaxed);
        loop {
            let begin = next.next_multiple_of(layout.align());
            let end = begin
                .checked_add(layout.size())
                .filter(|&end| end <= SIZE)?;
            // Acquire: what was given back by another thread is done with.
            match NEXT.compare_exchange_weak(next, end, Ordering::Acquire, Ordering::Relaxed) {
                // SAFETY: `begin` is inside of the memory.
                Ok(_) => return Some(unsafe { Self::base().add(begin) }),
                Err(now) => next = now,
            }
        }
    }

    /// Where a piece begins, if it is ours.
    fn offset_of(piece: *mut u8) -> Option<usize> {
        let offset = (piece as usize).wrapping_sub(Self::base() as usize);
        (offset < SIZE).then_some(offset)
    }

    /// Moves the end of the latest piece; `false` when it is not the latest, or there is no room.
    fn resize_latest(begin: usize, old: usize, new: usize) -> bool {
        let Some(end) = begin.checked_add(new).filter(|&end| end <= SIZE) else {
            return false;
        };
        if NEXT.load(Ordering::Relaxed) == SIZE {
            // Full, or closed.
            return false;
        }
        // Release: our last writes to what is given back come before its next owner's.
        NEXT.compare_exchange(begin + old, end, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

// SAFETY: pieces do not overlap (`take`), fit their layout, and stay valid until given back.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        Self::take(layout)
            .or_else(|| Self::take_again(layout))
            .unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match Self::offset_of(piece) {
            Some(begin) if begin >= REUSED_FROM.load(Ordering::Acquire) => {
                // SAFETY: it was handed out with this size, and is not used any more.
                Self::with_pieces(|pieces| unsafe {
                    let pieces = Self::of_size(pieces, layout.size());
                    pieces.give(Self::base(), begin, layout.size());
                });
            }
            Some(begin) => {
                Self::resize_latest(begin, layout.size(), 0);
            }
            // SAFETY: it is not ours, so it came from the system.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(begin) = Self::offset_of(piece) else {
            // SAFETY: it is not ours, so it came from the system.
            return unsafe { System.realloc(piece, layout, new_size) };
        };
        let fits = if begin >= REUSED_FROM.load(Ordering::Acquire) {
            pieces::have_one_size(layout.size(), new_size)
        } else {
            new_size <= layout.size() || Self::resize_latest(begin, layout.size(), new_size)
        };
        if fits {
            return piece;
        }
        // SAFETY: the alignment is that of a valid layout, the size the caller's promise; both
        // pieces are valid for the smaller of the two sizes and do not overlap.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(piece, new, layout.size().min(new_size));
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_apart_grow_in_place_and_overflow_to_the_system() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: every piece is used within its layout and given back once.
        unsafe {
            let one = Arena.alloc(layout(24));
            one.write_bytes(1, 24);
            let two = Arena.alloc(layout(8));
            two.write_bytes(2, 8);
            assert_eq!(Arena.realloc(two, layout(8), 4096), two);
            let moved = Arena.realloc(one, layout(24), 64);
            assert_ne!(moved, one);
            assert_eq!(std::slice::from_raw_parts(moved, 24), [1; 24]);
            let large = Arena.alloc(layout(SIZE));
            assert_eq!(Arena::offset_of(large), None);
            Arena.dealloc(large, layout(SIZE));
            Arena.dealloc(moved, layout(64));
            Arena.dealloc(two, layout(4096));
        }
    }
}
