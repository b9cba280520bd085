//! The allocator of short-lived programs: hands out memory front to back and mostly never takes
//! it back.
//!
//! A command such as `status` makes a few hundred small allocations and ends. With a C library's
//! allocator that costs dozens of mmap(2) and munmap(2) calls, a large part of its whole life.
#![allow(unsafe_code, reason = "a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What fits a command that shows a page of tasks. Pages that are never used cost nothing.
const SIZE: usize = 256 << 10;

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

// SAFETY: every byte is handed out to one owner at a time (`Arena::take`).
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE]));
/// Offset of the first byte that has not been handed out.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A global allocator that serves the first 256 KiB from a fixed place and the rest from the
/// system. Only the latest piece can be given back or grown in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arena;

impl Arena {
    /// Leaves everything from now on to the system, for a process that lives long and must stay
    /// small: what it gives back can be used again.
    pub(crate) fn close() {
        NEXT.store(SIZE, Ordering::Relaxed);
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
        // Release: our last writes to what is given back come before its next owner's.
        NEXT.compare_exchange(begin + old, end, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

// SAFETY: pieces do not overlap (`take`), fit their layout, and stay valid until given back.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        Self::take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match Self::offset_of(piece) {
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
        if new_size <= layout.size() || Self::resize_latest(begin, layout.size(), new_size) {
            return piece;
        }
        // SAFETY: the alignment is that of a valid layout, the size the caller's promise; both
        // pieces are valid for the smaller of the two sizes and do not overlap.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(piece, new, layout.size());
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
