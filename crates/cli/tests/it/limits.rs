//! Limits that the kernel keeps, and the control groups of tasks that have them.
//!
//! What a machine lets a test have differs: a cgroup v2 with all controllers, one with none (where
//! version 1 has them), or nothing. `doctor` says which; the tests hold it to its word.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, PROGRAM, end_of, eventually, pid_of, script, text, with, work};
use crate::processes;

const MIB: u64 = 1 << 20;

fn limits(limits: Value) -> Value {
    json!({ "limits": limits })
}

/// A limit for which a group is made wherever that may be done; enough for any test.
fn grouped() -> Value {
    limits(json!({ "memory_bytes": 4096 * MIB }))
}

/// What doctor says of a limit: whether it is kept for the task as a whole.
fn is_kept_by_group(cli: &Cli, check: &str) -> bool {
    let told = cli.run("doctor").ok();
    let checks = told["checks"].as_array().expect("checks is an array");
    let check = checks.iter().find(|one| one["id"] == check);
    let observed = text(&check.expect("doctor has that check")["observed"]);
    observed.starts_with("kept for the task as a whole")
}

/// The cgroup v2 in which these tests may make groups, if there is one.
fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let mount = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(mount))
    })?;
    let tried = mount.join(format!("background-tasks-it.{}", std::process::id()));
    fs::create_dir(&tried).ok()?;
    fs::remove_dir(&tried).ok()?;
    Some(mount)
}

/// The group that a process is in.
fn group_of(pid: i32) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it is alive");
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    hierarchy()
        .expect("it is mounted")
        .join(group.expect("every process is in one"))
}

