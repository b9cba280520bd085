//! UTF-8 that comes in pieces; what is invalid becomes U+FFFD, as `String::from_utf8_lossy` does.

use std::str::from_utf8;

const REPLACEMENT: &str = "\u{fffd}";

/// Keeps the character that a piece ended in the middle of.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Its first bytes; they are valid so far.
    half: [u8; 4],
    length: usize,
}

impl Decoder {
    pub(super) fn decode(&mut self, bytes: &[u8], mut give: impl FnMut(&str)) {
        let mut rest = bytes;
        while self.length > 0 {
            let Some((&byte, behind)) = rest.split_first() else {
                return;
            };
            self.half[self.length] = byte;
            match from_utf8(&self.half[..=self.length]) {
                Ok(character) => {
                    give(character);
                    self.length = 0;
                    rest = behind;
                }
                Err(error) if error.error_len().is_none() => {
                    self.length += 1;
                    rest = behind;
                }
                // The byte does not belong to the character, it begins something else.
                Err(_) => self.finish(&mut give),
            }
        }
        if let Ok(text) = from_utf8(rest) {
            give(text);
            return;
        }
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            if !chunk.valid().is_empty() {
                give(chunk.valid());
            }
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && is_half(invalid) {
                self.half[..invalid.len()].copy_from_slice(invalid);
                self.length = invalid.len();
            } else {
                give(REPLACEMENT);
            }
        }
    }

    /// Nothing follows: a character that is not complete is invalid.
    pub(super) fn finish(&mut self, mut give: impl FnMut(&str)) {
        if std::mem::take(&mut self.length) > 0 {
            give(REPLACEMENT);
        }
    }
}

/// How many bytes at the end are the beginning of a character.
pub(super) fn half_character(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|&length| is_half(&bytes[bytes.len() - length..]))
        .unwrap_or(0)
}

/// Whether this is the beginning of one character and could go on.
fn is_half(bytes: &[u8]) -> bool {
    from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
