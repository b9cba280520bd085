//! Searching the logs of a task.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use super::span::line_at;
use super::{LogReader, OpenLog, source};
use crate::clock::Timestamp;
use crate::log::block::BLOCK;
use crate::log::{
    Hit, LogSource, LogStream, Pattern, Place, Position, Renderer, Unfinished, View, last_lines,
    search,
};
use crate::store::TaskDir;

/// Of a line that is longer only so much is searched, and so much of it is looked at clean.
pub(crate) const LONGEST: usize = 1 << 20;

/// A line that matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    pub stream: LogStream,
    pub hit: Hit,
    pub written_at: Timestamp,
}

/// What a search of the logs has found.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// In the order of time.
    pub found: Vec<Match>,
    /// Whether there are more.
    pub more: bool,
}

impl LogReader {
    /// Searches what is behind the reader, within `since` and `until`, for the first `most` matches.
    /// The reader stands behind what was searched afterwards; where there are more matches, behind
    /// the last one that was found.
    pub(crate) fn search(
        &mut self,
        dir: &TaskDir,
        pattern: &Pattern,
        most: usize,
    ) -> io::Result<Matches> {
        let mut found = Vec::new();
        let mut behind = Vec::new();
        for at in 0..self.logs.len() {
            let (hits, end) = self.search_log(&self.logs[at], dir, pattern, most)?;
            let stream = self.logs[at].stream;
            found.extend(hits.into_iter().map(|hit| Match {
                stream,
                hit,
                written_at: self.written_at(at, hit.end),
            }));
            behind.push((stream, end));
        }
        found.sort_by_key(|found| found.written_at);
        let more = found.len() > most;
        for (stream, end) in behind {
            let of_log = |found: &&Match| found.stream == stream;
            let left = found.get(most..).unwrap_or_default();
            let taken = &found[..most.min(found.len())];
            let position = match taken.iter().rfind(of_log) {
                Some(last) if left.iter().any(|found| found.stream == stream) => {
                    behind_hit(&last.hit)
                }
                Some(last) if last.hit.partial => behind_hit(&last.hit),
                None if left.iter().any(|found| found.stream == stream) => continue,
                _ => end.into(),
            };
            self.seek(stream, position);
        }
        found.truncate(most);
        Ok(Matches { found, more })
    }

    /// Goes on to where a line may match, up to `limit` of each log: what is passed over is searched
    /// by the block, and does not match.
    pub(crate) fn pass_over_misses(
        &mut self,
        dir: &TaskDir,
        limit: impl Fn(LogStream, u64) -> u64,
        pattern: &Pattern,
    ) -> io::Result<()> {
        let mut block = Vec::new();
        for at in 0..self.logs.len() {
            let log = &self.logs[at];
            let to = limit(log.stream, log.size).min(log.to);
            while self.pass_over_block(at, dir, to, pattern, &mut block)? {}
        }
        Ok(())
    }

    /// The same of a block; whether there may be more of it.
    fn pass_over_block(
        &mut self,
        at: usize,
        dir: &TaskDir,
        to: u64,
        pattern: &Pattern,
        block: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let log = &self.logs[at];
        let (stream, before) = (log.stream, log.lines.position());
        if before.mid_line || to <= before.offset {
            return Ok(false);
        }
        let wanted = usize::try_from(to - before.offset).unwrap_or(BLOCK);
        let wanted = wanted.min(BLOCK);
        if block.len() < wanted {
            block.resize(wanted, 0);
        }
        let n = log.file.read_at(&mut block[..wanted], before.offset)?;
        let plain = plain_lines(&block[..n], self.look.view == View::Raw);
        if plain == 0 {
            return Ok(false);
        }
        let from = Place {
            offset: before.offset,
            lines: before.lines,
        };
        let end = before.offset + plain as u64;
        let (hits, end) = self.search_span(log, dir, pattern, from, end, 0)?;
        // What has been freed meanwhile has to be told of.
        if source(log, dir, &self.generation).cut().offset > before.offset {
            return Ok(false);
        }
        let position = hits.first().map_or_else(
            || end.into(),
            |hit| Position {
                offset: hit.start,
                lines: hit.number - 1,
                mid_line: false,
            },
        );
        if position.offset > before.offset {
            self.seek(stream, position);
        }
        Ok(hits.is_empty() && position.offset > before.offset)
    }

