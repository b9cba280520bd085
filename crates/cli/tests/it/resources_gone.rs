//! What runs out: space, inodes, descriptors, processes, the right to write. Whatever it is, every
//! verb answers, no end is lost, and nothing is taken for gone that is merely out of sight.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Call, Cli, Outcome, end_of, eventually, inherit_nothing, pid_of, text, with, work,
};
use crate::mounts::{Mounted, SmallDisk, in_private};
use crate::processes;

/// What a call has come to, which is an envelope in any case: its data, or its error.
fn answer(call: Call) -> Result<Value, Value> {
    let outcome = call.output();
    if outcome.status.success() {
        return Ok(outcome.ok());
    }
    let envelope: Value = serde_json::from_slice(&outcome.stderr)
        .unwrap_or_else(|_| panic!("no envelope: {outcome:?}"));
    Err(outcome.err(&text(&envelope["error"]["type"])))
}

/// Asserts that a call is refused for want of something, and that to try again may help.
#[track_caller]
fn assert_short_of(what: &str, call: Call) {
    let error = answer(call).expect_err("something is missing");
    let details = &error["details"];
    assert_eq!(
        (&details["errno_name"], &details["retryable"]),
        (&json!(what), &json!(true)),
        "{error}"
    );
}

/// The verbs that only look, at a task that runs.
fn assert_can_be_looked_at(cli: &Cli, id: &str) {
    assert_eq!(cli.task(id)["status"], "running");
    assert!(cli.list(json!({})).contains(&id.to_owned()));
    assert_eq!(cli.run("logs").text(id).ok()["running"], true);
    assert!(cli.run("events").text(id).ok()["total"].as_u64() > Some(0));
    let wait = cli.run("wait").text(id).flags(["--timeout", "0"]);
    wait.err("TaskWaitTimedOut");
}

/// A start that cannot be, and leaves nothing.
fn assert_no_start(cli: &Cli, what: &str) {
    assert_short_of(what, cli.run("start").payload(work("new", ["hang"])));
    cli.run("status").text("new").err("TaskNotFound");
    assert!(!cli.task_file("new", "").exists());
    assert!(!cli.home().join("logs/new.log").exists());
}

#[test]
fn on_a_full_disk_ends_are_told_and_nothing_stops() {
    in_private(|| {
        let cli = SmallDisk::new("size=1m");
        let go = cli.file("go");
        cli.start(work("ends", ["print", "x", "wait-file", &go, "exit", "3"]));
        cli.start(work("stays", ["print", "x", "hang"]));
        let again = cli.file("again");
        let noisy = format!(
            "while [ ! -e {go} ]; do sleep 0.01; done; echo lost; echo tried >&2; \
             while [ ! -e {again} ]; do sleep 0.01; done; echo kept; sleep 600"
        );
        let noisy = json!({ "id": "noisy", "shell": noisy });
        cli.start(noisy);
        // Until then they have records more than they need.
        for id in ["ends", "stays", "noisy"] {
            cli.await_rest(id);
        }
        let filler = cli.fill();

        assert_can_be_looked_at(&cli, "stays");
        assert_no_start(&cli, "ENOSPC");
        assert_short_of("ENOSPC", cli.run("restart").text("stays"));
        assert_short_of("ENOSPC", cli.run("pause").text("stays"));
        assert_can_be_looked_at(&cli, "stays");

        cli.touch("go");
        assert_eq!(end_of(&cli.wait("ends")), json!(["exited", 3, null, null]));
        assert_eq!(cli.task("ends")["status"], "exited");
        assert_short_of("ENOSPC", cli.run("start").payload(work("ends", ["hang"])));
        assert_eq!(cli.task("ends")["exit_code"], 3, "the task before is kept");
        assert_eq!(end_of(&cli.stop("stays"))[3], "stop_requested");
        assert_eq!(cli.task("noisy")["status"], "running");

        filler.free();
        cli.touch("again");
        cli.await_line("noisy", "kept");
        assert_eq!(cli.run("restart").text("stays").ok()["status"], "running");
        assert_eq!(cli.start(work("new", ["hang"]))["status"], "running");
        cli.start(work("ends", ["hang"]));
        let removed = cli.run("remove").text("ends");
        removed.err("TaskAlreadyRunning");
    });
}

