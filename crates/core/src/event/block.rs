//! Many lines at once: a stream of a large log is limited by what is done for each line.

use std::borrow::Cow;
use std::ops::Range;

use super::{Frame, FrameData, LineData, StreamName};
use crate::clock::Timestamp;
use crate::log::{Cursor, CursorSeries, CursorWriter, PlainLines, Position};
use crate::task::{Generation, TaskId};

/// Lines of one log that follow each other and have one time, as the frames that they stand for.
#[derive(Clone, Debug)]
pub struct LineBlock<'a> {
    task_id: &'a TaskId,
    sequence: u64,
    timestamp: Timestamp,
    stream: StreamName,
    before: Position,
    text: &'a str,
    ends: Cow<'a, [u32]>,
    /// Where a reader of all of them stands.
    behind: Cursor,
    cursors: CursorWriter,
}

/// One of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLine {
    /// Where it is in the text, without its end.
    pub place: Range<usize>,
    /// Counts from 1, within its stream.
    pub number: u64,
    /// How many bytes of the log are behind its reader.
    pub end: u64,
}

impl<'a> LineBlock<'a> {
    /// The whole lines of `text`, as if they stood at the beginning of a log; for those who try a
    /// sink.
    pub fn new(
        task_id: &'a TaskId,
        generation: &Generation,
        timestamp: Timestamp,
        stream: StreamName,
        text: &'a str,
    ) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let ends: Vec<u32> = ends.map_while(|at| u32::try_from(at + 1).ok()).collect();
        let cursors = CursorWriter::new(task_id, generation);
        let behind = Cursor::start_of(generation.clone());
        let before = Position::default();
        Self {
            task_id,
            sequence: 0,
            timestamp,
            stream,
            before,
            text,
            ends: ends.into(),
            behind,
            cursors,
        }
    }

    /// What was just read of a log of the task, once the cursor stands behind it.
    pub(super) fn read(
        task_id: &'a TaskId,
        timestamp: Timestamp,
        stream: StreamName,
        lines: PlainLines<'a>,
        (behind, cursors): (&Cursor, &CursorWriter),
    ) -> Self {
        let PlainLines { before, text, ends } = lines;
        Self {
            task_id,
            sequence: 0,
            timestamp,
            stream,
            before,
            text,
            ends: ends.into(),
            behind: behind.clone(),
            cursors: cursors.clone(),
        }
    }

    /// Counted by the stream, which may be about several tasks.
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The task.
    pub fn task_id(&self) -> &'a TaskId {
        self.task_id
    }

    /// The sequence number of the first frame.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When the lines were complete.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Where they were written to.
    pub fn stream(&self) -> StreamName {
        self.stream
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The text of all of them, each with its `\n`.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = BlockLine> {
        let mut start = 0;
        let before = self.before;
        self.ends
            .iter()
            .zip(before.lines + 1..)
            .map(move |(&end, number)| {
                let end = end as usize;
                let line = BlockLine {
                    place: start..end - 1,
                    number,
                    end: before.offset + end as u64,
                };
                start = end;
                line
            })
    }

    /// The cursors behind them.
    pub fn cursors(&self) -> CursorSeries {
        CursorSeries::new(&self.cursors, &self.behind, self.stream.0)
    }

    /// The frames that they stand for.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'a>> {
        let mut at = self.behind.clone();
        let cursors = self.cursors.clone();
        let (timestamp, stream, task_id) = (self.timestamp, self.stream, self.task_id);
        let text = self.text;
        self.lines()
            .zip(self.sequence..)
            .map(move |(line, sequence)| {
                *at.position_mut(stream.0) = Position {
                    offset: line.end,
                    lines: line.number,
                    mid_line: false,
                };
                Frame {
                    r#type: Cow::Borrowed(Frame::LINE),
                    task_id: Cow::Borrowed(task_id),
                    sequence,
                    timestamp,
                    data: FrameData::Line(LineData {
                        line: Cow::Borrowed(&text[line.place]),
                        number: line.number,
                        stream,
                        partial: false,
                        continues: false,
                    }),
                    cursor: cursors.write(&at),
                }
            })
    }
}