    fn search_log(
        &self,
        log: &OpenLog,
        dir: &TaskDir,
        pattern: &Pattern,
        most: usize,
    ) -> io::Result<(Vec<Hit>, Place)> {
        let span = self.span(log, dir)?;
        let position = log.lines.position();
        let from = if position.offset > span.from.offset {
            Place {
                offset: position.offset,
                lines: position.lines,
            }
        } else {
            span.from
        };
        self.search_span(log, dir, pattern, from, span.to, most)
    }

    /// Stops at the first match behind `most`.
    fn search_span(
        &self,
        log: &OpenLog,
        dir: &TaskDir,
        pattern: &Pattern,
        from: Place,
        to: u64,
        most: usize,
    ) -> io::Result<(Vec<Hit>, Place)> {
        let mut renderer = Renderer::new(View::Clean, LONGEST);
        let mut clean = |line: &[u8], text: &mut Vec<u8>| {
            text.extend_from_slice(renderer.whole(line, true).text.as_bytes());
        };
        let mut hits = Vec::new();
        let end = search(
            source(log, dir, &self.generation),
            pattern,
            (self.look.view == View::Clean).then_some(&mut clean),
            from,
            to,
            &mut |hit| {
                hits.push(hit);
                if hits.len() > most {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )?;
        Ok((hits, end))
    }

    /// The text of a match with up to `context` lines before and after it, of the same log. Whether
    /// it was cut. Moves the reader.
    pub(crate) fn show_match(
        &mut self,
        dir: &TaskDir,
        found: &Match,
        context: usize,
    ) -> io::Result<ShownMatch> {
        let Some(at) = self.logs.iter().position(|log| log.stream == found.stream) else {
            return Ok(ShownMatch::default());
        };
        // Behind a cursor the rest of a line may match; what stands before it is no line.
        let log = &self.logs[at];
        let line_start = line_at(source(log, dir, &self.generation), found.hit.start)?.offset;
        let starts = last_lines(source(log, dir, &self.generation), line_start, context)?;
        let mut shown = ShownMatch::default();
        let first = starts.first().copied().unwrap_or(line_start);
        self.show_from(at, dir, first, starts.len(), &mut |text, clipped| {
            shown.before.push(text);
            shown.clipped += clipped;
        })?;
        let mut line = None;
        self.show_from(
            at,
            dir,
            found.hit.start,
            1 + context,
            &mut |text, clipped| {
                match line {
                    None => line = Some(text),
                    Some(_) => shown.after.push(text),
                }
                shown.clipped += clipped;
            },
        )?;
        shown.line = line.unwrap_or_default();
        Ok(shown)
    }

    /// Tells so many lines from there on, and of each whether it was cut. Their numbers are not
    /// asked for.
    fn show_from(
        &mut self,
        at: usize,
        dir: &TaskDir,
        offset: u64,
        count: usize,
        on_line: &mut dyn FnMut(String, usize),
    ) -> io::Result<()> {
        let log = &mut self.logs[at];
        let position = Position {
            offset,
            ..Position::default()
        };
        log.lines.seek(position, self.look.max_line_bytes);
        for _ in 0..count {
            // Beside `log.lines`, which is changed.
            let source = LogSource {
                file: &log.file,
                dir,
                stream: log.stream,
                generation: &self.generation,
            };
            let next = log.lines.find(source, log.size, Unfinished::GiveAll)?;
            let Some(next) = next else { break };
            let text = log.lines.give(&next);
            on_line(text.text.to_owned(), usize::from(text.clipped));
        }
        Ok(())
    }
}

/// How long the whole lines at the beginning of a block are that look the same to a search as to a
/// reader: one is shown what is no UTF-8 or a control character of two bytes in another form, and in the
/// raw view carriage returns at the ends of lines.
fn plain_lines(block: &[u8], is_raw: bool) -> usize {
    let is_strange = |byte: &u8| !byte.is_ascii() || is_raw && *byte == b'\r';
    let plain = match block.is_ascii() && !is_raw {
        true => block.len(),
        false => block.iter().position(is_strange).unwrap_or(block.len()),
    };
    memchr::memrchr(b'\n', &block[..plain]).map_or(0, |at| at + 1)
}

/// A match as it is shown.
#[derive(Debug, Default)]
pub(crate) struct ShownMatch {
    pub line: String,
    pub before: Vec<String>,
    pub after: Vec<String>,
    pub clipped: usize,
}

fn behind_hit(hit: &Hit) -> Position {
    Position {
        offset: hit.end,
        lines: hit.number - u64::from(hit.partial),
        mid_line: hit.partial,
    }
}
