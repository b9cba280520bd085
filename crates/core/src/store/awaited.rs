//! `after.json`: there until the tasks that a task is to run after have got where they must.
//!
//! So whoever restarts the task later knows that it need not wait for them again.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, TaskDir, decode, file, read_all, write_aside};
use crate::task::{Generation, TaskId};

/// The content of `after.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    version: u32,
    generation: Generation,
    /// Those whose own start came to nothing, in the batch that started this task.
    pub not_started: Vec<TaskId>,
}

impl Awaited {
    /// Says that a start of a task waits for others.
    pub(crate) fn write(
        dir: &TaskDir,
        generation: &Generation,
        not_started: Vec<TaskId>,
    ) -> io::Result<()> {
        let awaited = Self {
            version: FORMAT_VERSION,
            generation: generation.clone(),
            not_started,
        };
        write_aside(dir.as_fd(), file::AWAITED, &serde_json::to_vec(&awaited)?)
    }

    /// What is still waited for by this start of the task, if anything is. What cannot be read says
    /// no more than that something is.
    pub(crate) fn read(dir: &TaskDir, generation: &Generation) -> Option<Self> {
        let bytes = read_all(dir.as_fd(), file::AWAITED).ok()?;
        let awaited = decode(&bytes).unwrap_or_else(|_| Self {
            version: FORMAT_VERSION,
            generation: generation.clone(),
            not_started: Vec::new(),
        });
        (awaited.generation == *generation).then_some(awaited)
    }

    /// Nothing is waited for any more.
    pub(crate) fn remove(dir: &TaskDir) -> io::Result<()> {
        match unlinkat(dir, file::AWAITED, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
