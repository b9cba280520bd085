//! A task is free of its caller, and of the task that its caller is.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

use crate::harness::{Cli, PROGRAM, end_of, eventually, pid_of, script, with, work};
use crate::processes;

#[test]
fn no_descriptor_of_the_caller_reaches_the_command() {
    let cli = Cli::new();
    let call = cli
        .run("start")
        .payload(work("a", ["fds"]))
        .flags(["--wait"]);
    call.after("exec 3>three 4<&0 5>&1 6>&2 7>seven 8<seven 9<.")
        .ok();
    assert_eq!(cli.log("a"), "");
}

#[test]
fn no_descriptor_of_the_caller_stays_open_in_the_supervisor() {
    let cli = Cli::new();
    let call = cli.run("start").payload(work("a", ["hang"]));
    call.after("exec 3>three 4<&0 5>&1 6>&2 7>seven 8<seven 9<.")
        .ok();
    let supervisor = cli.supervisor("a");
    let is_fine = |target: &Path| {
        let is_ours = target.starts_with(cli.task_file("a", "")) || target == cli.home();
        let is_nothing = target == Path::new("/dev/null");
        is_ours || is_nothing || target == Path::new("anon_inode:[signalfd]")
    };
    // It lets go of what it was launched with right after it has answered.
    let foreign = || {
        let open = processes::descriptors(supervisor);
        open.into_iter().find(|(_, target)| !is_fine(target))
    };
    eventually(|| foreign().is_none(), "nothing foreign is open");
    let standard: Vec<_> = processes::descriptors(supervisor)
        .into_iter()
        .take(3)
        .collect();
    let null = |number| (number, "/dev/null".into());
    assert_eq!(standard, [null(0), null(1), null(2)]);
}

#[test]
fn a_command_leads_a_session_of_its_own_below_its_supervisor() {
    let cli = Cli::new();
    let task = cli.start(work("a", ["sids", "print", "up", "hang"]));
    cli.await_line("a", "up");
    let (pid, supervisor) = (pid_of(&task), cli.supervisor("a"));
    let expected = format!("pid {pid} ppid {supervisor} pgid {pid} sid {pid}\nup\n");
    assert_eq!(cli.log("a"), expected);
    assert_eq!(processes::session(supervisor), supervisor);
    assert_eq!(processes::group(supervisor), supervisor);
}

/// Blocks and ignores whatever can be blocked and ignored.
fn deafen() -> io::Result<()> {
    SigSet::all().thread_block()?;
    for number in 1..=64 {
        #[allow(unsafe_code, reason = "the safe wrapper knows no real-time signals")]
        // SAFETY: no handler is installed, so there is nothing that could be unsafe to run.
        unsafe {
            libc::signal(number, libc::SIG_IGN)
        };
    }
    Ok(())
}

/// Signals 32 and 33, which posix_spawn(3) of the GNU C library leaves ignored.
const KEPT_BY_THE_C_LIBRARY: u64 = 0b11 << 31;

#[test]
fn a_command_hears_signals_that_its_caller_blocks_or_ignores() {
    let cli = Cli::new();
    let call = cli
        .run("start")
        .payload(work("a", ["sigmask"]))
        .before_exec(deafen);
    assert_eq!(call.flags(["--wait"]).ok()["task"]["exit_code"], 0);
    let log = cli.log("a");
    let masks = log
        .lines()
        .map(|line| line.split_once(' ').expect("a name and a mask"));
    let masks: Vec<_> = masks
        .map(|(name, mask)| {
            (
                name,
                u64::from_str_radix(mask, 16).unwrap() & !KEPT_BY_THE_C_LIBRARY,
            )
        })
        .collect();
    assert_eq!(masks, [("SigBlk", 0), ("SigIgn", 0)]);
}

#[test]
fn every_verb_works_for_a_caller_that_blocks_and_ignores_signals() {
    let cli = Cli::new();
    let run = |verb: &str| cli.run(verb).text("a").before_exec(deafen);
    cli.run("start")
        .payload(work("a", ["exit", "7"]))
        .before_exec(deafen)
        .ok();
    assert_eq!(run("wait").ok()["task"]["exit_code"], 7);
    cli.run("start")
        .payload(work("a", ["hang"]))
        .before_exec(deafen)
        .ok();
    assert_eq!(run("restart").ok()["status"], "running");
    assert_eq!(
        end_of(&run("stop").ok()["task"]),
        json!(["killed", null, "SIGTERM", "stop_requested"])
    );
}

