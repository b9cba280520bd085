//! Processes as the kernel shows them, and ending them: always one at a time, by pid.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A living process that has to do with one home.
#[derive(Clone, Debug)]
pub struct Found {
    pub pid: i32,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It works in a task's folder and is named after the task.
    Supervisor { id: String },
    /// A process of a task by its marks; a hook has no `run`.
    OfTask { id: String, run: Option<String> },
    /// A command line, or something that it is about to become.
    Other,
}

/// The living processes of a home, this one left out.
pub fn of_home(home: &Path) -> Vec<Found> {
    let me = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != me)
        .filter_map(|pid| look(pid, home))
        .filter(|found| is_alive(found.pid))
        .collect()
}

fn look(pid: i32, home: &Path) -> Option<Found> {
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let variables = environment(pid);
    let variable = |name: &str| {
        let value = variables.iter().find_map(|one| one.strip_prefix(name));
        value
            .and_then(|value| value.strip_prefix('='))
            .map(str::to_owned)
    };
    let is_marked = variable("BACKGROUND_TASKS_HOME").is_some_and(|it| Path::new(&it) == home);
    let kind = if let Some(id) = supervised(pid, &folder, home) {
        Kind::Supervisor { id }
    } else if is_marked && let Some(id) = variable("BACKGROUND_TASKS_ID") {
        let run = variable("BACKGROUND_TASKS_RUN");
        Kind::OfTask { id, run }
    } else if is_marked || folder.starts_with(home) {
        Kind::Other
    } else {
        return None;
    };
    Some(Found { pid, kind })
}

/// The task of a supervisor, by its folder and its title.
fn supervised(pid: i32, folder: &Path, home: &Path) -> Option<String> {
    let inside = folder.strip_prefix(home).ok()?;
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).into_owned();
    let id = title
        .split('\0')
        .next()?
        .strip_prefix("background-tasks: ")?;
    inside.components().count().eq(&2).then(|| id.to_owned())
}

fn environment(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let parts = bytes.split(|byte| *byte == 0);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// Whether a process was executed with this variable.
pub fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    environment(pid).contains(&format!("{name}={value}"))
}

/// Whether there is more of it than an exit status.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// The process of a thread, and the parent of that process.
pub fn process_of(tid: i32) -> Option<(i32, i32)> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
    };
    Some((number("Tgid:")?, number("PPid:")?))
}

/// One line about a process, for a report.
pub fn describe(found: &Found) -> String {
    let pid = found.pid;
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&title).replace('\0', " ");
    let wait = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| PathBuf::new());
    format!(
        "{pid} {:?} in {} at {wait}: {title}",
        found.kind,
        folder.display()
    )
}

/// SIGKILL for one process. It may have ended in between.
pub fn end(pid: i32) {
    if pid > 1 {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Ends everything of a home, until nothing is left or it has been tried often enough.
pub fn end_all(home: &Path) {
    for _ in 0..200 {
        let found = of_home(home);
        if found.is_empty() {
            return;
        }
        // Supervisors first: they would start again what is ended.
        for one in found
            .iter()
            .filter(|one| matches!(one.kind, Kind::Supervisor { .. }))
        {
            end(one.pid);
        }
        found.iter().for_each(|one| end(one.pid));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
