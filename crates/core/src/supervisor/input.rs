//! What a run's command reads, and what the supervisor has to do for it: mostly nothing.
//!
//! | `stdin` | descriptor 0 of the command | what the supervisor keeps |
//! |---|---|---|
//! | null, a text, a file | opened for reading | nothing |
//! | open | the read end of the FIFO `stdin` | its write end, so that the input goes on between two `send` |
//! | a terminal | the terminal | its other side; see `terminal.rs` |

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, fstat};

use super::handshake::SpawnFailure;
use super::launch::errno_of;
use super::log_file::remove;
use super::signals::{Concern, Listen};
use super::terminal::Terminal;
use crate::clock::Deadline;
use crate::error::SpawnStep;
use crate::store::{Fifo, TaskDir, file, open_text, open_writer};
use crate::task::{Stdin, TaskRecord, TaskSpec};

/// The standard input of a command that is about to be executed.
pub(crate) struct Prepared {
    /// Its descriptor 0.
    pub stdin: OwnedFd,
    /// What there is to look after.
    pub input: Option<Input>,
}

/// An input that something can be sent to.
#[derive(Debug)]
pub(crate) enum Input {
    Open(OpenInput),
    Terminal(Terminal),
}

/// The supervisor's part of a FIFO that the command reads from.
#[derive(Debug)]
pub(crate) struct OpenInput {
    /// Dropped when somebody says that this was all.
    _writer: OwnedFd,
    /// Where they say it. A signal would not do: by itself it means a stop.
    end: Fifo,
}

impl Prepared {
    /// Opens what the spec asks for.
    pub(crate) fn open(dir: &TaskDir, record: &TaskRecord) -> Result<Self, SpawnFailure> {
        let failure = |subject: &str, errno| SpawnFailure::new(SpawnStep::Stdin, subject, errno);
        let spec = &record.spec;
        if let Some(size) = spec.pty {
            let (terminal, slave) =
                Terminal::open(dir, size).map_err(|errno| failure("pty", errno))?;
            return Ok(Self {
                stdin: slave,
                input: Some(Input::Terminal(terminal)),
            });
        }
        let (stdin, input) = match &spec.stdin {
            Stdin::Null => {
                let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
                let null = open("/dev/null", flags, Mode::empty())
                    .map_err(|errno| failure("/dev/null", errno))?;
                (null, None)
            }
            Stdin::Text(_) => {
                let text = open_text(dir, &record.facts.generation)
                    .map_err(|error| errno_of(&error))
                    .and_then(|text| waiting(text.into()));
                (
                    text.map_err(|errno| failure(file::INPUT_TEXT, errno))?,
                    None,
                )
            }
            Stdin::File(path) => (open_file(path)?, None),
            Stdin::Open => {
                let (reader, input) =
                    OpenInput::begin(dir).map_err(|errno| failure(file::INPUT, errno))?;
                (reader, Some(Input::Open(input)))
            }
        };
        Ok(Self { stdin, input })
    }

    /// Whether it is a terminal, and so the command's output as well.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.input, Some(Input::Terminal(_)))
    }
}

/// Opens what was named. A FIFO or a socket is refused: whoever opens one may wait for ever, and a
/// restart would find what the run before has left of it.
fn open_file(path: &Path) -> Result<OwnedFd, SpawnFailure> {
    let failure = |errno| SpawnFailure::new(SpawnStep::Stdin, path.to_string_lossy(), errno);
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = open(path, flags, Mode::empty()).map_err(failure)?;
    match fstat(&file).map_err(failure)?.st_mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFCHR | libc::S_IFBLK => waiting(file).map_err(failure),
        libc::S_IFDIR => Err(failure(Errno::EISDIR)),
        _ => Err(failure(Errno::EINVAL)
            .explained("it is neither a regular file nor a device; use \"stdin\": \"open\"")),
    }
}

/// The same descriptor without `O_NONBLOCK`, which few commands are prepared for.
fn waiting(file: OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file)
}

impl OpenInput {
    fn begin(dir: &TaskDir) -> Result<(OwnedFd, Self), Errno> {
        let end = Fifo::replace(dir, file::INPUT_END)?;
        let Fifo { reader, writer } = Fifo::replace(dir, file::INPUT)?;
        let input = Self {
            _writer: writer,
            end,
        };
        Ok((waiting(reader)?, input))
    }
}

impl Input {
    /// The input of a run that another supervisor has executed, if its command still reads it and
    /// nobody has said that this was all.
    pub(crate) fn regained(dir: &TaskDir, spec: &TaskSpec) -> Option<Self> {
        if spec.pty.is_some() || spec.stdin != Stdin::Open {
            return None;
        }
        let writer = open_writer(dir, file::INPUT).ok()?;
        let end = Fifo::replace(dir, file::INPUT_END).ok()?;
        Some(Self::Open(OpenInput {
            _writer: writer.into(),
            end,
        }))
    }

    /// What to listen to.
    pub(crate) fn listen(&self) -> impl Iterator<Item = Listen<'_>> {
        let sources = match self {
            Self::Open(open) => {
                let end = open.end.reader.as_fd();
                [Some(Listen::to(end, Concern::Input)), None]
            }
            Self::Terminal(terminal) => terminal.listen(),
        };
        sources.into_iter().flatten()
    }

    /// When to look without having been told.
    pub(crate) fn due(&self) -> Deadline {
        match self {
            Self::Open(_) => Deadline::NEVER,
            Self::Terminal(terminal) => terminal.due(),
        }
    }

    /// Does what there is to do. `false`: this was all that could be sent.
    pub(crate) fn attend(&mut self, heard: &[Concern], log: &File) -> bool {
        match self {
            Self::Open(_) => !heard.contains(&Concern::Input),
            Self::Terminal(terminal) => {
                terminal.attend(heard, log);
                true
            }
        }
    }

    /// Takes in what the command wrote last. To be called before its end is told.
    pub(crate) fn drain(&mut self, log: &File) {
        if let Self::Terminal(terminal) = self {
            terminal.drain(log);
        }
    }

    /// Ends it. The names go first: whoever sees the FIFOs hang up finds none.
    pub(crate) fn close(self, dir: &TaskDir) {
        let _ = remove_names(dir);
        drop(self);
    }
}

/// Takes away the names of an input that nobody looks after.
pub(crate) fn remove_names(dir: &TaskDir) -> io::Result<()> {
    remove(dir, file::INPUT)?;
    remove(dir, file::INPUT_END)
}
