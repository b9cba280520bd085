//! The text of a cursor, and numbers in it.

use std::fmt;

use serde::{Serialize, Serializer};

/// The text of a cursor, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CursorText {
    length: usize,
    bytes: [u8; Self::ROOM],
}

impl Default for CursorText {
    /// An empty one.
    fn default() -> Self {
        Self {
            length: 0,
            bytes: [0; Self::ROOM],
        }
    }
}

impl CursorText {
    /// "v1.", 16 of a generation, six numbers of at most 16, a checksum of at most 8, 7 dots; and
    /// what a number takes for a moment before its leading zeros are gone.
    const ROOM: usize = 3 + 16 + 6 * 16 + 8 + 7 + 8;

    /// As text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever pushed.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// As the bytes of its text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// How many characters a dot and a number take.
    pub(super) fn width(number: u64) -> usize {
        1 + hex_text(number).1
    }

    /// A dot and a number.
    pub(super) fn push_hex(&mut self, number: u64) {
        let (digits, count) = hex_text(number);
        let [dot, rest @ ..] = &mut self.bytes[self.length..] else {
            return;
        };
        *dot = b'.';
        rest[..16].copy_from_slice(&digits);
        self.length += 1 + count;
    }
}

/// A number in hex without leading zeros, and how many digits count. All 16 are made at once and
/// shifted until the first one does.
#[inline]
pub(super) fn hex_text(number: u64) -> ([u8; 16], usize) {
    let zeros = (number | 1).leading_zeros() / 4;
    let half = |half: u64| u128::from(hex_digits(half as u32));
    let digits = half(number >> 32) << 64 | half(number);
    let digits = (digits << (8 * zeros)).to_be_bytes();
    (digits, 16 - zeros as usize)
}

/// A number as eight hex digits, the first one in the highest byte.
#[inline(always)]
pub(super) fn hex_digits(number: u32) -> u64 {
    let number = u64::from(number);
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Half by half the digits are moved apart until each has a byte.
    let halves = (number & 0xffff_0000) << 16 | number & 0xffff;
    let quarters = (halves << 8 | halves) & 0x00ff_00ff_00ff_00ff;
    let digits = (quarters << 4 | quarters) & (0x0f * EACH);
    let is_letter = (digits + 6 * EACH) >> 4 & EACH;
    digits + u64::from(b'0') * EACH + is_letter * u64::from(b'a' - b'9' - 1)
}

/// A number as four hex digits, the first one in the highest byte.
#[inline(always)]
pub(super) fn hex_four(number: u16) -> u32 {
    let number = u32::from(number);
    const EACH: u32 = 0x0101_0101;
    let halves = (number << 8 | number) & 0x00ff_00ff;
    let digits = (halves << 4 | halves) & (0x0f * EACH);
    let is_letter = (digits + 6 * EACH) >> 4 & EACH;
    digits + u32::from(b'0') * EACH + is_letter * u32::from(b'a' - b'9' - 1)
}

impl fmt::Debug for CursorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CursorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CursorText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
