//! The one place that prints. One document, indented for a terminal, one line for a program.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::LazyLock;

use background_tasks_core::event::{Frame, FrameData, FrameSink, LineBlock};
use background_tasks_core::op::ListPage;
use background_tasks_core::{Error, enlarge_pipe};
use serde::Serialize;

use crate::envelope::{Failure, Success};
use crate::line_block;
use crate::line_frame::LineFrames;
use crate::piece::Piece;

/// Where frames go, to notice when nobody reads them any more.
pub(crate) fn output() -> BorrowedFd<'static> {
    static STDOUT: LazyLock<io::Stdout> = LazyLock::new(io::stdout);
    STDOUT.as_fd()
}

/// Prints a success and returns `code`.
pub(crate) fn success(command: &str, data: &impl Serialize, code: u8) -> u8 {
    let stdout = io::stdout();
    let indented = stdout.is_terminal();
    match document(stdout.lock(), indented, &Success::of(command, data)) {
        Ok(()) => code,
        Err(error) => unprintable(command, &error),
    }
}

/// So many tasks take more than a pipe has room for, and its reader most of the time.
const MANY_TASKS: usize = 200;

/// Prints a page of tasks in one line, without making values of what is text already.
pub(crate) fn page(page: &ListPage) -> u8 {
    // Not through the standard library's own buffer, which looks for ends of lines.
    if page.len() > MANY_TASKS {
        enlarge_pipe(output());
    }
    let written = output().try_clone_to_owned().and_then(|output| {
        let mut target = BufWriter::with_capacity(Piece::FULL, File::from(output));
        write_page(&mut target, page)
    });
    match written {
        Ok(()) => 0,
        Err(error) => unprintable("list", &error),
    }
}

fn write_page(target: &mut impl Write, page: &ListPage) -> io::Result<()> {
    write!(
        target,
        r#"{{"ok":true,"command":"list","data":{{"total":{},"tasks":["#,
        page.total()
    )?;
    page.for_each_piece(|piece| target.write_all(piece))?;
    target.write_all(br#"],"next":"#)?;
    serde_json::to_writer(&mut *target, &page.next())?;
    target.write_all(b"}}\n")?;
    target.flush()
}

/// The exit status of something that has printed by itself.
pub(crate) fn streamed(command: &str, printed: io::Result<()>) -> u8 {
    printed.map_or_else(|error| unprintable(command, &error), |()| 0)
}

/// Prints an error.
pub(crate) fn failure(command: &str, error: &Error) -> u8 {
    let stderr = io::stderr();
    let indented = stderr.is_terminal();
    // Where not even this can be printed, the exit status is all that is left to say.
    let _ = document(stderr.lock(), indented, &Failure::of(command, error));
    1
}

/// Prints text for people.
pub(crate) fn text(command: &str, text: &str) -> u8 {
    match write_text(text) {
        Ok(()) => 0,
        Err(error) => unprintable(command, &error),
    }
}

fn write_text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    // Nobody flushes it when the program ends.
    stdout.flush()
}

fn document(target: impl Write, indented: bool, document: &impl Serialize) -> io::Result<()> {
    let mut target = BufWriter::with_capacity(Piece::FULL, target);
    if indented {
        serde_json::to_writer_pretty(&mut target, document)?;
    } else {
        serde_json::to_writer(&mut target, document)?;
    }
    target.write_all(b"\n")?;
    target.flush()
}

/// A reader that goes away ends us quietly; any other trouble with standard output is told.
fn unprintable(command: &str, error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return 0;
    }
    failure(
        command,
        &Error::store("write to", Path::new("standard output"), error),
    )
}

/// Prints frames, a line each: at once when nothing more is there to be told, else a good many at
/// a time.
#[derive(Debug, Default)]
pub(crate) struct FramePrinter {
    piece: Piece,
    line: Vec<u8>,
    line_frames: LineFrames,
    /// Standard output without the buffer that cuts what is written at a line's end; opened when so
    /// much has been printed that the pipe is asked for more room.
    output: Option<File>,
    problem: Option<io::Error>,
}

impl FramePrinter {
    /// The exit status of the stream.
    pub(crate) fn finish(mut self, command: &str) -> u8 {
        let _ = self.flush();
        self.problem.map_or(0, |error| unprintable(command, &error))
    }

    fn print(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        self.line.clear();
        match &frame.data {
            FrameData::Line(line) => self.line_frames.write(frame, line, &mut self.line)?,
            FrameData::Facts(_) => serde_json::to_writer(&mut self.line, frame)?,
        }
        self.line.push(b'\n');
        if self.piece.push(&self.line) {
            write_full(&mut self.output, &mut self.piece)?;
        }
        Ok(())
    }

    fn told(&mut self, printed: io::Result<()>) -> ControlFlow<()> {
        match printed {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.problem = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn write_full(output: &mut Option<File>, piece: &mut Piece) -> io::Result<()> {
    let output = match output {
        Some(output) => output,
        None => {
            enlarge_pipe(self::output());
            output.insert(self::output().try_clone_to_owned()?.into())
        }
    };
    piece.write_full(output)
}

impl FrameSink for FramePrinter {
    fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        let printed = self.print(frame);
        self.told(printed)
    }

    fn lines(&mut self, block: &LineBlock<'_>) -> ControlFlow<()> {
        let output = &mut self.output;
        let printed = line_block::write(block, &mut self.piece, |piece| write_full(output, piece));
        self.told(printed)
    }

    fn flush(&mut self) -> ControlFlow<()> {
        if self.problem.is_some() {
            return ControlFlow::Break(());
        }
        if self.piece.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut stdout = io::stdout().lock();
        let printed = self
            .piece
            .write_all(&mut stdout)
            .and_then(|()| stdout.flush());
        self.told(printed)
    }
}

/// A panic is a mistake of ours; it is told like any other error and ends the program.
pub(crate) fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        failure(
            "internal",
            &Error::Internal {
                message: panic.to_string(),
            },
        );
        std::process::exit(1);
    }));
}
