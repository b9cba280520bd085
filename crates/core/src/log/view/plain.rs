//! Proving that lines need no cleaning, eight bytes at a time.

use wide::u8x16;

/// A byte value in each byte of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

const HIGH: u64 = each(0x80);

/// The line, if it is valid UTF-8 without control characters other than tabs.
pub(super) fn plain_text(line: &[u8]) -> Option<&str> {
    let mut any = 0;
    let mut blocks = line.chunks_exact(32);
    for block in &mut blocks {
        let (words, _) = block.as_chunks::<8>();
        let mut controls = 0;
        for word in words {
            let word = u64::from_ne_bytes(*word);
            any |= word;
            controls |= controls_in(word);
        }
        if controls != 0 && block.iter().any(|&byte| is_control(byte)) {
            return None;
        }
    }
    let (words, rest) = blocks.remainder().as_chunks::<8>();
    for word in words {
        let value = u64::from_ne_bytes(*word);
        any |= value;
        if controls_in(value) != 0 && word.iter().any(|&byte| is_control(byte)) {
            return None;
        }
    }
    for &byte in rest {
        any |= u64::from(byte);
        if is_control(byte) {
            return None;
        }
    }
    let text = std::str::from_utf8(line).ok()?;
    let is_ascii = any & HIGH == 0;
    (is_ascii || !has_c1(line)).then_some(text)
}

/// The lines at the beginning of a block that are valid UTF-8 and, if `is_clean`, hold no control
/// characters other than tabs; at most `most`, of at most `limit` bytes. Each has its `\n`; `ends`
/// gets where each of them ends.
pub(super) fn plain_lines<'a>(
    block: &'a [u8],
    is_clean: bool,
    (most, limit): (usize, usize),
    ends: &mut Vec<u32>,
) -> &'a str {
    let to = find_ends(block, is_clean, ends);
    let text = valid_prefix(&block[..to]);
    let text = match first_c1(text) {
        Some(at) if is_clean => &text[..at],
        _ => text,
    };
    let mut start = 0;
    let is_given = |end: &&u32| {
        let length = **end as usize - 1 - start;
        start = **end as usize;
        start <= text.len() && length <= limit
    };
    let count = ends.iter().take(most).take_while(is_given).count();
    ends.truncate(count);
    &text[..ends.last().map_or(0, |end| *end as usize)]
}

/// Where lines end, up to the first control character if `is_clean`; returns where that is.
fn find_ends(block: &[u8], is_clean: bool, ends: &mut Vec<u32>) -> usize {
    ends.clear();
    let (steps, rest) = block.as_chunks::<STEP>();
    let mut last = [b' '; STEP];
    last[..rest.len()].copy_from_slice(rest);
    for (index, step) in steps.iter().chain([&last]).enumerate() {
        let Ok(at) = u32::try_from(index * STEP) else {
            return index * STEP;
        };
        let (mut newlines, controls) = marks_in(step);
        let controls = if is_clean { controls } else { 0 };
        let first = controls.trailing_zeros();
        while newlines.trailing_zeros() < first {
            ends.push(at + newlines.trailing_zeros() + 1);
            newlines &= newlines - 1;
        }
        if controls != 0 {
            return index * STEP + first as usize;
        }
    }
    block.len()
}

/// What is looked at at once: a line, often.
const STEP: usize = 64;

/// A bit for each newline, and one for each control character other than newlines and tabs.
/// Sixteen bytes at a time: the compiler, told to make small code, would look at one after the other.
#[inline(always)]
fn marks_in(step: &[u8; STEP]) -> (u64, u64) {
    let (quarters, _) = step.as_chunks::<16>();
    let [a, b, c, d] = quarters else {
        return (0, u64::MAX);
    };
    let marks = |quarter: &[u8; 16]| {
        let bytes = u8x16::from(*quarter);
        let equals = |byte| bytes.simd_eq(u8x16::splat(byte));
        let is_low = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let newlines = equals(b'\n');
        let controls = is_low & !(newlines | equals(b'\t')) | equals(0x7f);
        let bits = |found: u8x16| u64::from(found.to_bitmask());
        (bits(newlines), bits(controls))
    };
    let ((a, e), (b, f), (c, g), (d, h)) = (marks(a), marks(b), marks(c), marks(d));
    let whole = |a, b, c, d| a | b << 16 | c << 32 | d << 48;
    (whole(a, b, c, d), whole(e, f, g, h))
}

/// The beginning of a block that is valid UTF-8.
fn valid_prefix(block: &[u8]) -> &str {
    match std::str::from_utf8(block) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&block[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Where the first of U+0080 to U+009F is.
fn first_c1(text: &str) -> Option<usize> {
    if text.is_ascii() {
        return None;
    }
    let text = text.as_bytes();
    memchr::memchr_iter(0xc2, text).find(|&at| has_c1(&text[at..][..2]))
}

/// A bit for each byte that is below 0x20 (tabs too) or 0x7f. No sum overflows into its neighbour,
/// since the top bits are masked.
fn controls_in(word: u64) -> u64 {
    let low = word & !HIGH;
    let from_0x20 = low + each(0x60);
    let is_0x7f = low + each(0x01);
    (!(from_0x20 | word) | (is_0x7f & !word)) & HIGH
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Whether valid UTF-8 holds one of U+0080 to U+009F, whose first byte is 0xC2.
fn has_c1(text: &[u8]) -> bool {
    text.windows(2)
        .any(|pair| pair[0] == 0xc2 && pair[1] < 0xa0)
}
