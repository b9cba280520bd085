//! Finding the lines that look different from how they are stored.

use wide::u8x16;

/// The control characters that make a line look different from how it is stored: all but tab,
/// newline, and a `\r` before a newline.
pub(super) struct Controls<'a> {
    bytes: &'a [u8],
    /// The first `\r` of that kind from where was asked last; the length when there is none.
    next_return: usize,
    /// The first other one.
    next_other: usize,
}

impl<'a> Controls<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            next_return: find_return(bytes, 0),
            next_other: find_control(bytes, 0),
        }
    }

    /// The first at `at` or behind; never asked for one before what was asked last.
    pub(super) fn next_from(&mut self, at: usize) -> Option<usize> {
        if self.next_return < at {
            self.next_return = find_return(self.bytes, at);
        }
        if self.next_other < at {
            self.next_other = find_control(self.bytes, at);
        }
        let next = self.next_return.min(self.next_other);
        (next < self.bytes.len()).then_some(next)
    }
}

/// Most logs have no `\r`, or one in each line, before its newline.
fn find_return(bytes: &[u8], from: usize) -> usize {
    memchr::memchr_iter(b'\r', &bytes[from..])
        .map(|at| from + at)
        .find(|&at| bytes.get(at + 1) != Some(&b'\n'))
        .unwrap_or(bytes.len())
}

/// The first control character from there on that is no tab, newline or `\r`.
pub(super) fn find_control(bytes: &[u8], from: usize) -> usize {
    let is_control =
        |byte: u8| byte == 0x7f || byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    let (chunks, _) = bytes[from..].as_chunks::<CHUNK>();
    for (index, chunk) in chunks.iter().enumerate() {
        if may_hold_control(chunk)
            && let Some(at) = chunk.iter().position(|&byte| is_control(byte))
        {
            return from + index * CHUNK + at;
        }
    }
    let near = from + chunks.len() * CHUNK;
    let rest = bytes[near..].iter().position(|&byte| is_control(byte));
    rest.map_or(bytes.len(), |at| near + at)
}

/// What is asked at once; about half a line.
const CHUNK: usize = 32;

/// Whether there is a control character other than tab and newline. Sixteen bytes at a time: the
/// compiler, told to make small code, would look at one after the other.
fn may_hold_control(chunk: &[u8; CHUNK]) -> bool {
    let (halves, _) = chunk.as_chunks::<16>();
    let found = halves.iter().fold(u8x16::ZERO, |found, half| {
        let bytes = u8x16::from(*half);
        let equals = |byte| bytes.simd_eq(u8x16::splat(byte));
        let is_low = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        found | is_low & !(equals(b'\t') | equals(b'\n')) | equals(0x7f)
    });
    found.to_bitmask() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for (at, neighbour) in [(0, 0xff), (7, 0x20), (31, b'\n'), (32, b'\t'), (70, 0x80)] {
                let mut bytes = [neighbour; 75];
                bytes[at] = byte;
                let is_plain = matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..);
                let expected = if is_plain { bytes.len() } else { at };
                assert_eq!(find_control(&bytes, 0), expected, "{byte} at {at}");
            }
        }
    }
}
