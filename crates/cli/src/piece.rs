//! What is printed of a stream at once.

use std::io::{self, Write};

/// Text on its way out. It leaves in pieces of one length.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Cleared once, not for each piece.
    bytes: Vec<u8>,
    filled: usize,
}

impl Piece {
    /// Larger pieces are slower through a pipe of the usual size. A pipe is made of pages, so two of
    /// these fit into it.
    pub(crate) const FULL: usize = 32 << 10;

    /// Room behind what is there.
    #[inline]
    pub(crate) fn room(&mut self, length: usize) -> &mut [u8] {
        if self.bytes.len() < self.filled + length {
            self.bytes.resize(2 * Self::FULL + length, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// So much has been written into the room. Whether there is a full piece now.
    #[inline]
    pub(crate) fn fill(&mut self, length: usize) -> bool {
        self.filled += length;
        self.filled >= Self::FULL
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Adds a text; whether there is a full piece now.
    pub(crate) fn push(&mut self, text: &[u8]) -> bool {
        self.room(text.len())[..text.len()].copy_from_slice(text);
        self.fill(text.len())
    }

    /// Writes the full pieces.
    pub(crate) fn write_full(&mut self, target: &mut impl Write) -> io::Result<()> {
        self.write(self.filled / Self::FULL * Self::FULL, target)
    }

    /// Writes all that is there.
    pub(crate) fn write_all(&mut self, target: &mut impl Write) -> io::Result<()> {
        self.write(self.filled, target)
    }

    fn write(&mut self, length: usize, target: &mut impl Write) -> io::Result<()> {
        let (written, left) = (0..length, length..self.filled);
        self.filled = left.len();
        let outcome = target.write_all(&self.bytes[written]);
        self.bytes.copy_within(left, 0);
        outcome
    }
}