#[test]
fn a_next_run_that_a_full_disk_prevents_is_told_as_such() {
    in_private(|| {
        let cli = SmallDisk::new("size=1m");
        let go = cli.file("go");
        let again = json!({ "restart": { "policy": "always", "delay_ms": 1 } });
        cli.start(with(work("a", ["wait-file", &go, "exit", "1"]), again));
        // Until then it has a record more than it needs.
        cli.await_rest("a");
        let filler = cli.fill();
        cli.touch("go");
        let failed = cli.wait("a");
        assert_eq!(
            end_of(&failed),
            json!(["failed", null, null, "spawn_failed"])
        );
        assert!(text(&failed["problem"]).contains("ENOSPC"), "{failed}");
        assert_eq!(end_of(&cli.task("a"))[3], "spawn_failed");
        cli.await_no_supervisor("a");
        cli.assert_no_processes();
        filler.free();
        assert_eq!(end_of(&cli.task("a"))[3], "spawn_failed");
        assert_eq!(cli.run("restart").text("a").ok()["status"], "running");
    });
}

#[test]
fn without_inodes_nothing_begins_and_everything_can_end() {
    in_private(|| {
        let cli = SmallDisk::new("size=4m,nr_inodes=60");
        let go = cli.file("go");
        cli.start(work("ends", ["wait-file", &go, "exit", "3"]));
        cli.start(work("stays", ["print", "x", "hang"]));
        for id in ["ends", "stays"] {
            cli.await_rest(id);
        }
        let filler = cli.take_inodes();
        assert_can_be_looked_at(&cli, "stays");
        assert_no_start(&cli, "ENOSPC");
        assert_short_of("ENOSPC", cli.run("restart").text("stays"));
        cli.touch("go");
        assert_eq!(cli.wait("ends")["exit_code"], 3);
        assert_eq!(cli.stop("stays")["reason"], "stop_requested");
        filler.free();
        assert_eq!(cli.start(work("new", ["hang"]))["status"], "running");
        assert_eq!(cli.run("restart").text("stays").ok()["status"], "running");
    });
}

#[test]
fn a_home_that_can_only_be_read_can_be_looked_at_and_its_tasks_stopped() {
    in_private(|| {
        let cli = Cli::new();
        cli.start(work("a", ["print", "x", "hang"]));
        let read_only = Mounted::read_only(cli.home());
        assert_can_be_looked_at(&cli, "a");
        for (verb, payload) in [
            ("start", work("new", ["hang"])),
            ("restart", json!({ "id": "a" })),
            ("pause", json!({ "id": "a" })),
            ("remove", json!({ "id": "a" })),
        ] {
            let error = answer(cli.run(verb).payload(payload)).expect_err(verb);
            if verb != "remove" {
                assert_eq!(error["details"]["errno_name"], "EROFS", "{verb}: {error}");
            }
        }
        assert_can_be_looked_at(&cli, "a");
        assert_eq!(cli.stop("a")["reason"], "stop_requested");
        cli.assert_no_processes();
        drop(read_only);
        assert_eq!(cli.run("restart").text("a").ok()["status"], "running");
    });
}

#[test]
fn a_limit_of_how_large_files_may_be_is_told_and_ends_nobody_silently() {
    let cli = Cli::new();
    // In blocks of 512 bytes: nothing at all, less than a record, less than an end.
    for blocks in [0, 1, 5] {
        cli.start(with(work("a", ["hang"]), json!({ "if_running": "reuse" })));
        let under = |call: Call| answer(call.after(&format!("ulimit -f {blocks}")));
        let new = under(cli.run("start").payload(work("new", ["hang"])));
        let error = new.expect_err("a record is larger");
        assert_eq!(error["details"]["errno_name"], "EFBIG", "{error}");
        cli.run("status").text("new").err("TaskNotFound");
        for verb in [
            "status", "list", "logs", "events", "pause", "resume", "restart",
        ] {
            let call = match verb {
                "list" => cli.run(verb),
                _ => cli.run(verb).text("a"),
            };
            if let Err(error) = under(call) {
                let details = &error["details"];
                let told = &details["errno_name"];
                let failed_before = error["type"] == "TaskNotRunning";
                assert!(told == "EFBIG" || failed_before, "{verb}: {error}");
            }
        }
        let stopped = under(cli.run("stop").text("a")).expect("stop needs no space");
        assert!(["killed", "failed"].contains(&text(&stopped["status"]).as_str()));
        cli.assert_no_processes();
    }
}

/// Calls a verb with ever more descriptors, until it succeeds; what it says before that is that it
/// has too few, and `meanwhile` holds after each of these.
fn with_ever_more_descriptors(call: impl Fn() -> Call, meanwhile: impl Fn()) -> Value {
    for limit in 5..64 {
        let call = call().before_exec(inherit_nothing);
        match answer(call.after(&format!("ulimit -n {limit}"))) {
            Ok(data) => return data,
            Err(error) if error["type"] == "TaskWaitTimedOut" => return error,
            Err(error) => {
                let details = &error["details"];
                let expected = (&json!("EMFILE"), &json!(true));
                let told = (&details["errno_name"], &details["retryable"]);
                assert_eq!(told, expected, "{limit}: {error}");
            }
        }
        meanwhile();
    }
    panic!("64 descriptors are not enough");
}

