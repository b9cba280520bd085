//! How many lines a log has.

use std::io;

use super::block::{BLOCK, Blocks, Step};
use super::{LogSource, Place, SMALL, lines_file, read_at};

/// Lines in the first `size` bytes, an unfinished last one included. Those that have been freed
/// count; if the log has been cut behind `size` meanwhile, all lines before the cut do.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn total_lines(source: LogSource<'_>, size: u64) -> io::Result<u64> {
    let end = lines_file::place_at(source, size)?;
    Ok(end.lines + u64::from(is_within_line(source, end.offset)?))
}

/// Newlines in the first `offset` bytes, so the number of the line there is one more. An offset
/// that has been freed stands for the place where the log begins.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn lines_before(source: LogSource<'_>, offset: u64) -> io::Result<u64> {
    Ok(lines_file::place_at(source, offset)?.lines)
}

/// Whether a line has begun before `offset` and not ended.
fn is_within_line(source: LogSource<'_>, offset: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if offset > 0 {
        read_at(source.file, &mut last, offset - 1)?;
    }
    // The byte before a cut is a newline, or was one.
    Ok(last != *b"\n" && source.cut().offset < offset)
}

/// Counts on from a place until `to`, or to where the log ends by now. `on_block` is told the
/// places on the way.
pub(super) fn count_on(
    source: LogSource<'_>,
    from: Place,
    to: u64,
    on_block: &mut dyn FnMut(Place),
) -> io::Result<Place> {
    let left = usize::try_from(to.saturating_sub(from.offset)).unwrap_or(BLOCK);
    let mut block = vec![0; BLOCK.min(left)];
    let (mut blocks, mut place) = Blocks::new(source, from, to);
    loop {
        match blocks.read(&mut block)? {
            Step::Read(0) => return Ok(place),
            Step::Read(n) => {
                place.offset += n as u64;
                place.lines += newlines(&block[..n]);
                on_block(place);
            }
            Step::Freed(begin) => place = begin,
        }
    }
}

/// Newlines in a block; a small one is not worth asking the processor what it can.
pub(crate) fn newlines(block: &[u8]) -> u64 {
    if block.len() <= SMALL {
        return block.iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    memchr::memchr_iter(b'\n', block).count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::Cut;
    use super::super::sample::SampleLog;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn newlines_in(bytes: &[u8]) -> u64 {
        bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
    }

    fn total(bytes: &[u8]) -> u64 {
        newlines_in(bytes) + u64::from(bytes.last().is_some_and(|&last| last != b'\n'))
    }

    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => Just(b'\n'), 1 => Just(0), 5 => any::<u8>()];
        proptest::collection::vec(byte, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn counts_equal_a_simple_model(bytes in contents(), freed in any::<prop::sample::Index>()) {
            let log = SampleLog::holding(&bytes);
            let check = |cut: u64| {
                for offset in 0..=bytes.len() {
                    let read = &bytes[..offset.max(usize::try_from(cut).unwrap())];
                    let before = lines_before(log.source(), offset as u64).unwrap();
                    assert_eq!(before, newlines_in(read), "before {offset}");
                    let all = total_lines(log.source(), offset as u64).unwrap();
                    assert_eq!(all, total(read), "in {offset}");
                }
            };
            check(0);
            let lines = usize::try_from(newlines_in(&bytes)).unwrap();
            check(log.free_lines(&bytes, freed.index(lines + 1)).offset);
        }
    }

    #[test]
    fn what_is_freed_while_it_is_counted_counts_as_what_it_was() {
        let bytes = b"some line of a log\n".repeat(3 * BLOCK / 19);
        let whole = newlines_in(&bytes);
        for lines in [1, BLOCK / 19 + 1, bytes.len() / 19] {
            let log = SampleLog::holding(&bytes);
            let mut blocks = 0;
            let begin = Cut::NONE.into();
            let end = count_on(log.source(), begin, log.size(), &mut |_| {
                blocks += 1;
                if blocks == 1 {
                    log.free_lines(&bytes, lines);
                }
            })
            .unwrap();
            assert_eq!((end.lines, end.offset), (whole, log.size()), "{lines}");
        }
    }

    #[test]
    fn a_cut_that_lies_behind_the_end_is_not_believed() {
        let log = SampleLog::holding(b"1\n2\n3\n4\n");
        log.free_lines(b"1\n2\n3\n4\n", 4);
        assert_eq!(total_lines(log.source(), 8).unwrap(), 4);
        log.file.set_len(0).unwrap();
        (&log.file).write_all(b"new\n").unwrap();
        assert_eq!(total_lines(log.source(), 4).unwrap(), 1);
    }
}
