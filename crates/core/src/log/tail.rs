//! The last lines of a log, found from its end: the time it takes depends on what is shown, not
//! on how large the log is.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use super::{LogSource, find_last_newline, read_at};

/// One read from the end.
const BLOCK: usize = 64 << 10;

/// Where the last lines of a log are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Offset of the first of them; the end where there is none.
    pub start: u64,
    /// How many they are.
    pub lines: u64,
}

/// Where the last `count` lines of the first `size` bytes begin. Holds one block, however many
/// lines they are.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn find_tail(source: LogSource<'_>, size: u64, count: u64) -> io::Result<Tail> {
    above_cut(source, |lowest| {
        let (mut start, mut lines) = (size, 0);
        if count > 0 {
            walk_back(source.file, lowest, size, &mut |next| {
                (start, lines) = (next, lines + 1);
                more_if(lines < count)
            })?;
        }
        Ok((start, Tail { start, lines }))
    })
}

/// Where each of the last `count` lines of the first `size` bytes begins, in order.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn last_lines(source: LogSource<'_>, size: u64, count: usize) -> io::Result<Vec<u64>> {
    above_cut(source, |lowest| {
        let starts = line_starts_above(source.file, lowest, size, count)?;
        Ok((starts.first().copied().unwrap_or(size), starts))
    })
}

/// Looks until nothing that was looked at has been freed meanwhile. What `look` is given is the
/// lowest offset that still is there; it returns the lowest one that matters to its result.
fn above_cut<T>(
    source: LogSource<'_>,
    mut look: impl FnMut(u64) -> io::Result<(u64, T)>,
) -> io::Result<T> {
    let mut cut = source.cut();
    loop {
        let (lowest, found) = look(cut.offset)?;
        let now = source.cut();
        if now == cut || now.offset <= lowest {
            return Ok(found);
        }
        cut = now;
    }
}

/// Where each of the last `count` lines of the first `size` bytes begins, in order.
pub(crate) fn last_line_starts(file: &File, size: u64, count: usize) -> io::Result<Vec<u64>> {
    line_starts_above(file, 0, size, count)
}

/// The same of a log that begins at `lowest`.
fn line_starts_above(file: &File, lowest: u64, size: u64, count: usize) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    if count > 0 {
        walk_back(file, lowest, size, &mut |start| {
            starts.push(start);
            more_if(starts.len() < count)
        })?;
    }
    starts.reverse();
    Ok(starts)
}

/// Tells where each line of `lowest..size` begins, from the last one to the first.
fn walk_back(
    file: &File,
    lowest: u64,
    size: u64,
    on_start: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<()> {
    if size <= lowest {
        return Ok(());
    }
    let mut block = vec![0; BLOCK];
    let mut end = size;
    while end > lowest {
        let begin = end.saturating_sub(BLOCK as u64).max(lowest);
        let wanted = usize::try_from(end - begin).unwrap_or(BLOCK);
        let n = read_at(file, &mut block[..wanted], begin)?;
        let mut unsearched = n;
        while let Some(at) = find_last_newline(&block[..unsearched]) {
            unsearched = at;
            let next = begin + at as u64 + 1;
            // The newline at the very end closes the last line, it does not begin another.
            if next < size && on_start(next).is_break() {
                return Ok(());
            }
        }
        end = begin;
    }
    let _ = on_start(lowest);
    Ok(())
}

fn more_if(wanted: bool) -> ControlFlow<()> {
    if wanted {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::SampleLog;
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

    /// What is left of a log after its first lines have been freed.
    fn check_cut(bytes: &[u8], freed: usize, count: usize) {
        let log = SampleLog::holding(bytes);
        let cut = log.free_lines(bytes, freed).offset;
        let left = &model(bytes)[freed..];
        let shown = &left[left.len().saturating_sub(count)..];
        let mut expected = Vec::new();
        let mut at = bytes.len() as u64;
        for line in shown.iter().rev() {
            let ended = at < bytes.len() as u64 || bytes.ends_with(b"\n");
            at -= line.len() as u64 + u64::from(ended);
            expected.insert(0, at);
        }
        let starts = last_lines(log.source(), log.size(), count).unwrap();
        assert_eq!(starts, expected);
        assert!(starts.iter().all(|&start| start >= cut));
        let tail = find_tail(log.source(), log.size(), count as u64).unwrap();
        assert_eq!(tail.lines, expected.len() as u64);
        assert_eq!(tail.start, expected.first().copied().unwrap_or(log.size()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn tails_of_a_cut_log_equal_a_simple_model(
            bytes in proptest::collection::vec(
                prop_oneof![3 => Just(b'\n'), 1 => Just(0), 5 => any::<u8>()], 0..300),
            freed in any::<prop::sample::Index>(),
            count in 0_usize..100,
        ) {
            let ended = bytes.iter().filter(|&&byte| byte == b'\n').count();
            check_cut(&bytes, freed.index(ended + 1), count);
        }
    }

    #[test]
    fn what_is_freed_while_a_tail_is_sought_is_not_in_it() {
        let bytes = b"1\n2\n3\n4\n5";
        let log = SampleLog::holding(bytes);
        let mut looks = Vec::new();
        let found = above_cut(log.source(), |lowest| {
            looks.push(lowest);
            if looks.len() == 1 {
                log.free_lines(bytes, 2);
            }
            let starts = line_starts_above(&log.file, lowest, log.size(), 4)?;
            Ok((starts[0], starts))
        });
        assert_eq!(found.unwrap(), [4, 6, 8]);
        assert_eq!(looks, [0, 4]);
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
