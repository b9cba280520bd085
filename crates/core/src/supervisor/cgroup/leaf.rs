//! The group of one run.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, mkdir, unlinkat};

use super::{Controller, PREFIX, SUPERVISORS, enable, write};
use crate::clock::Deadline;
use crate::process;
use crate::store::{Home, TASKS, TaskDir, file, read_all, write_aside};
use crate::supervisor::log_file::remove;
use crate::supervisor::tree::is_supervisor;
use crate::task::{RunToken, TaskId};
use crate::wait::poll_timeout;

/// How long the kernel may take to let go of a process that has been reaped.
const LETTING_GO: Duration = Duration::from_millis(200);
/// Between two attempts where nothing tells when the next is due.
const A_MOMENT: Duration = Duration::from_millis(2);

/// The group of one run: the main process begins in it, so everything that it starts is in it too.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    folder: PathBuf,
}

impl Leaf {
    /// Makes the group of a run below another, with its settings: file and value, each. Where it is
    /// is written down first, so that whoever comes after a supervisor that was killed finds it.
    pub(crate) fn make(
        dir: &TaskDir,
        id: &TaskId,
        token: &RunToken,
        place: &Place,
    ) -> io::Result<Self> {
        sweep_leaf(dir);
        let leaf = Self {
            folder: place.folder.join(name_of(id, token)),
        };
        let path = leaf.folder.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        write_aside(dir.as_fd(), file::CGROUP, path.as_bytes())?;
        let made = leaf.set_up(place);
        if made.is_err() {
            leaf.remove(dir);
        }
        made.map(|()| leaf)
    }

    fn set_up(&self, place: &Place) -> io::Result<()> {
        enable(&place.folder, &place.controllers)?;
        mkdir(&self.folder, Mode::S_IRWXU | Mode::S_IRGRP | Mode::S_IXGRP)?;
        self.configure(&place.settings)
    }

