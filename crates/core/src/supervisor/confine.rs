//! How the limits of a task are kept on this host: by the controllers of a cgroup where there is
//! one that may be used, by resource limits of each process where those say the same, else not at
//! all, which is said before anything is touched.

mod explain;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use super::cgroup::{Controller, Hierarchy, Leaf, Obstacle, Place, Setting};
use crate::error::Result;
use crate::process::{ADDRESS_SPACE_IS_LIMITED, Confinement};
use crate::task::Limits;

/// The period of `cpu.max`, in microseconds: the kernel's own default.
const CPU_PERIOD: u64 = 100_000;

/// How the limits of a run are to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub place: Option<Place>,
    pub resources: Vec<(Resource, u64)>,
}

impl Plan {
    /// `None` for a task without such limits.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] when this host cannot keep one.
    pub(crate) fn of(limits: &Limits) -> Result<Option<Self>> {
        let in_group = limits.memory_bytes.is_some()
            || limits.cpu_percent.is_some()
            || limits.processes.is_some();
        if !in_group && limits.open_files.is_none() {
            return Ok(None);
        }
        let mut plan = if in_group {
            Self::with_group(limits, &Hierarchy::of_this_process())?
        } else {
            Self::default()
        };
        if let Some(files) = limits.open_files {
            let (_, hard) = limits_of(Resource::RLIMIT_NOFILE);
            if files > hard {
                return Err(explain::too_many_files(files, hard));
            }
            plan.resources.push((Resource::RLIMIT_NOFILE, files));
        }
        Ok(Some(plan))
    }

    /// For limits of which a group keeps at least one, where that can be had.
    fn with_group(
        limits: &Limits,
        hierarchy: &std::result::Result<Hierarchy, Obstacle>,
    ) -> Result<Self> {
        let place = |needed: &[Controller]| match hierarchy {
            Ok(hierarchy) => hierarchy.place_for(needed),
            Err(obstacle) => Err(obstacle.clone()),
        };
        let mut needed = Vec::new();
        needed.extend(limits.cpu_percent.map(|_| Controller::Cpu));
        needed.extend(limits.processes.map(|_| Controller::Pids));
        // Nothing else can keep these.
        for (field, controller) in [
            ("limits.cpu_percent", Controller::Cpu),
            ("limits.processes", Controller::Pids),
        ] {
            if needed.contains(&controller)
                && let Err(obstacle) = place(&[controller])
            {
                return Err(explain::unsupported(field, controller, &obstacle));
            }
        }
        let mut all = needed.clone();
        all.extend(limits.memory_bytes.map(|_| Controller::Memory));
        let found = match place(&all) {
            Ok(folder) => Ok((folder, all)),
            // Without controllers a group is still worth it: `stop` ends it as a whole.
            Err(obstacle) => match place(&needed) {
                Ok(folder) => Ok((folder, needed)),
                Err(_) if needed.is_empty() => Err(obstacle),
                Err(_) => return Err(explain::not_together(&obstacle)),
            },
        };
        let mut plan = Self::default();
        if let Some(bytes) = limits.memory_bytes
            && !found
                .as_ref()
                .is_ok_and(|(_, by)| by.contains(&Controller::Memory))
        {
            if !ADDRESS_SPACE_IS_LIMITED {
                let obstacle = found.err().unwrap_or(Obstacle::NoHierarchy);
                let (field, memory) = ("limits.memory_bytes", Controller::Memory);
                return Err(explain::unsupported(field, memory, &obstacle));
            }
            // Whoever holds us to less holds the task to less.
            let (_, hard) = limits_of(Resource::RLIMIT_AS);
            plan.resources.push((Resource::RLIMIT_AS, bytes.min(hard)));
        }
        plan.place = found.ok().map(|(folder, controllers)| Place {
            folder,
            settings: settings(limits, &controllers),
            controllers,
        });
        Ok(plan)
    }

    /// The same for a process that is about to be executed, in its group.
    pub(crate) fn confine(&self, leaf: Option<&Leaf>) -> std::result::Result<Confined<'_>, Errno> {
        Ok(Confined {
            group: leaf.map(Leaf::open).transpose()?,
            resources: &self.resources,
        })
    }
}

