//! The last lines of a log, found from its end: the time it takes depends on what is shown, not
//! on how large the log is.

use std::fs::File;
use std::io;

use super::{find_last_newline, read_at};

/// One read from the end.
const BLOCK: usize = 64 << 10;

/// Where each of the last `count` lines of the first `size` bytes begins, in order.
pub(crate) fn last_line_starts(file: &File, size: u64, count: usize) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    if size == 0 || count == 0 {
        return Ok(starts);
    }
    let mut block = vec![0; BLOCK];
    let mut end = size;
    'blocks: while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let wanted = usize::try_from(end - begin).unwrap_or(BLOCK);
        let n = read_at(file, &mut block[..wanted], begin)?;
        let mut unsearched = n;
        while let Some(at) = find_last_newline(&block[..unsearched]) {
            unsearched = at;
            let next = begin + at as u64 + 1;
            // The newline at the very end closes the last line, it does not begin another.
            if next < size {
                starts.push(next);
                if starts.len() == count {
                    break 'blocks;
                }
            }
        }
        end = begin;
    }
    if starts.len() < count {
        starts.push(0);
    }
    starts.reverse();
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::super::{LineReader, count_lines};
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// The simplest thing that could be right.
    fn model(bytes: &[u8]) -> Vec<&[u8]> {
        let mut lines: Vec<_> = bytes.split(|&byte| byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        lines
    }

    fn check(bytes: &[u8], count: usize) {
        let file = file_with(bytes);
        let size = bytes.len() as u64;
        let expected = model(bytes);
        assert_eq!(count_lines(&file, size).unwrap(), expected.len() as u64);
        let starts = last_line_starts(&file, size, count).unwrap();
        let shown = expected.len().min(count);
        assert_eq!(starts.len(), shown);
        let mut reader = LineReader::at(starts.first().copied().unwrap_or(size), 0);
        let mut read = Vec::new();
        while let Some(line) = reader.next(&file, size, true).unwrap() {
            assert_eq!(line.start, starts[read.len()]);
            read.push(line.bytes);
        }
        assert_eq!(read, &expected[expected.len() - shown..]);
    }

    proptest! {
        #[test]
        fn tails_and_totals_equal_a_simple_model(
            bytes in proptest::collection::vec(
                prop_oneof![3 => Just(b'\n'), 1 => Just(b'\r'), 5 => any::<u8>()], 0..2000),
            count in 0_usize..50,
        ) {
            check(&bytes, count);
        }
    }

    #[test]
    fn lines_across_block_borders() {
        for extra in 0..3 {
            let mut bytes = vec![b'x'; BLOCK - 2 + extra];
            bytes.extend(b"\nlast\n");
            for count in 0..4 {
                check(&bytes, count);
            }
            bytes.extend(vec![b'y'; 3 * BLOCK]);
            for count in 0..4 {
                check(&bytes, count);
            }
        }
    }
}