    fn configure(&self, settings: &[Setting]) -> io::Result<()> {
        for setting in settings {
            match write(&self.folder, setting.file, &setting.value) {
                Err(error) if setting.optional && error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The group of a run that another supervisor has executed.
    pub(crate) fn of_run(dir: &TaskDir, id: &TaskId, token: &RunToken) -> Option<Self> {
        let folder = recorded(dir)?;
        let is_of_run = folder.file_name()? == name_of(id, token).as_str();
        (is_of_run && folder.is_dir()).then_some(Self { folder })
    }

    pub(crate) fn open(&self) -> Result<OwnedFd, Errno> {
        process::open_group(&self.folder)
    }

    /// The living processes in it and in the groups that the command has made below. Empty when
    /// the supervisor of another task is among them: then who is below whom decides, not this.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for folder in self.folders() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        // A process of another pid namespace is shown as 0.
        pids.retain(|&pid| pid > 1);
        if pids.iter().any(|&pid| is_supervisor(pid)) {
            pids.clear();
        }
        pids
    }

    /// Kills every process in it at once, those that are just being forked included. Not if there
    /// is none, if the supervisor of another task is among them, or on a kernel before 5.14.
    pub(crate) fn kill(&self) -> bool {
        !self.pids().is_empty() && write(&self.folder, "cgroup.kill", "1").is_ok()
    }

    /// Whether the kernel has killed anything in it for want of memory.
    pub(crate) fn has_run_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        count(&events, "oom_kill") > 0
    }

    /// Removes it, once nothing in it is alive.
    pub(crate) fn remove(&self, dir: &TaskDir) {
        let deadline = Deadline::after(LETTING_GO);
        while matches!(self.try_remove(), Err(Errno::EBUSY)) && !deadline.has_passed() {
            self.await_change(deadline);
        }
        if !self.folder.exists() {
            let _ = remove(dir, file::CGROUP);
        }
        if let Some(place) = self.folder.parent() {
            // The last one out: it stays for as long as a supervisor is in it.
            let _ = fs::remove_dir(place.join(SUPERVISORS));
        }
    }

    fn try_remove(&self) -> Result<(), Errno> {
        // The innermost first. The kernel's own files do not keep a group, processes and other
        // groups do.
        for folder in self.folders().iter().rev() {
            match unlinkat(AT_FDCWD, folder, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// The kernel tells by POLLPRI that a group has lost its last process.
    fn await_change(&self, deadline: Deadline) {
        let Ok(mut events) = File::open(self.folder.join("cgroup.events")) else {
            return;
        };
        // What has changed is told of what was read last through the same descriptor.
        let mut text = String::new();
        let is_populated =
            events.read_to_string(&mut text).is_ok() && count(&text, "populated") > 0;
        let mut asked = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        let pause = if is_populated {
            deadline
        } else {
            Deadline::after(A_MOMENT)
        };
        let _ = poll(&mut asked, poll_timeout(pause));
    }

    /// Its folder and those below, outer ones first.
    fn folders(&self) -> Vec<PathBuf> {
        let mut all = vec![self.folder.clone()];
        let mut next = 0;
        while let Some(folder) = all.get(next) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let is_group = |it: &fs::DirEntry| it.file_type().is_ok_and(|kind| kind.is_dir());
            let inner: Vec<_> = entries.filter(is_group).map(|it| it.path()).collect();
            all.extend(inner);
            next += 1;
        }
        all
    }
}

/// Where a run's group is to be made, and what is written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub folder: PathBuf,
    pub controllers: Vec<Controller>,
    pub settings: Vec<Setting>,
}

/// A file of a group and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub file: &'static str,
    pub value: String,
    /// Not every kernel has it, and without it the limit holds all the same.
    pub optional: bool,
}

/// No two runs have a group of the same name, whatever home they are of.
fn name_of(id: &TaskId, token: &RunToken) -> String {
    format!("{PREFIX}{id}.{token}")
}

fn recorded(dir: &TaskDir) -> Option<PathBuf> {
    let path = read_all(dir.as_fd(), file::CGROUP).ok()?;
    let folder = PathBuf::from(String::from_utf8(path).ok()?);
    let name = folder.file_name()?.to_str()?;
    (folder.is_absolute() && name.starts_with(PREFIX) && name != SUPERVISORS).then_some(folder)
}

/// Removes the group of an earlier run whose supervisor was killed before it could do so.
pub(crate) fn sweep_leaf(dir: &TaskDir) {
    if let Some(folder) = recorded(dir) {
        let _ = Leaf { folder }.try_remove();
        let _ = remove(dir, file::CGROUP);
    }
}

/// The same for a task that is about to be removed.
pub(crate) fn sweep_leaf_of(home: &Home, id: &TaskId) {
    let folder = format!("{TASKS}/{id}");
    if let Ok(dir) = TaskDir::open_at(home.as_fd(), &folder) {
        sweep_leaf(&dir);
    }
}

/// A number of a file that has a name and a number in each line.
fn count(text: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find_map(|(found, number)| (found == name).then(|| number.parse()));
    found.and_then(Result::ok).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(folder: &std::path::Path) -> Leaf {
        Leaf {
            folder: folder.to_owned(),
        }
    }

    fn setting(file: &'static str, optional: bool) -> Setting {
        Setting {
            file,
            value: "4096".to_owned(),
            optional,
        }
    }

    // A folder with files of the same names: not every machine lets a test have the real ones.
    #[test]
    fn settings_go_into_the_files_that_the_kernel_has_made() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = leaf(folder.path());
        let file = folder.path().join("memory.max");
        fs::write(&file, "").unwrap();
        leaf.configure(&[
            setting("memory.max", false),
            setting("memory.swap.max", true),
        ])
        .unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "4096");
        assert!(!folder.path().join("memory.swap.max").exists());
        let refused = leaf.configure(&[setting("pids.max", false)]);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn want_of_memory_is_what_the_kernel_has_killed_for() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = leaf(folder.path());
        assert!(!leaf.has_run_out_of_memory());
        for (killed, events) in [
            (
                false,
                "low 0\nhigh 0\nmax 12\noom 3\noom_kill 0\noom_group_kill 0\n",
            ),
            (
                true,
                "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n",
            ),
        ] {
            fs::write(folder.path().join("memory.events"), events).unwrap();
            assert_eq!(leaf.has_run_out_of_memory(), killed, "{events}");
        }
    }

    #[test]
    fn only_a_group_of_ours_is_taken_for_what_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let dir = TaskDir::open_path(folder.path()).unwrap();
        let (id, token) = (TaskId::parse("a").unwrap(), RunToken::generate());
        let group = folder.path().join(name_of(&id, &token));
        fs::create_dir(&group).unwrap();
        let record = |path: &std::path::Path| {
            fs::write(folder.path().join(file::CGROUP), path.to_str().unwrap()).unwrap();
        };
        assert!(Leaf::of_run(&dir, &id, &token).is_none());
        record(&group);
        assert!(Leaf::of_run(&dir, &id, &token).is_some());
        assert!(Leaf::of_run(&dir, &id, &RunToken::generate()).is_none());

        for other in ["home", SUPERVISORS] {
            let other = folder.path().join(other);
            fs::create_dir(&other).unwrap();
            record(&other);
            sweep_leaf(&dir);
            assert!(other.exists());
        }
        record(&group);
        sweep_leaf(&dir);
        assert!(!group.exists());
        assert_eq!(recorded(&dir), None);
    }
}
