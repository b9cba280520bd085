//! Where this process may make control groups (cgroup v2), and why not elsewhere.
//!
//! ```text
//! user@1000.service/         delegated to the user
//!   app.slice/               no processes of its own: here
//!     some.scope/            the caller, and so the supervisor
//!     background-tasks.ID.RUN/       the command, with its limits
//!     background-tasks.supervisors/  supervisors of tasks that were started from within others
//! ```
//!
//! A group that hands controllers to its children may hold no process itself (the root may), so a
//! task's group, its leaf, cannot be made below the group that the supervisor is in: it goes below
//! the nearest one above without processes.

mod leaf;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::unistd::AccessFlags;

pub(crate) use leaf::{Leaf, Place, Setting, sweep_leaf, sweep_leaf_of};

use crate::process;

/// What every group of ours is called first.
const PREFIX: &str = "background-tasks.";
/// The group of supervisors that were launched from within a task's group.
const SUPERVISORS: &str = "background-tasks.supervisors";

/// What can hold a task to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

/// Why no group can be made, or none with what is needed; the later, the nearer it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// No cgroup v2 is mounted, or this system has none.
    NoHierarchy,
    /// This process is in a group outside of what is mounted.
    Elsewhere,
    /// The controller is in no group above this process.
    NotOffered {
        controller: &'static str,
        /// It is bound to a hierarchy of version 1.
        by_version_1: bool,
    },
    /// Everything above belongs to somebody else.
    NotWritable { folder: PathBuf },
    /// A group that is ours would do, but holds processes.
    Occupied { folder: PathBuf },
}

/// The hierarchy as this process sees it.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    mount: PathBuf,
    /// The folder of the group that this process is in.
    own: PathBuf,
    /// What hierarchies of version 1 have taken.
    version_1: Vec<String>,
}

impl Hierarchy {
    pub(crate) fn of_this_process() -> Result<Self, Obstacle> {
        let read = |path| fs::read_to_string(path).map_err(|_| Obstacle::NoHierarchy);
        Self::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)
    }

    /// From `/proc/PID/mountinfo` and `/proc/PID/cgroup`.
    fn parse(mounts: &str, groups: &str) -> Result<Self, Obstacle> {
        let (root, mount) = mounts
            .lines()
            .find_map(cgroup2_mount)
            .ok_or(Obstacle::NoHierarchy)?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let group = group.ok_or(Obstacle::NoHierarchy)?;
        // A mount may show a part of the hierarchy only; a group outside begins with `/..` or has
        // another beginning.
        let below = Path::new(group)
            .strip_prefix(&root)
            .ok()
            .filter(|below| !below.starts_with(".."))
            .ok_or(Obstacle::Elsewhere)?;
        let version_1 = groups.lines().filter(|line| !line.starts_with("0::"));
        let version_1 = version_1
            .filter_map(|line| line.split(':').nth(1))
            .flat_map(|names| names.split(',').map(str::to_owned));
        Ok(Self {
            own: if below.as_os_str().is_empty() {
                mount.clone()
            } else {
                mount.join(below)
            },
            mount,
            version_1: version_1.collect(),
        })
    }

    /// The folder of the nearest group in which one with these controllers can be made.
    ///
    /// # Errors
    /// What stands in the way where it was nearest.
    pub(crate) fn place_for(&self, needed: &[Controller]) -> Result<PathBuf, Obstacle> {
        let mut nearest = Obstacle::NoHierarchy;
        for folder in self.own.ancestors() {
            match self.judge(folder, needed) {
                Ok(()) => return Ok(folder.to_owned()),
                Err(obstacle) => nearest = nearest.max(obstacle),
            }
            if folder == self.mount {
                break;
            }
        }
        Err(nearest)
    }

    fn judge(&self, folder: &Path, needed: &[Controller]) -> Result<(), Obstacle> {
        let offered = read_words(&folder.join("cgroup.controllers"));
        let lacks = |words: &[String], needed: &Controller| {
            !words.iter().any(|word| word == needed.as_str())
        };
        if let Some(missing) = needed.iter().find(|needed| lacks(&offered, needed)) {
            let controller = missing.as_str();
            return Err(Obstacle::NotOffered {
                controller,
                by_version_1: self.version_1.iter().any(|name| name == controller),
            });
        }
        let handed_on = read_words(&folder.join("cgroup.subtree_control"));
        let to_be_enabled = needed.iter().any(|needed| lacks(&handed_on, needed));
        let writable = is_accessible(folder, AccessFlags::W_OK | AccessFlags::X_OK)
            // Whoever moves a process needs this of the group above both places.
            && is_accessible(&folder.join("cgroup.procs"), AccessFlags::W_OK)
            && (!to_be_enabled
                || is_accessible(&folder.join("cgroup.subtree_control"), AccessFlags::W_OK));
        let folder = folder.to_owned();
        if !writable {
            return Err(Obstacle::NotWritable { folder });
        }
        // The root of all has no type and may hold processes. A threaded group counts as occupied:
        // below it there are no groups with memory of their own.
        let kind = fs::read_to_string(folder.join("cgroup.type")).ok();
        let is_free = match kind.as_deref().map(str::trim_end) {
            None => true,
            Some("domain") => {
                fs::read(folder.join("cgroup.procs")).is_ok_and(|pids| pids.is_empty())
            }
            Some(_) => false,
        };
        if is_free {
            Ok(())
        } else {
            Err(Obstacle::Occupied { folder })
        }
    }

    /// The group that holds the group of the task that this process is in, if it is in one.
    fn around_task(&self) -> Option<&Path> {
        let of_task = |folder: &&Path| {
            let name = folder.file_name().and_then(std::ffi::OsStr::to_str);
            name.is_some_and(|name| name.starts_with(PREFIX) && name != SUPERVISORS)
        };
        let below_mount = self.own.ancestors().take_while(|it| *it != self.mount);
        // The outermost: a task's own groups may be called anything.
        below_mount.filter(of_task).last()?.parent()
    }
}

