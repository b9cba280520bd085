//! A command that runs in a terminal. Only here does output pass through the supervisor: it reads
//! what the terminal shows and appends it to the log, and types in what is sent.
//!
//! Nothing waits and nothing is done at length: a command that writes without pause, or reads
//! nothing, must not keep a signal or a wish from being heard.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::signals::{Concern, Listen};
use crate::clock::Deadline;
use crate::process::PseudoTerminal;
use crate::store::{Fifo, TaskDir, file};
use crate::task::Pty;

/// How much is read before it is written to the log.
const BLOCK: usize = 64 << 10;
/// How much is read before others get their turn.
const TURN: usize = 4 * BLOCK;
/// More than the kernel keeps of what was written to a terminal: what comes beyond is from
/// processes that are still alive.
const MOST_LEFT: usize = 4 * BLOCK;
/// How much is typed at once: what a terminal takes without its program having read any.
const KEYS: usize = 4096;
/// Nobody has the terminal open. Whose controlling terminal it is may open it again, which is told
/// by nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The supervisor's side of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: File,
    /// Where `send` writes. What the terminal has no room for stays there, so that `send` waits.
    /// With both ends open it never hangs up.
    typed: Typed,
    /// Taken from there, and not typed yet.
    pending: Vec<u8>,
    /// Set while nobody has the terminal open: when to look again.
    abandoned: Option<Deadline>,
}

#[derive(Debug)]
struct Typed {
    reader: File,
    _writer: OwnedFd,
}

impl Terminal {
    /// Opens a terminal; also what the command gets of it.
    pub(crate) fn open(dir: &TaskDir, size: Pty) -> Result<(Self, OwnedFd), Errno> {
        let Fifo { reader, writer } = Fifo::replace(dir, file::INPUT)?;
        let PseudoTerminal { master, slave } = PseudoTerminal::open(size.cols, size.rows)?;
        let terminal = Self {
            master: master.into(),
            typed: Typed {
                reader: reader.into(),
                _writer: writer,
            },
            pending: Vec::new(),
            abandoned: None,
        };
        Ok((terminal, slave))
    }

    /// While a key waits for room, the FIFO is left alone.
    pub(super) fn listen(&self) -> [Option<Listen<'_>>; 2] {
        if self.abandoned.is_some() {
            // It would tell of that without end.
            return [None, None];
        }
        let mut master = Listen::to(self.master.as_fd(), Concern::Terminal);
        if self.pending.is_empty() {
            let typed = Listen::to(self.typed.reader.as_fd(), Concern::Input);
            [Some(master), Some(typed)]
        } else {
            master.events |= PollFlags::POLLOUT;
            [Some(master), None]
        }
    }

    pub(super) fn due(&self) -> Deadline {
        self.abandoned.unwrap_or(Deadline::NEVER)
    }

    pub(super) fn attend(&mut self, heard: &[Concern], log: &File) {
        let told = heard.contains(&Concern::Terminal);
        if told || self.due().has_passed() {
            self.show(log, TURN);
        }
        if heard.contains(&Concern::Input) || (told && !self.pending.is_empty()) {
            self.type_in();
        }
    }

    /// Takes in what is left of a command that has ended.
    pub(super) fn drain(&mut self, log: &File) {
        self.show(log, MOST_LEFT);
    }

    /// Appends to the log what the terminal has to show, at most about so much.
    fn show(&mut self, log: &File, most: usize) {
        let mut block = vec![0; BLOCK];
        let mut shown = 0;
        let mut more = true;
        while more && shown < most {
            let mut filled = 0;
            // A terminal gives little at a time.
            while more && filled < BLOCK {
                let n = self.read(&mut block[filled..]);
                filled += n;
                more = n > 0;
            }
            append(log, &block[..filled]);
            shown += filled;
        }
    }

    /// 0 when there is nothing now.
    fn read(&mut self, room: &mut [u8]) -> usize {
        loop {
            let n = match self.master.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
                // Nobody has it open: EIO on Linux, an end elsewhere.
                Ok(0) | Err(_) => None,
                Ok(n) => Some(n),
            };
            self.abandoned = n.is_none().then(|| Deadline::after(LOOK_AGAIN));
            return n.unwrap_or(0);
        }
    }

    /// Types what was sent, as much as there is room for.
    fn type_in(&mut self) {
        if self.pending.is_empty() {
            let mut keys = vec![0; KEYS];
            // Nothing there, or interrupted: it is told again.
            let n = self.typed.reader.read(&mut keys).unwrap_or(0);
            keys.truncate(n);
            self.pending = keys;
        }
        match self.master.write(&self.pending) {
            Ok(n) => drop(self.pending.drain(..n)),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // Nobody is there to read it.
            Err(_) => self.pending.clear(),
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
    }
}

/// On a full disk output is lost; the command goes on.
fn append(mut log: &File, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match log.write(bytes) {
            Ok(n) if n > 0 => bytes = &bytes[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}
