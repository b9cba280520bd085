//! The folder with the task folders, for those who look at many tasks.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::format::{FORMAT_VERSION, stat};
use super::home::{LOGS, TASKS};
use super::{FolderState, FreshTasks, Home, Identity, TaskDir, file};
use crate::error::Result;
use crate::task::{Facets, Task, TaskId, TaskRecord, tell_plain_end};

/// A larger record is read in the usual way.
const LARGEST: usize = 64 << 10;

/// The folder, with what is used again for each task.
#[derive(Debug)]
pub(crate) struct TasksFolder {
    fd: OwnedFd,
    name: String,
    record: Vec<u8>,
    /// The folder of logs, as the inside of a JSON text.
    logs: String,
    /// Whether the kernel opens a file two folders down without following symbolic links.
    opens_at_once: bool,
}

/// The names in there, with the inodes that they stand for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: Vec<u8>,
    /// Inode; where the name begins, and its length.
    each: Vec<(u64, usize, u8)>,
}

impl Names {
    /// Nothing that is longer than an id is a task.
    pub(super) fn add(&mut self, inode: u64, name: &[u8]) {
        if let Ok(len @ 1..) = u8::try_from(name.len()) {
            self.each.push((inode, self.text.len(), len));
            self.text.extend_from_slice(name);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    /// Inode and name of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let name = |at: usize, len: u8| &self.text[at..at + usize::from(len)];
        self.each
            .iter()
            .map(move |&(inode, at, len)| (inode, name(at, len)))
    }
}

impl TasksFolder {
    /// Opens it; `None` when there is none yet.
    ///
    /// # Errors
    /// [`crate::Error::Store`] when it cannot be opened.
    pub(crate) fn open(home: &Home) -> Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match openat(home, TASKS, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                fd,
                name: String::new(),
                logs: inside_of_json(&home.path().join(LOGS)),
                record: vec![0; 4096],
                opens_at_once: cfg!(target_os = "linux"),
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(home.error("read", TASKS, errno)),
        }
    }

    /// What tells that the same names are in there; `None` while a change might not show.
    pub(crate) fn state(&self) -> Option<FolderState> {
        FolderState::settled(&self.fd)
    }

    /// The names of what is in there, tasks or not.
    ///
    /// # Errors
    /// [`crate::Error::Store`] when it cannot be read.
    pub(crate) fn names(&self, home: &Home) -> Result<Names> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let read = |errno| home.error("read", TASKS, errno);
        let mut names = Names::default();
        for entry in Dir::openat(&self.fd, ".", flags, Mode::empty()).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") {
                names.add(entry.ino(), name);
            }
        }
        Ok(names)
    }

    /// Reads a task whose end is on record, so that nothing but the record says how it fares. `None`
    /// where the record says anything else, or cannot be read in this way: then it has to be
    /// observed. With the inode of its folder, it is made ready to be kept.
    pub(crate) fn read_ended(
        &mut self,
        home: &Home,
        id: &TaskId,
        inode: Option<u64>,
        tasks: &mut FreshTasks,
    ) -> Option<()> {
        let (len, identity) = self.read(id, inode.is_some())?;
        // Checked once for all strings in it.
        let text = std::str::from_utf8(&self.record[..len]).ok()?;
        let (inode, identity) = (inode.unwrap_or(0), identity.as_ref());
        let added = tasks.add(inode, identity, |view| {
            let end = tell_plain_end(text, id, &self.logs, view)?;
            Some((end.facets, end.cleared))
        });
        if added.is_some() {
            return added;
        }
        let record: TaskRecord = serde_json::from_str(text).ok()?;
        let fits = record.version <= FORMAT_VERSION
            && record.id == *id
            && record.facts.state.status().is_terminal();
        if !fits {
            return None;
        }
        let task = Task::of(&record, &home.log_path(id), false);
        tasks.add(inode, identity, |view| {
            serde_json::to_writer(view, &task).ok()?;
            Some((Facets::of(&task)?, record.facts.cleared))
        })
    }

    /// Reads a record; returns its length, and which file it is where that is `wanted`.
    fn read(&mut self, id: &TaskId, wanted: bool) -> Option<(usize, Option<Identity>)> {
        let mut file = self.open_record(id)?;
        let stat = if wanted { fstat(&file).ok() } else { None };
        let identity = stat.map(|stat| Identity::of(&stat));
        loop {
            let len = file.read(&mut self.record).ok()?;
            // A short read of a regular file is its end.
            if len < self.record.len() {
                return Some((len, identity));
            }
            if len > LARGEST {
                return None;
            }
            self.record.resize(len * 2, 0);
            file = self.open_record(id)?;
        }
    }

    fn open_record(&mut self, id: &TaskId) -> Option<File> {
        if self.opens_at_once {
            self.name.clear();
            self.name.push_str(id.as_str());
            self.name.push('/');
            self.name.push_str(file::RECORD);
            match open_below(self.fd.as_fd(), &self.name) {
                Ok(fd) => return Some(File::from(fd)),
                // Before Linux 5.6, or forbidden by a filter of system calls.
                Err(Errno::ENOSYS | Errno::EPERM) => self.opens_at_once = false,
                Err(_) => return None,
            }
        }
        let dir = TaskDir::open_at(self.fd.as_fd(), id.as_str()).ok()?;
        super::format::open_for_reading(dir.as_fd(), file::RECORD).ok()
    }

    /// Which file stands in the place of a task's record now.
    pub(crate) fn identity(&self, id: &str) -> Option<Identity> {
        let name = format!("{id}/{}", file::RECORD);
        let stat = stat(&self.fd, &name).ok()??;
        Some(Identity::of(&stat))
    }
}

fn inside_of_json(path: &Path) -> String {
    let text = serde_json::to_string(&path.to_string_lossy()).unwrap_or_default();
    text.trim_matches('"').to_owned()
}

#[cfg(target_os = "linux")]
fn open_below(dir: BorrowedFd<'_>, name: &str) -> std::result::Result<OwnedFd, Errno> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS;
    openat2(dir, name, OpenHow::new().flags(flags).resolve(resolve))
}

#[cfg(not(target_os = "linux"))]
fn open_below(_: BorrowedFd<'_>, _: &str) -> std::result::Result<OwnedFd, Errno> {
    Err(Errno::ENOSYS)
}