fn members(group: &Path) -> Vec<i32> {
    let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    pids.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// The group of a task, as its folder names it.
fn recorded_group(cli: &Cli, id: &str) -> Option<PathBuf> {
    let path = fs::read_to_string(cli.task_file(id, "cgroup")).ok()?;
    Some(path.into())
}

/// The number that a task's log has behind a word.
fn number_after(cli: &Cli, id: &str, word: &str) -> i32 {
    eventually(
        || {
            let log = cli.log(id);
            let line = log.lines().find_map(|line| line.strip_prefix(word))?;
            line.trim().parse().ok()
        },
        word,
    )
}

#[test]
fn open_files_are_limited_in_every_run() {
    let cli = Cli::new();
    let shell = "echo $(ulimit -Sn) $(ulimit -Hn); exit 1";
    let restart = json!({ "restart": { "policy": "on_failure", "max_retries": 1, "delay_ms": 1 } });
    let task = with(script("a", shell), limits(json!({ "open_files": 77 })));
    let task = cli.start_and_wait(with(task, restart));
    assert_eq!(task["limits"]["open_files"], 77);
    assert_eq!(cli.log("a"), "77 77\n77 77\n");
    cli.run("restart").payload(json!({ "id": "a" })).ok();
    cli.wait("a");
    assert_eq!(cli.log("a"), "77 77\n".repeat(4));
    assert_eq!(recorded_group(&cli, "a"), None);

    let unlimited = cli.start_and_wait(script("b", "ulimit -n"));
    assert_eq!(end_of(&unlimited), json!(["exited", 0, null, null]));
    assert_ne!(cli.log("b"), "77\n");
}

#[test]
fn what_begins_within_limits_begins_as_ever() {
    let cli = Cli::new();
    let report = ["sids", "fds", "sigmask", "cwd"];
    let ignoring = "trap '' TERM HUP PIPE USR1";
    for (id, more) in [
        ("free", json!({})),
        ("files", limits(json!({ "open_files": 50 }))),
        ("group", grouped()),
    ] {
        let payload = with(work(id, report), more);
        let task = cli.run("start").after(ignoring).payload(payload).ok();
        cli.wait(id);
        let pid = pid_of(&task["task"]);
        let log = cli.log(id);
        let ids: Vec<_> = log.lines().next().unwrap_or_default().split(' ').collect();
        let pid = pid.to_string();
        assert_eq!((ids[1], ids[5], ids[7]), (&*pid, &*pid, &*pid), "{log}");
    }
    let behind_ids = |id: &str| cli.log(id).lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(behind_ids("files"), behind_ids("free"));
    assert_eq!(behind_ids("group"), behind_ids("free"));
    cli.assert_no_processes();
}

#[test]
fn a_failed_exec_within_limits_is_told_and_leaves_nothing() {
    let cli = Cli::new();
    // Groups of all tests are in one place.
    let id = format!("unborn-{}", std::process::id());
    for more in [limits(json!({ "open_files": 50 })), grouped()] {
        let payload = json!({ "id": id, "command": "/nonexistent/program" });
        let start = cli.run("start").payload(with(payload, more));
        let error = start.err("SpawnFailed");
        let details = &error["details"];
        let told = json!([details["step"], details["errno_name"], details["subject"]]);
        assert_eq!(told, json!(["exec", "ENOENT", "/nonexistent/program"]));
        assert!(!cli.task_file(&id, "").exists());
    }
    if let Some(mount) = hierarchy() {
        let names = fs::read_dir(mount).expect("it can be read").flatten();
        let mut names = names.map(|it| it.file_name().to_string_lossy().into_owned());
        let ours = format!("background-tasks.{id}.");
        assert_eq!(names.find(|name| name.starts_with(&ours)), None);
    }
}

#[test]
fn memory_is_limited_and_its_want_is_told() {
    let cli = Cli::new();
    let half = limits(json!({ "memory_bytes": 512 * MIB }));
    let greedy = work("greedy", ["allocate", "1073741824", "print", "got it"]);
    let greedy = cli.start_and_wait(with(greedy, half.clone()));
    if is_kept_by_group(&cli, "limit_memory") {
        let killed = json!(["killed", null, "SIGKILL", "out_of_memory"]);
        assert_eq!(end_of(&greedy), killed);
    } else {
        // What the program asked for it did not get; what it does then is its own affair.
        assert_eq!(end_of(&greedy), json!(["exited", 74, null, null]));
    }
    assert!(!cli.log("greedy").contains("got it"));
    let modest = work("modest", ["allocate", "67108864", "print", "got it"]);
    cli.start_and_wait(with(modest, half));
    assert_eq!(cli.log("modest"), "got it\n");
}

#[test]
fn what_this_host_cannot_keep_is_refused_before_anything_is_touched() {
    let cli = Cli::new();
    let files = with(
        script("a", "true"),
        limits(json!({ "open_files": u64::MAX >> 1 })),
    );
    let error = cli.run("start").payload(files).err("Unsupported");
    assert!(
        text(&error["message"]).contains("limits.open_files"),
        "{error}"
    );
    for (check, field, value) in [
        ("limit_cpu", "cpu_percent", 50),
        ("limit_processes", "processes", 20),
    ] {
        let payload = with(script("b", "true"), limits(json!({ field: value })));
        if is_kept_by_group(&cli, check) {
            let task = cli.start_and_wait(payload);
            assert_eq!(end_of(&task), json!(["exited", 0, null, null]));
            cli.run("remove").payload(json!({ "id": "b" })).ok();
        } else {
            let error = cli.run("start").payload(payload).err("Unsupported");
            let message = text(&error["message"]);
            assert!(message.contains(&format!("limits.{field}")), "{message}");
            assert!(text(&error["details"]["hint"]).contains("doctor"));
        }
    }
    assert_eq!(cli.list(json!({})), [""; 0]);
    for id in ["a", "b"] {
        assert!(!cli.task_file(id, "").exists());
    }
}

#[test]
fn processes_are_counted_for_the_task_alone() {
    let cli = Cli::new();
    if !is_kept_by_group(&cli, "limit_processes") {
        // Refused, as the test above shows.
        return;
    }
    let payload = with(
        work("a", ["forks", "50"]),
        limits(json!({ "processes": 10 })),
    );
    let task = cli.start_and_wait(payload);
    assert_eq!(end_of(&task), json!(["exited", 74, null, null]));
    cli.await_no_supervisor("a");
    cli.assert_no_processes();
}

#[test]
fn a_task_with_limits_is_ended_as_a_group_and_leaves_none() {
    let cli = Cli::new();
    let payload = with(
        work("a", ["ignore", "TERM", "daemon", "forkstorm", "60000"]),
        grouped(),
    );
    let task = cli.start(payload);
    let daemon = number_after(&cli, "a", "daemon ");
    let Some(group) = recorded_group(&cli, "a") else {
        assert!(!is_kept_by_group(&cli, "limit_memory"));
        return;
    };
    assert_eq!(group_of(pid_of(&task)), group);
    assert_eq!(group_of(daemon), group);
    assert!(!members(&group).contains(&cli.supervisor("a")));
    let stopped = cli
        .run("stop")
        .payload(json!({ "id": "a", "grace_ms": 0 }))
        .ok();
    let told = json!(["killed", null, "SIGKILL", "stop_requested"]);
    assert_eq!(end_of(&stopped["task"]), told);
    cli.assert_no_processes();
    assert!(!group.exists());
    assert_eq!(recorded_group(&cli, "a"), None);
}

#[test]
fn every_run_has_a_group_of_its_own() {
    let cli = Cli::new();
    cli.start(with(work("a", ["hang"]), grouped()));
    let first = recorded_group(&cli, "a");
    cli.run("restart").payload(json!({ "id": "a" })).ok();
    let second = recorded_group(&cli, "a");
    assert_eq!(first.is_some(), second.is_some());
    if let (Some(first), Some(second)) = (first, second) {
        assert_ne!(first, second);
        assert!(!first.exists());
        assert_eq!(members(&second), [pid_of(&cli.task("a"))]);
        cli.stop("a");
        assert!(!second.exists());
    }
}

#[test]
fn who_adopts_a_task_finds_all_of_its_group() {
    let cli = Cli::new();
    // Neither mark nor descent leads to this one once its parent is gone.
    let shell = "env -i sh -c 'setsid sleep 1000 & echo stray $!'; exec sleep 1000";
    cli.start(with(script("a", shell), grouped()));
    let stray = number_after(&cli, "a", "stray ");
    let group = recorded_group(&cli, "a");
    cli.lose_supervisor("a");
    assert_eq!(cli.task("a")["supervised"], false);
    cli.stop("a");
    if let Some(group) = group {
        cli.assert_no_processes();
        assert!(!group.exists());
    } else {
        processes::send(stray, Signal::SIGKILL);
    }
}

#[test]
fn what_a_lost_task_has_left_in_its_group_is_found_by_the_next_start() {
    let cli = Cli::new();
    let shell = "env -i sh -c 'setsid sleep 1000 & echo stray $!'; exec sleep 1000";
    let task = cli.start(with(script("a", shell), grouped()));
    let stray = number_after(&cli, "a", "stray ");
    let group = recorded_group(&cli, "a");
    cli.lose_supervisor("a");
    processes::send(pid_of(&task), Signal::SIGKILL);
    let lost = cli.await_status("a", "failed");
    assert_eq!(lost["reason"], "supervisor_lost");
    cli.start_and_wait(with(script("a", "true"), grouped()));
    if let Some(group) = group {
        assert!(!processes::is_alive(stray));
        eventually(|| !group.exists(), "the group of the lost run is removed");
    } else {
        processes::send(stray, Signal::SIGKILL);
    }
}

#[test]
fn who_attends_to_a_task_looks_after_its_group() {
    let cli = Cli::new();
    let restart = json!({ "restart": { "policy": "on_failure", "max_retries": 1, "delay_ms": 1 } });
    let shell = "echo run; exec sleep 1000";
    let task = cli.start(with(with(script("a", shell), grouped()), restart));
    let first = recorded_group(&cli, "a");
    cli.lose_supervisor("a");
    cli.run("recover").ok();
    assert_eq!(recorded_group(&cli, "a"), first);
    processes::send(pid_of(&task), Signal::SIGKILL);
    eventually(|| cli.log("a") == "run\nrun\n", "the next run begins");
    let second = cli.await_status("a", "running");
    if let Some(first) = first {
        let group = recorded_group(&cli, "a").expect("the next run has one, too");
        assert_ne!(group, first);
        assert!(!first.exists());
        assert_eq!(members(&group), [pid_of(&second)]);
    }
}

#[test]
fn removing_a_lost_task_removes_its_group() {
    let cli = Cli::new();
    let task = cli.start(with(work("a", ["hang"]), grouped()));
    let group = recorded_group(&cli, "a");
    cli.lose_supervisor("a");
    processes::send(pid_of(&task), Signal::SIGKILL);
    cli.await_status("a", "failed");
    if let Some(group) = &group {
        assert!(group.exists());
    }
    cli.run("remove").payload(json!({ "id": "a" })).ok();
    assert!(group.is_none_or(|group| !group.exists()));
}

/// A group with one inside, for callers that are not at the top.
struct Nested {
    outer: PathBuf,
    inner: PathBuf,
}

impl Nested {
    fn new(mount: &Path, name: &str) -> Self {
        let outer = mount.join(format!("background-tasks-it.{name}.{}", std::process::id()));
        let inner = outer.join("inner");
        fs::create_dir_all(&inner).expect("the hierarchy was tried");
        Self { outer, inner }
    }

    /// A shell's way into it.
    fn enter(&self) -> String {
        format!("echo $$ >{}/cgroup.procs", self.inner.display())
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        let gone = |folder: &Path| fs::remove_dir(folder).is_ok() || !folder.exists();
        eventually(|| gone(&self.inner) && gone(&self.outer), "its groups go");
    }
}

#[test]
fn a_group_is_made_beside_the_caller_and_never_below() {
    let Some(mount) = hierarchy() else {
        assert!(!is_kept_by_group(&Cli::new(), "limit_memory"));
        return;
    };
    let nested = Nested::new(&mount, "beside");
    let cli = Cli::new();
    let payload = with(work("a", ["hang"]), grouped());
    let started = cli.run("start").after(&nested.enter()).payload(payload);
    let task = started.ok()["task"].take();
    let group = recorded_group(&cli, "a").expect("a group can be made here");
    assert_eq!(group.parent(), Some(&*nested.outer));
    assert_eq!(group_of(pid_of(&task)), group);
    assert_eq!(group_of(cli.supervisor("a")), nested.inner);
    cli.stop("a");
    cli.await_no_supervisor("a");
}

/// The shell command that starts an unlimited task from within one.
fn start_inner(cli: &Cli, before: &str) -> String {
    let home = cli.home().display();
    format!(
        "{before} BACKGROUND_TASKS_HOME={home} {PROGRAM} start '{{\"id\":\"inner\",\"shell\":\"sleep 1000\"}}' >/dev/null && echo begun; sleep 1000"
    )
}

#[test]
fn a_task_that_is_started_from_within_another_is_in_no_group_of_that() {
    let Some(mount) = hierarchy() else {
        assert!(!is_kept_by_group(&Cli::new(), "limit_memory"));
        return;
    };
    let nested = Nested::new(&mount, "within");
    let cli = Cli::new();
    let payload = with(script("outer", &start_inner(&cli, "")), grouped());
    cli.run("start")
        .after(&nested.enter())
        .payload(payload)
        .ok();
    cli.await_line("outer", "begun");
    let outer = recorded_group(&cli, "outer").expect("a group can be made here");
    let supervisors = nested.outer.join("background-tasks.supervisors");
    assert_eq!(group_of(cli.supervisor("inner")), supervisors);
    let inner = pid_of(&cli.task("inner"));
    assert!(!members(&outer).contains(&inner));
    cli.run("stop")
        .payload(json!({ "id": "outer", "grace_ms": 0 }))
        .ok();
    assert_eq!(cli.task("inner")["status"], "running");
    assert!(!outer.exists());
    cli.stop("inner");
    cli.await_no_processes();
    let _ = fs::remove_dir(supervisors);
}

#[test]
fn a_group_that_holds_another_tasks_supervisor_is_not_killed_as_a_whole() {
    let cli = Cli::new();
    // Without its environment the caller cannot tell that it is in a task.
    let shell = start_inner(&cli, "env -i PATH=\"$PATH\"");
    cli.start(with(script("outer", &shell), grouped()));
    cli.await_line("outer", "begun");
    let inner = pid_of(&cli.task("inner"));
    if let Some(outer) = recorded_group(&cli, "outer") {
        assert!(members(&outer).contains(&inner));
    }
    cli.run("stop")
        .payload(json!({ "id": "outer", "grace_ms": 0 }))
        .ok();
    assert_eq!(cli.task("outer")["reason"], "stop_requested");
    assert!(processes::is_alive(inner));
    assert_eq!(cli.task("inner")["status"], "running");
    let group = recorded_group(&cli, "outer");
    cli.stop("inner");
    cli.await_no_processes();
    cli.run("remove").payload(json!({ "id": "outer" })).ok();
    assert!(group.is_none_or(|group| !group.exists()));
}
