//! Finding the lines of a log that match a pattern.

use std::io;
use std::ops::{ControlFlow, Range};

use super::block::{BLOCK, Blocks, Step};
use super::control::Controls;
use super::{LogSource, Pattern, Place};

/// Of a line that is longer only so much is searched, so that memory stays flat.
const LONGEST: usize = 1 << 20;

/// A line that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Counts from 1.
    pub number: u64,
    /// Offset of its first byte.
    pub start: u64,
    /// Offset behind it and its end.
    pub end: u64,
    /// Whether it has no end yet.
    pub partial: bool,
}

/// Turns a line, given without its end, into what the reader is shown. A line without control
/// characters (below U+0020 other than tab, and U+007F) is shown as it is, and not given.
pub(crate) type Clean<'a> = &'a mut dyn FnMut(&[u8], &mut Vec<u8>);

/// Tells every line of `from..to` that matches, in order, until `on_hit` breaks. `from` is where a
/// line begins; what has been freed is passed over, also while the search goes on. With `clean` a
/// pattern is matched against what a line looks like, without it against its bytes. The end of a
/// line, `\n` or `\r\n`, is not matched; neither is what lies behind the first MiB of a line.
///
/// Returns the place behind the last finished line that was searched. If it broke at a line
/// without end, that is the beginning of the line.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn search<'a>(
    source: LogSource<'_>,
    pattern: &'a Pattern,
    clean: Option<Clean<'a>>,
    from: Place,
    to: u64,
    on_hit: &'a mut dyn FnMut(Hit) -> ControlFlow<()>,
) -> io::Result<Place> {
    let lines = Lines {
        pattern,
        clean,
        cleaned: Vec::new(),
        on_hit,
        place: from,
    };
    let size = usize::try_from(to.saturating_sub(from.offset)).unwrap_or(BLOCK);
    Feed::new(lines, BLOCK.min(size), LONGEST).run(source, to)
}

/// Cuts what is read at the ends of lines.
struct Feed<'a> {
    lines: Lines<'a>,
    /// How much is read at once.
    block: usize,
    /// At least a block, so that only the first line in the buffer can be longer.
    longest: usize,
    /// An unfinished line at the front, then room for a block.
    buffer: Vec<u8>,
    /// Length of the unfinished line, or as much of it as is kept.
    held: usize,
    /// What is not kept of it.
    left_out: u64,
}

impl<'a> Feed<'a> {
    fn new(lines: Lines<'a>, block: usize, longest: usize) -> Self {
        Self {
            lines,
            block,
            longest,
            buffer: Vec::new(),
            held: 0,
            left_out: 0,
        }
    }

    fn run(mut self, source: LogSource<'_>, to: u64) -> io::Result<Place> {
        let (mut blocks, place) = Blocks::new(source, self.lines.place, to);
        self.lines.place = place;
        loop {
            let wanted = self.held..self.held + self.block;
            if self.buffer.len() < wanted.end {
                self.buffer.resize(wanted.end, 0);
            }
            match blocks.read(&mut self.buffer[wanted])? {
                Step::Freed(place) => {
                    (self.held, self.left_out) = (0, 0);
                    self.lines.place = place;
                }
                Step::Read(0) => break,
                Step::Read(n) => {
                    if self.take_block(self.held + n).is_break() {
                        return Ok(self.lines.place);
                    }
                }
            }
        }
        if self.held > 0 {
            let text = &self.buffer[..self.held];
            let length = self.held as u64 + self.left_out;
            // Nothing is left to be broken off.
            let _ = self.lines.search_unfinished(text, length);
        }
        Ok(self.lines.place)
    }

    /// Searches the lines among the first `filled` bytes, and keeps what has no end yet.
    fn take_block(&mut self, filled: usize) -> ControlFlow<()> {
        let new = &self.buffer[self.held..filled];
        let Some(first) = memchr::memchr(b'\n', new).map(|at| self.held + at) else {
            self.held = filled.min(self.longest);
            self.left_out += (filled - self.held) as u64;
            return ControlFlow::Continue(());
        };
        let last = memchr::memrchr(b'\n', new).map_or(first, |at| self.held + at);
        let mut begin = 0;
        if self.left_out > 0 || first > self.longest {
            begin = first + 1;
            let length = begin as u64 + self.left_out;
            let text = &self.buffer[..first.min(self.longest)];
            self.lines.search_long(text, length)?;
            self.left_out = 0;
        }
        self.lines.search_whole(&self.buffer[begin..last + 1])?;
        self.buffer.copy_within(last + 1..filled, 0);
        self.held = filled - (last + 1);
        ControlFlow::Continue(())
    }
}