#[test]
fn with_few_descriptors_no_task_is_told_or_treated_as_gone() {
    let cli = Cli::new();
    cli.start(work("watched", ["print", "x", "hang"]));
    cli.start(work("lost", ["print", "x", "fork", "hang"]));
    let leftovers = json!({ "leftovers": "wait" });
    cli.start(with(work("left", ["daemon", "exit", "3"]), leftovers));
    eventually(
        || cli.task("left")["pid"].is_null(),
        "its main process has ended",
    );
    cli.lose_supervisor("lost");
    cli.lose_supervisor("left");
    eventually(|| cli.commands().len() == 4, "the supervisors have gone");
    let nothing_ends = || assert_eq!(cli.commands().len(), 4);
    for id in ["watched", "lost", "left"] {
        for verb in ["status", "logs", "events"] {
            let data = with_ever_more_descriptors(|| cli.run(verb).text(id), nothing_ends);
            if verb == "status" {
                assert_eq!(data["status"], "running", "{id}");
            }
        }
        let wait = || cli.run("wait").text(id).flags(["--timeout", "0"]);
        let waited = with_ever_more_descriptors(wait, nothing_ends);
        assert_eq!(waited["type"], "TaskWaitTimedOut", "{waited}");
    }
    let listed = with_ever_more_descriptors(|| cli.run("list"), nothing_ends);
    for task in listed["tasks"].as_array().unwrap() {
        assert_eq!(task["status"], "running", "{task}");
    }
    // What changes them succeeds as a whole or not at all.
    let restart = || cli.run("restart").text("watched");
    with_ever_more_descriptors(restart, || {
        assert_eq!(cli.task("watched")["status"], "running");
    });
    for id in ["watched", "lost", "left"] {
        let stop = || cli.run("stop").text(id);
        let is_running = || assert_eq!(cli.task(id)["status"], "running");
        let stopped = with_ever_more_descriptors(stop, is_running);
        assert_eq!(stopped["status"], "killed", "{stopped}");
    }
    cli.assert_no_processes();
}

/// Sets how many descriptors a process may have.
fn allow_descriptors(pid: i32, count: usize) {
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid.to_string(), &format!("--nofile={count}:")]);
    assert!(prlimit.status().is_ok_and(|status| status.success()));
}

#[test]
fn a_supervisor_that_cannot_look_does_not_take_its_tree_for_gone() {
    let cli = Cli::new();
    let go = cli.file("go");
    let leftovers = json!({ "leftovers": "wait" });
    let directives = ["daemon", "wait-file", &go, "exit", "3"];
    let main = pid_of(&cli.start(with(work("a", directives), leftovers)));
    eventually(
        || cli.log("a").contains("daemon "),
        "there is another process",
    );
    let log = cli.log("a");
    let daemon = log.lines().find_map(|line| line.strip_prefix("daemon "));
    let daemon: i32 = daemon.unwrap().parse().unwrap();
    let supervisor = cli.supervisor("a");
    allow_descriptors(supervisor, 3);
    cli.touch("go");
    eventually(|| !processes::exists(main), "its end is heard");
    // Asked for and answered: it has dealt with the end before.
    let stop = json!({ "id": "a", "signal": "SIGWINCH", "grace_ms": 600_000 });
    let stop = cli.run("stop").payload(stop).flags(["--timeout", "0.3"]);
    stop.err("TaskWaitTimedOut");
    assert!(processes::is_alive(daemon));
    assert_eq!(cli.find_supervisor("a"), Some(supervisor));
    assert_eq!(cli.task("a")["status"], "running");
    allow_descriptors(supervisor, 64);
    processes::send(daemon, Signal::SIGKILL);
    assert_eq!(cli.wait("a")["exit_code"], 3);
}

/// A place that another user may use, and the program within.
struct OtherUser {
    cli: Cli,
    program: String,
}

impl OtherUser {
    /// A uid that no other test uses: the kernel counts its processes.
    fn new(uid: u32) -> Self {
        let cli = Cli::new();
        let program = cli.file("program");
        let setup = format!(
            "cp {} {program} && mkdir {home} && chown {uid}:{uid} {home} && chmod 700 {home} && chmod 755 .",
            crate::harness::PROGRAM,
            home = cli.home().display(),
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &setup]).current_dir(cli.folder());
        assert!(shell.status().is_ok_and(|status| status.success()));
        Self { cli, program }
    }

    fn call(&self, uid: u32, processes: &str, words: &[&str]) -> Outcome {
        let user = format!("setpriv --reuid {uid} --regid {uid} --clear-groups");
        // The limit counts from the next fork on.
        let script = format!("exec {user} prlimit --nproc={processes} \"$@\"");
        let mut all = vec![self.program.as_str()];
        all.extend(words);
        self.cli.shell(&script, &all)
    }
}