#[test]
fn a_task_survives_whatever_happens_to_its_callers_group() {
    let cli = Cli::new();
    let go = cli.file("go");
    let payload = work("a", ["print", "up", "wait-file", &go, "exit", "4"]).to_string();
    let script = r#""$0" start "$1"; kill -HUP 0; kill -INT 0; kill -TERM 0; kill -KILL 0"#;
    let status = Command::new("sh")
        .args(["-c", script, PROGRAM, &payload])
        .env("BACKGROUND_TASKS_HOME", cli.home())
        .current_dir(cli.folder())
        .stdout(Stdio::null())
        .process_group(0)
        .status()
        .unwrap();
    assert!(!status.success(), "the caller is gone");
    let task = cli.task("a");
    assert_eq!(
        (&task["status"], &task["supervised"]),
        (&json!("running"), &json!(true))
    );
    cli.touch("go");
    assert_eq!(end_of(&cli.wait("a")), json!(["exited", 4, null, null]));
}

#[test]
fn a_supervisor_minds_no_signal_but_those_of_its_task() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let supervisor = cli.supervisor("a");
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
        Signal::SIGUSR1,
        Signal::SIGCHLD,
        Signal::SIGALRM,
    ] {
        processes::send(supervisor, signal);
    }
    assert_eq!(cli.run("restart").text("a").ok()["status"], "running");
    assert_eq!(end_of(&cli.stop("a"))[2], "SIGTERM");
}

#[test]
fn a_supervisor_is_at_home_in_its_tasks_folder() {
    let cli = Cli::new();
    cli.start(with(work("a", ["hang"]), json!({ "workdir": "/" })));
    let folder = processes::working_directory(cli.supervisor("a"));
    assert_eq!(folder, Some(cli.home().join("tasks/a")));
}

#[test]
fn a_supervisor_shows_no_secret_and_nothing_of_an_outer_task() {
    let cli = Cli::new();
    fs::write(cli.file("vars"), "FROM_FILE=secret-of-the-file\n").unwrap();
    let payload = with(
        json!({ "id": "a", "shell": ": secret-of-the-script; sleep 1000" }),
        json!({ "env": { "TOKEN": "secret-of-the-payload" }, "env_file": "vars" }),
    );
    let call = cli.run("start").payload(payload);
    let call = call
        .env("BACKGROUND_TASKS_ID", "outer")
        .env("BACKGROUND_TASKS_RUN", "outer");
    call.env("BACKGROUND_TASKS_OTHER", "outer").ok();
    let supervisor = cli.supervisor("a");
    let arguments = processes::arguments(supervisor).join(" ");
    assert!(!arguments.contains("secret"), "{arguments}");
    assert!(arguments.contains("background-tasks: a"), "{arguments}");
    let environment = processes::environment(supervisor);
    let told: Vec<_> = environment
        .iter()
        .filter(|variable| variable.contains("secret") || variable.starts_with("BACKGROUND_TASKS"))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn nothing_of_an_outer_task_reaches_the_command() {
    let cli = Cli::new();
    let asked = [
        "env",
        "BACKGROUND_TASKS_ID",
        "env",
        "BACKGROUND_TASKS_OTHER",
    ];
    let call = cli.run("start").payload(work("a", asked)).flags(["--wait"]);
    call.env("BACKGROUND_TASKS_ID", "outer")
        .env("BACKGROUND_TASKS_OTHER", "outer")
        .ok();
    assert_eq!(
        cli.log("a"),
        "BACKGROUND_TASKS_ID=a\nBACKGROUND_TASKS_OTHER unset\n"
    );
}

#[test]
fn reading_wakes_no_supervisor() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let supervisor = cli.supervisor("a");
    cli.await_rest("a");
    let before = processes::times_slept(supervisor);
    for verb in ["status", "logs", "events"] {
        cli.run(verb).text("a").ok();
    }
    cli.run("list").ok();
    cli.run("wait")
        .text("a")
        .flags(["--timeout", "0.3"])
        .err("TaskWaitTimedOut");
    assert_eq!(processes::times_slept(supervisor), before);
}

/// A task that starts another one and goes on.
fn outer(inner: &Value, more: Value) -> Value {
    let shell = format!(
        "{PROGRAM} start '{inner}' >/dev/null && echo started; trap 'exit 0' TERM
         while ! test -e go; do sleep 0.01; done; exit 6"
    );
    with(script("outer", &shell), more)
}

