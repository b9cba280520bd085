//! How many lines a log has.

use std::fs::File;
use std::io;

use super::{SMALL, read_at};

/// Large enough that the system calls do not show, small enough for the processor's cache.
const BLOCK: usize = 256 << 10;

/// Lines in the first `size` bytes, an unfinished last one included.
pub(crate) fn count_lines(file: &File, size: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK.min(usize::try_from(size).unwrap_or(BLOCK))];
    let (mut at, mut lines, mut last) = (0, 0, b'\n');
    while at < size {
        let wanted = block.len().min(usize::try_from(size - at).unwrap_or(BLOCK));
        let n = read_at(file, &mut block[..wanted], at)?;
        if n == 0 {
            break;
        }
        lines += newlines(&block[..n]);
        last = block[n - 1];
        at += n as u64;
    }
    Ok(lines + u64::from(last != b'\n'))
}

/// Newlines in a block; a small one is not worth asking the processor what it can.
pub(crate) fn newlines(block: &[u8]) -> u64 {
    if block.len() <= SMALL {
        return block.iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    memchr::memchr_iter(b'\n', block).count() as u64
}
