//! Marks of tasks that are to be removed some time after their end: `ttl/<millis>.<id>`, empty.
//!
//! A mark names the earliest moment at which its task has to be looked at; what is true then is in
//! the task's record. So nobody has to look at tasks to find out that none is due, and where no task
//! was ever given a time there is no folder to read.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Home;
use super::remove::names_in;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::task::TaskId;

const TTL: &str = "ttl";

/// Marks a task. Whoever calls this holds its short lock.
pub(crate) fn mark(home: &Home, id: &TaskId, due: Timestamp) -> Result<()> {
    let name = name_of(id, due);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let make = || openat(home, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR);
    let made = match make() {
        Err(Errno::ENOENT) => {
            home.make_folder(TTL)?;
            make()
        }
        other => other,
    };
    made.map(drop)
        .map_err(|errno| home.error("create", &name, errno))
}

/// Takes a mark away.
pub(crate) fn unmark(home: &Home, id: &TaskId, due: Timestamp) {
    let _ = unlinkat(home, name_of(id, due).as_str(), UnlinkatFlags::NoRemoveDir);
}

/// The tasks that have a mark of a moment that has come, with all of their marks.
pub(crate) fn marked_until(home: &Home, now: Timestamp) -> BTreeMap<TaskId, Vec<Timestamp>> {
    let mut marks: BTreeMap<TaskId, Vec<Timestamp>> = BTreeMap::new();
    for name in names_in(home, TTL) {
        let parsed = name.to_str().ok().and_then(|name| {
            let (millis, id) = name.split_once('.')?;
            Some((TaskId::parse(id).ok()?, millis.parse().ok()?))
        });
        if let Some((id, millis)) = parsed {
            let due = Timestamp::from_millis(millis);
            marks.entry(id).or_default().push(due);
        }
    }
    marks.retain(|_, dues| dues.iter().any(|due| *due <= now));
    marks
}

fn name_of(id: &TaskId, due: Timestamp) -> String {
    format!("{TTL}/{}.{id}", due.as_millis())
}
