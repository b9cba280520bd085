//! The one place that prints. One document, indented for a terminal, one line for a program.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use background_tasks_core::Error;
use background_tasks_core::event::Frame;
use serde::Serialize;

use crate::envelope::{Failure, Success};

/// Prints a success and returns `code`.
pub(crate) fn success(command: &str, data: &impl Serialize, code: u8) -> ExitCode {
    let stdout = io::stdout();
    let indented = stdout.is_terminal();
    match document(stdout.lock(), indented, &Success::of(command, data)) {
        Ok(()) => ExitCode::from(code),
        Err(error) => unprintable(command, &error),
    }
}

/// Prints an error.
pub(crate) fn failure(command: &str, error: &Error) -> ExitCode {
    let stderr = io::stderr();
    let indented = stderr.is_terminal();
    // Where not even this can be printed, the exit status is all that is left to say.
    let _ = document(stderr.lock(), indented, &Failure::of(command, error));
    ExitCode::FAILURE
}

/// Prints text for people.
pub(crate) fn text(command: &str, text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unprintable(command, &error),
    }
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
fn unprintable(command: &str, error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
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
    pub(crate) fn finish(self, command: &str) -> ExitCode {
        self.problem
            .map_or(ExitCode::SUCCESS, |error| unprintable(command, &error))
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