#[test]
fn without_processes_to_be_had_a_start_is_told_and_leaves_nothing() {
    const UID: u32 = 41_729;
    let other = OtherUser::new(UID);
    let payload = json!({ "id": "a", "command": "sleep", "args": ["600"] }).to_string();
    // The call itself; and one more, its supervisor.
    for processes in ["1", "2"] {
        let outcome = other.call(UID, processes, &["start", &payload]);
        let error = outcome.err("SpawnFailed");
        let details = &error["details"];
        assert_eq!(
            (&details["errno_name"], &details["retryable"]),
            (&json!("EAGAIN"), &json!(true)),
            "{error}"
        );
        other
            .call(UID, "4096", &["status", "a"])
            .err("TaskNotFound");
    }
    other.call(UID, "4096", &["start", &payload]).ok();
    // Whoever stops it needs none.
    let many = |ids: &[&str]| {
        let each = ids
            .iter()
            .map(|id| json!({ "id": id, "command": "sleep", "args": ["600"] }));
        json!(each.collect::<Vec<_>>()).to_string()
    };
    other.call(UID, "4096", &["start", &many(&["b", "c"])]).ok();
    let stopped = other.call(UID, "1", &["stop", "a"]).ok();
    assert_eq!(stopped["status"], "killed");
    // Nor do several, though each could have a thread.
    let all = json!({ "all": true }).to_string();
    let stopped = other.call(UID, "1", &["stop", &all]).ok();
    assert_eq!(stopped["success_count"], 3);
    let refused = other
        .call(UID, "1", &["start", &many(&["d", "e"])])
        .exits(1);
    assert_eq!(
        (&refused["outcome"], &refused["error_count"]),
        (&json!("failed"), &json!(2))
    );
    other.call(UID, "1", &["doctor"]).ok();
}

#[test]
fn where_no_file_can_be_made_tasks_can_be_removed() {
    in_private(|| {
        let cli = SmallDisk::new("size=4m,nr_inodes=60");
        cli.start_and_wait(work("a", ["exit", "0"]));
        // As an older build has left it.
        std::fs::remove_dir(cli.home().join("trash")).unwrap();
        let mut made = 0;
        while std::fs::write(cli.home().join(format!("filler{made}")), "").is_ok() {
            made += 1;
        }
        assert!(made > 0);
        assert_no_start(&cli, "ENOSPC");
        cli.run("remove").text("a").ok();
        cli.run("status").text("a").err("TaskNotFound");
    });
}

/// Answers two system calls as an old kernel or a sandbox does: pidfd_open(2), which has the same number
/// everywhere, with ENOSYS, and faccessat2(2) with EPERM.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "nix has no filters of system calls")]
fn deny_what_is_new() -> std::io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).unwrap();
    let fails = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let mut steps = [
        step(LOAD, 0, 0, 0),
        step(IS, 2, 0, number(libc::SYS_pidfd_open)),
        step(IS, 2, 0, number(libc::SYS_faccessat2)),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(RETURN, 0, 0, fails(libc::ENOSYS)),
        step(RETURN, 0, 0, fails(libc::EPERM)),
    ];
    let program = libc::sock_fprog {
        len: 6,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: integers, and a program that outlives the call.
    let denied = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    match denied {
        true => Ok(()),
        false => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_an_old_kernel_does_not_know_is_done_without() {
    let cli = Cli::new();
    let denied = |command: &str, payload: Value| {
        let call = cli.run(command).payload(payload);
        call.before_exec(deny_what_is_new)
    };
    for starter_is_denied in [true, false] {
        let shell = "(setsid sleep 1000 &); sleep 1000 & wait";
        let start = json!({ "id": "a", "shell": shell });
        match starter_is_denied {
            true => denied("start", start.clone()).ok(),
            false => cli.run("start").payload(start.clone()).ok(),
        };
        let again = with(start, json!({ "if_running": "restart" }));
        assert_eq!(denied("start", again).ok()["task"]["status"], "running");
        let stopped = denied("stop", json!({ "id": "a" })).ok();
        assert_eq!(stopped["task"]["reason"], "stop_requested");
        cli.assert_no_processes();
    }
    let doctor = denied("doctor", json!({})).ok();
    let checks = doctor["checks"].as_array().unwrap();
    let pidfd = checks.iter().find(|it| it["id"] == "pidfd").unwrap();
    assert_eq!(
        (&pidfd["ok"], &pidfd["required"]),
        (&json!(false), &json!(false))
    );
}
