//! Why a limit cannot be kept, and what would change that.

use super::super::cgroup::{Controller, Obstacle};
use crate::error::Error;

pub(super) fn unsupported(field: &str, controller: Controller, obstacle: &Obstacle) -> Error {
    let more = match controller {
        // RLIMIT_NPROC would be the other way.
        Controller::Pids => {
            "; a resource limit counts all processes of a user, not those of a task"
        }
        Controller::Cpu => "; a resource limit counts seconds, it is no share",
        Controller::Memory => "",
    };
    Error::Unsupported {
        message: format!(
            "this host cannot keep {field}: {}{more}",
            why(controller, obstacle)
        ),
        hint: format!(
            "Leave {field} out, or: {} doctor shows all limits.",
            fix(obstacle)
        ),
    }
}

pub(super) fn not_together(obstacle: &Obstacle) -> Error {
    Error::Unsupported {
        message:
            "this host cannot keep limits.cpu_percent and limits.processes in one control group"
                .to_owned(),
        hint: format!("Leave one of them out, or: {}", fix(obstacle)),
    }
}

pub(super) fn too_many_files(asked: u64, hard: u64) -> Error {
    Error::Unsupported {
        message: format!(
            "limits.open_files is {asked}, and the hard limit here (RLIMIT_NOFILE) is {hard}"
        ),
        hint: format!(
            "Ask for {hard} at most, or raise the hard limit first (ulimit -Hn, LimitNOFILE)."
        ),
    }
}

/// What stands in the way, without a full stop.
pub(super) fn why(controller: Controller, obstacle: &Obstacle) -> String {
    let needed = controller.as_str();
    match obstacle {
        Obstacle::NoHierarchy => "there is no cgroup v2 hierarchy here".to_owned(),
        Obstacle::Elsewhere => {
            "this process is in a cgroup outside of what is mounted here".to_owned()
        }
        Obstacle::NotOffered {
            by_version_1: true, ..
        } => format!("the {needed} controller is in a hierarchy of cgroup v1"),
        Obstacle::NotOffered { .. } => {
            format!("the {needed} controller is not handed down to this process's cgroup")
        }
        Obstacle::NotWritable { folder } => format!(
            "no cgroup around this process may be changed by it ({})",
            folder.display()
        ),
        Obstacle::Occupied { folder } => format!(
            "{} holds processes of its own, and so can hand no controller down",
            folder.display()
        ),
    }
}

/// What would help, in sentences.
pub(super) fn fix(obstacle: &Obstacle) -> String {
    const SCOPE: &str = "Run inside a delegated cgroup: `systemd-run --user --scope -p Delegate=yes COMMAND`, a service of `systemctl --user`, or as root.";
    match obstacle {
        Obstacle::NoHierarchy if cfg!(target_os = "linux") => {
            "Mount cgroup v2 (systemd does so by default).".to_owned()
        }
        Obstacle::NoHierarchy => "This system has no control groups.".to_owned(),
        Obstacle::Elsewhere => {
            "Give the container a cgroup namespace of its own, with /sys/fs/cgroup writable.".to_owned()
        }
        Obstacle::NotOffered {
            by_version_1: true, ..
        } => "Boot with systemd.unified_cgroup_hierarchy=1 (or cgroup_no_v1=all), so that cgroup v2 has all controllers.".to_owned(),
        Obstacle::NotOffered { controller, .. } => format!(
            "Have it delegated: `systemctl edit user@.service` with `[Service]` and `Delegate=cpu memory pids`, for the {controller} controller; in a container, start that with it. {SCOPE}"
        ),
        Obstacle::NotWritable { .. } => SCOPE.to_owned(),
        Obstacle::Occupied { folder } => format!(
            "Move its processes into a group below it first (as containers do: `mkdir {0}/init`, then each pid into {0}/init/cgroup.procs). {SCOPE}",
            folder.display()
        ),
    }
}
