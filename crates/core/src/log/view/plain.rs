//! Proving that lines need no cleaning, eight bytes at a time.

use super::super::control::find_control;

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

/// The beginning of a block that is valid UTF-8 without control characters other than tabs and
/// newlines.
pub(super) fn plain_prefix(block: &[u8]) -> &str {
    let first_return = memchr::memchr(b'\r', block).unwrap_or(block.len());
    let block = &block[..first_return];
    let text = valid_prefix(&block[..find_control(block, 0)]);
    if text.is_ascii() {
        return text;
    }
    let c1 =
        memchr::memchr_iter(0xc2, text.as_bytes()).find(|&at| has_c1(&text.as_bytes()[at..][..2]));
    &text[..c1.unwrap_or(text.len())]
}

/// The beginning of a block that is valid UTF-8.
pub(super) fn valid_prefix(block: &[u8]) -> &str {
    match std::str::from_utf8(block) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&block[..error.valid_up_to()]).unwrap_or_default(),
    }
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