/// Root and mount point of a line of mountinfo, if it is one of cgroup v2. See proc(5).
fn cgroup2_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    if after.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = before.split(' ').skip(3);
    let mut path = || fields.next().map(|text| PathBuf::from(unescape(text)));
    Some((path()?, path()?))
}

/// Spaces and the like are shown as three octal digits.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..3).and_then(|it| u8::from_str_radix(it, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&piece[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

fn read_words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn is_accessible(path: &Path, mode: AccessFlags) -> bool {
    process::may_access(AT_FDCWD, path, mode).is_ok()
}

/// Has a group hand these controllers to its children.
fn enable(folder: &Path, needed: &[Controller]) -> io::Result<()> {
    let handed_on = read_words(&folder.join("cgroup.subtree_control"));
    for controller in needed.iter().map(|needed| needed.as_str()) {
        if !handed_on.iter().any(|word| word == controller) {
            write(folder, "cgroup.subtree_control", &format!("+{controller}"))?;
        }
    }
    Ok(())
}

/// Writes into a file of a group; the kernel has made all that there are.
fn write(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::File::options().write(true).open(folder.join(file))?;
    file.write_all(value.as_bytes())
}

/// Where the supervisor of a task that is started from within another has to go: were it in the
/// other's group, it would end and be held to limits with that. `None` when this process is in no
/// task's group.
pub(crate) fn outside_of_tasks() -> Option<OwnedFd> {
    let hierarchy = Hierarchy::of_this_process().ok()?;
    let around = hierarchy.around_task()?;
    let is_root = !around.join("cgroup.type").exists();
    let outside = if is_root {
        around.to_owned()
    } else {
        around.join(SUPERVISORS)
    };
    if !is_root {
        match nix::unistd::mkdir(&outside, nix::sys::stat::Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(_) => return None,
        }
    }
    process::open_group(&outside).ok()
}

/// What the kernel would have to say for a panic; see [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn fuzz(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (mounts, groups) = text.split_once("\n\n").unwrap_or((&text, "0::/"));
    if let Ok(found) = Hierarchy::parse(mounts, groups) {
        found.around_task();
    }
}

#[cfg(test)]
#[path = "cgroup/tests.rs"]
pub(super) mod tests;