/// What a process is executed with.
#[derive(Debug)]
pub(crate) struct Confined<'a> {
    group: Option<OwnedFd>,
    resources: &'a [(Resource, u64)],
}

impl Confined<'_> {
    pub(crate) fn as_confinement(&self) -> Confinement<'_> {
        use std::os::fd::AsFd;
        Confinement {
            group: self.group.as_ref().map(AsFd::as_fd),
            limits: self.resources,
        }
    }
}

/// What the files of the group say.
fn settings(limits: &Limits, controllers: &[Controller]) -> Vec<Setting> {
    let setting = |file, value: String, optional| Setting {
        file,
        value,
        optional,
    };
    let mut settings = Vec::new();
    if let Some(bytes) = limits.memory_bytes
        && controllers.contains(&Controller::Memory)
    {
        settings.extend([
            setting("memory.max", bytes.to_string(), false),
            // What does not fit is not to go on in swap, slowly.
            setting("memory.swap.max", "0".to_owned(), true),
            // Not one process of it and the rest left behind: the task as a whole.
            setting("memory.oom.group", "1".to_owned(), true),
        ]);
    }
    if let Some(percent) = limits.cpu_percent {
        let quota = u64::from(percent) * (CPU_PERIOD / 100);
        settings.push(setting("cpu.max", format!("{quota} {CPU_PERIOD}"), false));
    }
    if let Some(processes) = limits.processes {
        settings.push(setting("pids.max", processes.to_string(), false));
    }
    settings
}

/// Soft and hard.
#[allow(
    clippy::useless_conversion,
    reason = "the type differs between systems"
)]
fn limits_of(resource: Resource) -> (u64, u64) {
    getrlimit(resource).map_or((u64::MAX, u64::MAX), |(soft, hard)| {
        (u64::from(soft), u64::from(hard))
    })
}

/// Whether this host can keep the limits of a task that is about to be started.
///
/// # Errors
/// [`crate::Error::Unsupported`], which names the limit and says what would help.
pub(crate) fn check_limits(limits: &Limits) -> Result<()> {
    Plan::of(limits).map(drop)
}

/// How this host keeps one limit.
#[derive(Debug)]
pub(crate) enum Enforcement {
    /// For the task as a whole, by a group below this one.
    Group(PathBuf),
    /// For each process, by a resource limit.
    Process {
        observed: String,
        /// What a group would need; `None` where it is for each process anyway.
        fix: Option<String>,
    },
    /// Not at all.
    None { why: String, fix: String },
}

/// How this host keeps the limits of memory, processor time, processes and open files.
pub(crate) fn enforcements() -> [(&'static str, Enforcement); 4] {
    let hierarchy = Hierarchy::of_this_process();
    let by = |controller: Controller| {
        let place = match &hierarchy {
            Ok(hierarchy) => hierarchy.place_for(&[controller]),
            Err(obstacle) => Err(obstacle.clone()),
        };
        match place {
            Ok(folder) => Enforcement::Group(folder),
            Err(obstacle) if controller == Controller::Memory && ADDRESS_SPACE_IS_LIMITED => {
                Enforcement::Process {
                    observed: format!(
                        "RLIMIT_AS: the address space of each process, not what all use together; {}",
                        explain::why(controller, &obstacle)
                    ),
                    fix: Some(explain::fix(&obstacle)),
                }
            }
            Err(obstacle) => Enforcement::None {
                why: explain::why(controller, &obstacle),
                fix: explain::fix(&obstacle),
            },
        }
    };
    let (_, files) = limits_of(Resource::RLIMIT_NOFILE);
    [
        ("limit_memory", by(Controller::Memory)),
        ("limit_cpu", by(Controller::Cpu)),
        ("limit_processes", by(Controller::Pids)),
        (
            "limit_open_files",
            Enforcement::Process {
                observed: format!("RLIMIT_NOFILE: up to {files} for each process"),
                fix: None,
            },
        ),
    ]
}

#[cfg(test)]
mod tests;
