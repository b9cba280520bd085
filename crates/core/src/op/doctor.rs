//! `doctor`: can this host and this home do what is promised?

mod limits;
mod trial;

use std::fs;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;
use crate::process;
use crate::store::Home;

/// Less than this and logs are soon lost.
const LITTLE_SPACE: u64 = 256 << 20;

/// What `doctor` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DoctorAnswer {
    /// `ok` unless a required check failed, then `failed`.
    pub status: &'static str,
    /// Where the tasks are.
    pub home: String,
    /// One per thing that is needed.
    pub checks: Vec<Check>,
}

/// One thing that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// Names it; never changes its meaning.
    pub id: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether nothing works without it; else something is weaker.
    pub required: bool,
    /// What was seen.
    pub observed: String,
    /// What to do where it is not ok.
    pub fix: Option<String>,
}

impl Check {
    fn new(
        id: &'static str,
        required: bool,
        ok: bool,
        observed: impl Into<String>,
        fix: &str,
    ) -> Self {
        Self {
            id,
            ok,
            required,
            observed: observed.into(),
            fix: (!ok).then(|| fix.to_owned()),
        }
    }
}

/// Looks at the host and the home; makes the home if it is missing, as `start` would.
pub fn doctor(client: &Client) -> DoctorAnswer {
    let mut checks = Vec::new();
    match open_home(client) {
        Ok(home) => {
            checks.push(Check::new(
                "home",
                true,
                true,
                format!("{} is usable", home.path().display()),
                "",
            ));
            checks.extend(home_checks(&home));
            checks.extend(log_checks(&home));
        }
        Err(error) => {
            checks.push(Check::new(
                "home",
                true,
                false,
                error.to_string(),
                &error.hint(),
            ));
        }
    }
    checks.extend(host_checks());
    let failed = checks.iter().any(|check| check.required && !check.ok);
    DoctorAnswer {
        status: if failed { "failed" } else { "ok" },
        home: client.home_path().to_string_lossy().into_owned(),
        checks,
    }
}

/// What can be told of the host without a home, by reading alone.
pub fn host_checks() -> Vec<Check> {
    let mut checks = kernel_checks();
    checks.extend(limits::checks());
    checks
}

fn open_home(client: &Client) -> Result<Home, Error> {
    let home = client.home()?;
    home.make_layout()?;
    Ok(home)
}

fn home_checks(home: &Home) -> Vec<Check> {
    let free = nix::sys::statvfs::statvfs(home.path());
    let (space, files) = free.map_or((0, 0), |free| {
        #[allow(
            clippy::useless_conversion,
            reason = "the types differ between systems"
        )]
        (
            u64::from(free.blocks_available()) * u64::from(free.fragment_size()),
            u64::from(free.files_available()),
        )
    });
    vec![
        Check::new(
            "free_space",
            false,
            space >= LITTLE_SPACE,
            format!("{} MiB free", space >> 20),
            "Free space there: logs lose lines when it is full (the ends of tasks are kept).",
        ),
        Check::new(
            "free_files",
            false,
            // Some filesystems have no such limit and say 0.
            files == 0 || files >= 1000,
            format!("{files} files can be created"),
            "Remove files there: no task can start when none can be created.",
        ),
        probe(
            "record_locks",
            true,
            trial::record_lock_works(home),
            "Put the home on a local filesystem that knows fcntl(2) locks.",
        ),
        probe(
            "fifo",
            true,
            trial::fifo_works(home),
            "Put the home on a filesystem that knows FIFOs.",
        ),
    ]
}

/// What the logs need.
fn log_checks(home: &Home) -> [Check; 3] {
    [
        probe(
            "hard_links",
            false,
            trial::hard_link_works(home),
            "Put the home on a filesystem with hard links; without them a log has one name only.",
        ),
        probe(
            "log_times",
            false,
            trial::writes_are_told(home),
            "Without a kernel that tells of writes (dnotify, fs.dir-notify-enable = 1) supervisors look at silent logs once a second, and the times of lines are as coarse.",
        ),
        probe(
            "log_cap",
            false,
            trial::log_can_be_capped(home),
            "Put the home on a filesystem that can punch holes (ext4, xfs, btrfs, tmpfs, APFS); without them logs outgrow limits.log_bytes.",
        ),
    ]
}

fn probe(id: &'static str, required: bool, result: io::Result<()>, fix: &str) -> Check {
    match result {
        Ok(()) => Check::new(id, required, true, "works in the home", ""),
        Err(error) => Check::new(id, required, false, error.to_string(), fix),
    }
}

fn kernel_checks() -> Vec<Check> {
    let linux = cfg!(target_os = "linux");
    let boot = process::boot_id();
    // That of another pid namespace does not know us.
    let own = std::process::id().to_string();
    let is_proc_there = fs::read_link("/proc/self").is_ok_and(|me| me == Path::new(&own));
    vec![
        Check::new(
            "boot_id",
            true,
            boot.is_ok(),
            boot.map_or_else(
                |error| error.to_string(),
                |_| "this boot has a name".to_owned(),
            ),
            "Mount /proc: without the name of the boot nothing is known after a reboot.",
        ),
        Check::new(
            "subreaper",
            false,
            linux,
            if linux {
                "orphans come back to their supervisor"
            } else {
                "this system has none: what double-forks into a new session may escape stop"
            },
            "Nothing can be done on this system; keep what a task starts in its session.",
        ),
        Check::new(
            "pidfd",
            false,
            process::kernel_offers_pidfds(),
            if process::kernel_offers_pidfds() {
                "signals cannot hit a reused pid"
            } else {
                "signals are checked just before they are sent"
            },
            "Linux 5.3 or newer closes this gap.",
        ),
        Check::new(
            "process_children",
            false,
            process::kernel_lists_children(),
            if process::kernel_lists_children() {
                "children are listed by the kernel"
            } else {
                "children are found by a scan of all processes"
            },
            "A kernel with CONFIG_PROC_CHILDREN makes stop faster.",
        ),
        Check::new(
            "proc",
            linux,
            !linux || is_proc_there,
            match (linux, is_proc_there) {
                (true, true) => "/proc is mounted",
                (true, false) => "/proc is not mounted, or it is that of another pid namespace",
                (false, _) => "not used on this system",
            },
            "Mount /proc.",
        ),
    ]
}
