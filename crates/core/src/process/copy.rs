//! `memcpy` and `memmove` of the static Linux build.
//!
//! musl's use the processor's string instructions for every length, and those take long to get
//! going. A log line is copied piece by piece on its way, and three quarters of the time that a
//! stream took went there. These copy 16 bytes at a time. musl's for arm64 are good.
//!
//! Whatever overlaps is read before it is written over: so `memcpy` is `memmove`.
#![allow(unsafe_code, reason = "replaces functions of the C library")]

use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

/// What a loop copies in one turn. All of it is read before any is written, and by single moves:
/// the compiler makes calls of `memcpy` from simpler loops.
type Chunk = [__m128i; 4];

const CHUNK: usize = size_of::<Chunk>();

/// As in C.
///
/// # Safety
/// Both places are valid for `count` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, count) };
    to
}

/// As in C.
///
/// # Safety
/// Both places are valid for `count` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, count) };
    to
}

/// # Safety
/// Both places are valid for `count` bytes.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the caller's promise; each arm reads and writes within `count`.
    unsafe {
        match count {
            0 => {}
            1 => *to = *from,
            2..=3 => copy_ends::<u16>(to, from, count),
            4..=7 => copy_ends::<u32>(to, from, count),
            8..=15 => copy_ends::<u64>(to, from, count),
            16..=32 => {
                let last = count - 16;
                let (a, b) = (load(from), load(from.add(last)));
                store(to, a);
                store(to.add(last), b);
            }
            33..CHUNK => {
                let last = count - 32;
                let (a, b) = (load(from), load(from.add(16)));
                let (c, d) = (load(from.add(last)), load(from.add(last + 16)));
                store(to, a);
                store(to.add(16), b);
                store(to.add(last), c);
                store(to.add(last + 16), d);
            }
            // Forwards is right unless `to` lies within what is copied.
            _ if (to as usize).wrapping_sub(from as usize) >= count => {
                copy_forward(to, from, count);
            }
            _ => copy_backward(to, from, count),
        }
    }
}

/// Copies what is one to two `T` long by its first and its last `T`.
///
/// # Safety
/// Both places are valid for `count` bytes, which is no less than a `T`.
#[inline(always)]
unsafe fn copy_ends<T: Copy>(to: *mut u8, from: *const u8, count: usize) {
    let last = count - size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe {
        let first = from.cast::<T>().read_unaligned();
        let rest = from.add(last).cast::<T>().read_unaligned();
        to.cast::<T>().write_unaligned(first);
        to.add(last).cast::<T>().write_unaligned(rest);
    }
}

/// # Safety
/// Both places are valid for `count` bytes, which is no less than a chunk.
unsafe fn copy_forward(to: *mut u8, from: *const u8, count: usize) {
    let last = count - CHUNK;
    // SAFETY: the caller's promise. The end is read before the loop writes over it.
    unsafe {
        let end = load_chunk(from.add(last));
        let mut at = 0;
        while at < last {
            store_chunk(to.add(at), load_chunk(from.add(at)));
            at += CHUNK;
        }
        store_chunk(to.add(last), end);
    }
}

/// # Safety
/// Both places are valid for `count` bytes, which is no less than a chunk.
unsafe fn copy_backward(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the caller's promise. The beginning is read before the loop writes over it.
    unsafe {
        let begin = load_chunk(from);
        let mut at = count;
        while at > CHUNK {
            at -= CHUNK;
            store_chunk(to.add(at), load_chunk(from.add(at)));
        }
        store_chunk(to, begin);
    }
}

/// # Safety
/// There are 16 bytes.
#[inline(always)]
unsafe fn load(from: *const u8) -> __m128i {
    // SAFETY: the caller's promise; it need not be aligned.
    unsafe { _mm_loadu_si128(from.cast()) }
}

/// # Safety
/// There is room for 16 bytes.
#[inline(always)]
unsafe fn store(to: *mut u8, bytes: __m128i) {
    // SAFETY: the caller's promise; it need not be aligned.
    unsafe { _mm_storeu_si128(to.cast(), bytes) }
}

/// # Safety
/// There is a chunk.
#[inline(always)]
unsafe fn load_chunk(from: *const u8) -> Chunk {
    // SAFETY: the caller's promise.
    unsafe {
        [
            load(from),
            load(from.add(16)),
            load(from.add(32)),
            load(from.add(48)),
        ]
    }
}

/// # Safety
/// There is room for a chunk.
#[inline(always)]
unsafe fn store_chunk(to: *mut u8, [a, b, c, d]: Chunk) {
    // SAFETY: the caller's promise.
    unsafe {
        store(to, a);
        store(to.add(16), b);
        store(to.add(32), c);
        store(to.add(48), d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_overlap_is_copied_and_nothing_beside_it() {
        const ROOM: usize = 640;
        let before: Vec<u8> = (0..ROOM).map(|at| (at * 7 % 251) as u8).collect();
        for count in 0..=300 {
            for from in [150, 163] {
                for to in (0..ROOM - count).step_by(if count < 70 { 1 } else { 13 }) {
                    let (mut ours, mut expected) = (before.clone(), before.clone());
                    expected.copy_within(from..from + count, to);
                    let base = ours.as_mut_ptr();
                    // SAFETY: both places lie within `ours`.
                    let answer = unsafe { memmove(base.add(to), base.add(from), count) };
                    assert_eq!(answer as usize, base as usize + to);
                    assert_eq!(ours, expected, "{count} from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn memcpy_is_the_same() {
        let (from, mut to) = ([7; 100], [0; 100]);
        // SAFETY: both are 100 bytes long.
        unsafe { memcpy(to.as_mut_ptr(), from.as_ptr(), 100) };
        assert_eq!(to, from);
    }
}
