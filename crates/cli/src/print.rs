//! The one place that prints. One document, indented for a terminal, one line for a program.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::LazyLock;

use background_tasks_core::Error;
use background_tasks_core::event::Frame;
use serde::Serialize;

use crate::envelope::{Failure, Success};

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
    let mut target = BufWriter::with_capacity(32 << 10, target);
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
    let message = format!("cannot write to standard output: {error}");
    failure(command, &Error::Internal { message })
}

/// Prints frames, a line each, as they come.
#[derive(Debug, Default)]
pub(crate) struct FramePrinter {
    problem: Option<io::Error>,
}

impl FramePrinter {
    /// Prints one frame at once: whoever follows wants it now.
    pub(crate) fn print(&mut self, frame: &Frame) -> ControlFlow<()> {
        match line(frame) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.problem = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The exit status of the stream.
    pub(crate) fn finish(self, command: &str) -> u8 {
        self.problem.map_or(0, |error| unprintable(command, &error))
    }
}

fn line(frame: &Frame) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(frame)?;
    bytes.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
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
