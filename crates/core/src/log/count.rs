//! How many lines a log has.

use std::fs::File;
use std::io;

use super::read_at;

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
        lines += memchr::memchr_iter(b'\n', &block[..n]).count() as u64;
        last = block[n - 1];
        at += n as u64;
    }
    Ok(lines + u64::from(last != b'\n'))
}