/// Searches lines that are in memory.
struct Lines<'a> {
    pattern: &'a Pattern,
    clean: Option<Clean<'a>>,
    /// Kept for its memory.
    cleaned: Vec<u8>,
    on_hit: &'a mut dyn FnMut(Hit) -> ControlFlow<()>,
    /// Of the first line that has not been searched.
    place: Place,
}

impl Lines<'_> {
    /// Lines with their ends.
    fn search_whole(&mut self, lines: &[u8]) -> ControlFlow<()> {
        if self.clean.is_none() {
            return self.search_as_is(lines, 0..lines.len());
        }
        let mut controls = Controls::of(lines);
        let mut at = 0;
        while let Some(control) = controls.next_from(at) {
            let begin = line_start(lines, at, control);
            self.search_as_is(lines, at..begin)?;
            at = line_end(lines, control);
            let text = without_return(&lines[begin..at - 1]);
            let is_hit = self.matches(text);
            self.pass(&lines[begin..at], is_hit)?;
        }
        self.search_as_is(lines, at..lines.len())
    }

    /// A range of lines that look as they are stored.
    fn search_as_is(&mut self, lines: &[u8], range: Range<usize>) -> ControlFlow<()> {
        let Range { mut start, end } = range;
        let lines = &lines[..end];
        let mut from = start;
        while let Some(at) = self.pattern.find_candidate(lines, from) {
            // An empty match behind the last line is in none.
            if at == end {
                break;
            }
            let begin = line_start(lines, from, at);
            from = line_end(lines, at);
            let text = &lines[begin..from - 1];
            let is_certain = memchr::memchr(b'\r', text).is_none();
            if is_certain || self.pattern.matches_bytes(without_return(text)) {
                self.pass_lines(&lines[start..begin]);
                self.pass(&lines[begin..from], true)?;
                start = from;
            }
            if from == end {
                break;
            }
        }
        self.pass_lines(&lines[start..]);
        ControlFlow::Continue(())
    }

    /// A line of which only the beginning is kept; `length` is that of all of it with its end.
    fn search_long(&mut self, text: &[u8], length: u64) -> ControlFlow<()> {
        let begin = self.place;
        let is_hit = self.matches(text);
        self.place.offset += length;
        self.place.lines += 1;
        self.tell(is_hit, begin, length, false)
    }

    /// A line without end, or its beginning.
    fn search_unfinished(&mut self, text: &[u8], length: u64) -> ControlFlow<()> {
        let text = if text.len() as u64 == length {
            without_return(text)
        } else {
            text
        };
        let is_hit = self.matches(text);
        self.tell(is_hit, self.place, length, true)
    }

    /// A line by itself, without its end.
    fn matches(&mut self, text: &[u8]) -> bool {
        match &mut self.clean {
            Some(clean) if Controls::of(text).next_from(0).is_some() => {
                self.cleaned.clear();
                clean(text, &mut self.cleaned);
                self.pattern.matches_bytes(&self.cleaned)
            }
            _ => self.pattern.matches_bytes(text),
        }
    }

    fn pass(&mut self, line: &[u8], is_hit: bool) -> ControlFlow<()> {
        let begin = self.place;
        self.place.offset += line.len() as u64;
        self.place.lines += 1;
        self.tell(is_hit, begin, line.len() as u64, false)
    }

    fn pass_lines(&mut self, lines: &[u8]) {
        self.place.offset += lines.len() as u64;
        self.place.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
    }

    fn tell(&mut self, is_hit: bool, begin: Place, length: u64, partial: bool) -> ControlFlow<()> {
        if !is_hit {
            return ControlFlow::Continue(());
        }
        (self.on_hit)(Hit {
            number: begin.lines + 1,
            start: begin.offset,
            end: begin.offset + length,
            partial,
        })
    }
}

/// Where the line begins that holds `at`; not looked for before `from`, where a line begins.
fn line_start(lines: &[u8], from: usize, at: usize) -> usize {
    memchr::memrchr(b'\n', &lines[from..at]).map_or(from, |newline| from + newline + 1)
}