#[test]
fn a_task_that_a_task_started_survives_the_stop_of_the_outer_one() {
    let cli = Cli::new();
    let inner = work("inner", ["env", "BACKGROUND_TASKS_ID", "fork", "hang"]);
    cli.start(outer(&inner, json!({ "stop": { "grace_ms": 600_000 } })));
    cli.await_line("outer", "started");
    let task = cli.task("inner");
    // Were the inner task waited for, or were its supervisor asked, this would not end well.
    assert_eq!(cli.stop("outer")["reason"], "stop_requested");
    assert_eq!(cli.task("inner")["status"], "running");
    assert_eq!(cli.task("inner")["supervised"], true);
    assert!(processes::is_alive(pid_of(&task)));
    assert_eq!(cli.log("inner"), "BACKGROUND_TASKS_ID=inner\n");
    assert_eq!(end_of(&cli.stop("inner"))[2], "SIGTERM");
}

/// What is orphaned below a supervisor becomes its child, so the outer one inherits this command.
#[test]
#[cfg(target_os = "linux")]
fn a_task_that_a_task_started_survives_the_loss_of_its_own_supervisor_as_well() {
    let cli = Cli::new();
    let inner = work("inner", ["fork", "hang"]);
    cli.start(outer(&inner, json!({ "stop": { "grace_ms": 600_000 } })));
    cli.await_line("outer", "started");
    cli.lose_supervisor("inner");
    let main = pid_of(&cli.task("inner"));
    let heir = cli.supervisor("outer");
    eventually(
        || processes::parent(main) == heir,
        "the outer one inherits it",
    );
    assert_eq!(cli.stop("outer")["reason"], "stop_requested");
    let task = cli.task("inner");
    assert_eq!(task["status"], "running");
    assert_eq!(task["supervised"], false);
    assert_eq!(cli.stop("inner")["status"], "killed");
    cli.assert_no_processes();
}

#[test]
fn a_task_that_a_task_started_is_not_its_leftover() {
    let cli = Cli::new();
    for leftovers in ["wait", "stop"] {
        fs::remove_file(cli.file("go")).ok();
        cli.start(outer(
            &work("inner", ["hang"]),
            json!({ "leftovers": leftovers }),
        ));
        cli.await_line("outer", "started");
        cli.touch("go");
        assert_eq!(end_of(&cli.wait("outer")), json!(["exited", 6, null, null]));
        cli.await_no_supervisor("outer");
        assert_eq!(cli.task("inner")["status"], "running");
        assert_eq!(cli.stop("inner")["status"], "killed");
    }
}

#[test]
fn a_supervisor_below_another_is_taken_in_when_it_ends() {
    let cli = Cli::new();
    let go = cli.file("inner-go");
    cli.start(outer(
        &work("inner", ["wait-file", &go, "exit", "5"]),
        json!({}),
    ));
    cli.await_line("outer", "started");
    let inner = cli.supervisor("inner");
    assert_eq!(processes::parent(inner), cli.supervisor("outer"));
    cli.touch("inner-go");
    assert_eq!(cli.wait("inner")["exit_code"], 5);
    eventually(|| !processes::exists(inner), "no zombie is left");
    assert_eq!(cli.task("outer")["status"], "running");
}

#[test]
fn a_task_can_stop_itself() {
    let cli = Cli::new();
    let shell = format!("{PROGRAM} stop self >/dev/null; sleep 1000");
    let settings = json!({ "stop": { "grace_ms": 300 } });
    let task = cli.start_and_wait(with(script("self", &shell), settings));
    assert_eq!(
        (&task["status"], &task["reason"]),
        (&json!("killed"), &json!("stop_requested"))
    );
    cli.await_no_processes();
}

#[test]
fn a_replaced_program_file_does_not_matter_to_running_tasks() {
    let cli = Cli::new();
    let own = cli.file("own-copy");
    // Copied by another process, see `Cli::make_file`.
    assert!(
        Command::new("cp")
            .args([PROGRAM, &own])
            .status()
            .unwrap()
            .success()
    );
    let payload = work("a", ["print", "up", "hang"]).to_string();
    let mut start = Command::new(&own);
    start
        .args(["start", &payload])
        .env("BACKGROUND_TASKS_HOME", cli.home());
    assert!(start.stdout(Stdio::null()).status().unwrap().success());
    fs::remove_file(&own).unwrap();
    assert_eq!(cli.run("restart").text("a").ok()["status"], "running");
    assert_eq!(end_of(&cli.stop("a"))[2], "SIGTERM");
}