/// Behind the newline of the line that holds `at`.
fn line_end(lines: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |newline| at + newline + 1)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::super::sample::SampleLog;
    use super::super::{Cut, lines_before};
    use super::*;
    use proptest::prelude::*;

    /// What is shown: control characters go, what stands before a `\r` is painted over.
    fn plain(line: &[u8], cleaned: &mut Vec<u8>) {
        for part in String::from_utf8_lossy(line).split('\x1b') {
            cleaned.extend(part.strip_prefix("[0m").unwrap_or(part).as_bytes());
        }
        if let Some(at) = cleaned.iter().rposition(|&byte| byte == b'\r') {
            cleaned.drain(..=at);
        }
        cleaned.retain(|&byte| byte == b'\t' || byte >= 0x20 && byte != 0x7f);
    }

    fn shown(line: &[u8]) -> Vec<u8> {
        let is_control = |&byte: &u8| byte != b'\t' && byte < 0x20 || byte == 0x7f;
        let mut cleaned = Vec::new();
        if line.iter().any(is_control) {
            plain(line, &mut cleaned);
        } else {
            cleaned.extend(line);
        }
        cleaned
    }

    struct Case<'a> {
        bytes: &'a [u8],
        pattern: &'a str,
        is_clean: bool,
        block: usize,
        longest: usize,
        /// How many hits until it breaks.
        wanted: usize,
        freed: usize,
    }

    impl Case<'_> {
        /// The simplest thing that could be right: one line after the other.
        fn model(&self) -> Vec<Hit> {
            // What the expression itself says of one line, without what was made of it.
            let mut builder = regex::bytes::RegexBuilder::new(self.pattern);
            let regex = builder.multi_line(true).build().unwrap();
            let mut start = 0;
            let mut hits = Vec::new();
            for (index, line) in self.bytes.split_inclusive(|&b| b == b'\n').enumerate() {
                let end = start + line.len();
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let text = if text.len() > self.longest {
                    &text[..self.longest]
                } else {
                    text.strip_suffix(b"\r").unwrap_or(text)
                };
                let text = if self.is_clean {
                    shown(text)
                } else {
                    text.to_vec()
                };
                if regex.is_match(&text) && index >= self.freed {
                    hits.push(Hit {
                        number: index as u64 + 1,
                        start: start as u64,
                        end: end as u64,
                        partial: !line.ends_with(b"\n"),
                    });
                }
                start = end;
            }
            hits.truncate(self.wanted);
            hits
        }

        fn run(&self) -> (Vec<Hit>, Place, SampleLog) {
            let log = SampleLog::holding(self.bytes);
            if self.freed > 0 {
                log.free_lines(self.bytes, self.freed);
            }
            let pattern = Pattern::compile("grep", self.pattern).unwrap();
            let mut hits = Vec::new();
            let mut on_hit = |hit| {
                hits.push(hit);
                if hits.len() < self.wanted {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let mut clean = plain;
            let lines = Lines {
                pattern: &pattern,
                clean: self.is_clean.then_some(&mut clean),
                cleaned: Vec::new(),
                on_hit: &mut on_hit,
                place: Cut::NONE.into(),
            };
            let feed = Feed::new(lines, self.block, self.longest);
            let place = feed.run(log.source(), log.size()).unwrap();
            (hits, place, log)
        }

        fn check(&self) {
            let (hits, place, log) = self.run();
            let expected = self.model();
            let about = format!("{:?} in {:?}", self.pattern, self.bytes.escape_ascii());
            assert_eq!(hits, expected, "{about}, block {}", self.block);
            let finished = self.bytes.iter().rposition(|&b| b == b'\n');
            let finished = finished.map_or(0, |at| at as u64 + 1);
            let stands = match hits.get(self.wanted - 1) {
                Some(last) if !last.partial => last.end,
                _ => finished,
            };
            assert_eq!(place.offset, stands, "{about}");
            assert_eq!(place.lines, lines_before(log.source(), stands).unwrap());
        }
    }

    const PATTERNS: &[&str] = &[
        "a",
        "ab",
        "",
        "^",
        "$",
        "^$",
        "^a",
        "b$",
        r"\Aa",
        r"b\z",
        r"\s",
        r"\s+",
        r"\s*$",
        "[^a]",
        "[^a]+b",
        r"a[^b]*c",
        "(?s)a.*b",
        "(?s).",
        ".",
        r"\r",
        r"\ra",
        r"a\r?$",
        r"\bab\b",
        r"\B",
        r"\Bb",
        "a|b\n|c",
        "(?i)AB",
        "é",
        "aba",
        r"\s*aab",
        r"^aab\b",
        r"bba$",
        "(?i)a.*aba",
        r"\w+\s\w",
        "(?-m)^b",
        "(?-m)c$",
        "(?R)a$",
        "(?R)^b",
        r"(?-u:\xff)",
        r"\x1b",
        r"[[:cntrl:]]",
        r"a{2}",
        "b*?c",
        "(a|b)+$",
        r"\t",
        r"(?s-u:a.b)",
        r"\S$",
        r"^\s*\S+\s*$",
    ];

    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            6 => Just(&b"a"[..]), 6 => Just(&b"b"[..]), 3 => Just(&b"c"[..]),
            6 => Just(&b"\n"[..]), 3 => Just(&b"\r\n"[..]), 1 => Just(&b"\r"[..]),
            1 => Just(&b"\x1b[0m"[..]), 1 => Just(&b"\x08"[..]), 1 => Just(&b"\0"[..]),
            1 => Just(&b"\xff"[..]), 1 => Just("é".as_bytes()), 1 => Just(&b"\t"[..]),
            2 => Just(&b" "[..]), 1 => Just(&b"\x7f"[..]), 1 => Just(&b"aaaabbbbccccaaaabbbbcccc"[..]),
        ];
        proptest::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn a_search_equals_matching_line_by_line(
            bytes in contents(),
            pattern in proptest::sample::select(PATTERNS),
            is_clean: bool,
            block in prop_oneof![1_usize..20, Just(4096)],
            longer in 0_usize..20,
            wanted in prop_oneof![1_usize..4, Just(1000)],
            freed in any::<prop::sample::Index>(),
        ) {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            let freed = freed.index(2 * lines + 1).saturating_sub(lines);
            let longest = block + longer;
            Case { bytes: &bytes, pattern, is_clean, block, longest, wanted, freed }.check();
        }
    }

    fn numbers(bytes: &[u8], pattern: &str, is_clean: bool) -> Vec<u64> {
        let case = Case {
            bytes,
            pattern,
            is_clean,
            block: BLOCK,
            longest: LONGEST,
            wanted: usize::MAX,
            freed: 0,
        };
        case.check();
        case.run().0.iter().map(|hit| hit.number).collect()
    }

    #[test]
    fn what_a_reader_sees_is_what_matches() {
        let log = b"fine\n\x1b[0mer\x1b[0mror\nerror\n10%\r100%\nerr\x07or\r\n";
        assert_eq!(numbers(log, "^error$", true), [2, 3, 5]);
        assert_eq!(numbers(log, "^error$", false), [3]);
        assert_eq!(numbers(log, r"\b10%", true), [0_u64; 0]);
        assert_eq!(numbers(log, r"\b10%", false), [4]);
    }

    #[test]
    fn long_lines_and_many_blocks() {
        let mut log = Vec::new();
        for number in 0..30_000 {
            log.extend(format!("line {number} of many\r\n").into_bytes());
            if number % 10_000 == 0 {
                log.extend(vec![b'y'; number / 10_000 * (LONGEST / 2 + 1)]);
                log.extend(b"needle\n");
            }
        }
        // The third stands behind what is searched of its line.
        assert_eq!(numbers(&log, "needle$", true), [2, 10_003]);
        assert_eq!(numbers(&log, "line 2999[89] .*y$", false), [30_002, 30_003]);
        assert_eq!(numbers(&log, "(?s)1.*?needle", false), [0_u64; 0]);
    }

    #[test]
    fn what_is_freed_while_it_is_searched_is_passed_over() {
        let bytes = b"a0\na1\na2\na3\na4\na5\na6\na7\na8\na9\n";
        for (freed, expected) in [
            (1, vec![1, 2, 3, 4]),
            (5, vec![1, 2, 6, 7]),
            (9, vec![1, 2, 10]),
        ] {
            let log = SampleLog::holding(bytes);
            let pattern = Pattern::compile("grep", "a").unwrap();
            let mut numbers = Vec::new();
            let mut on_hit = |hit: Hit| {
                numbers.push(hit.number);
                if numbers.len() == 2 {
                    log.free_lines(bytes, freed);
                }
                ControlFlow::Continue(())
            };
            let lines = Lines {
                pattern: &pattern,
                clean: None,
                cleaned: Vec::new(),
                on_hit: &mut on_hit,
                place: Cut::NONE.into(),
            };
            let end = Feed::new(lines, 4, 8).run(log.source(), log.size());
            assert_eq!(
                end.unwrap(),
                Place {
                    offset: 30,
                    lines: 10
                }
            );
            numbers.truncate(4);
            assert_eq!(numbers, expected, "{freed} freed");
        }
    }
}
