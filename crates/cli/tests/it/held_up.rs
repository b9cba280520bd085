//! Callers that lose the processor anywhere on their way, for longer than anything takes.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::{Background, Cli, eventually, fixture, with, work};
use crate::processes;

/// Lets a call that has asked to be traced make so many system calls, and holds it there. `false`: it
/// sleeps before it has made them.
fn hold_after(call: &Background, calls: usize) -> bool {
    let pid = Pid::from_raw(call.pid());
    // Its exec, then the beginning and the end of each call.
    for _ in 0..=calls * 2 {
        while waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap() == WaitStatus::StillAlive {
            if processes::is_asleep(pid.as_raw()) {
                return false;
            }
            std::thread::yield_now();
        }
        ptrace::syscall(pid, None).unwrap();
    }
    let stopped = || waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap() != WaitStatus::StillAlive;
    while !stopped() {
        if processes::is_asleep(pid.as_raw()) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_waiter_that_is_held_up_misses_no_end() {
    /// Less than a hook may take.
    const SOON: Duration = Duration::from_secs(15);
    let cli = Cli::new();
    // Its supervisor stays until then.
    let over = ["wait-file", &cli.file("over")];
    let hook = json!({ "on_exit": { "command": fixture(), "args": over } });
    for calls in 1.. {
        let id = format!("t{calls}");
        let go = cli.file(&id);
        cli.start(with(
            work(&id, ["wait-file", &go, "exit", "3"]),
            hook.clone(),
        ));
        let wait = cli.run("wait").text(&id);
        let wait = wait
            .before_exec(|| ptrace::traceme().map_err(Into::into))
            .spawn();
        let is_held = hold_after(&wait, calls);
        cli.touch(&id);
        eventually(|| cli.task(&id)["status"] == "exited", "it has ended");
        let begun = Instant::now();
        let pid = Pid::from_raw(wait.pid());
        if !is_held {
            // It stands still once it has been woken.
            waitpid(pid, None).unwrap();
        }
        ptrace::detach(pid, None).unwrap();
        assert_eq!(wait.finish().ok()["task"]["exit_code"], 3);
        assert!(begun.elapsed() < SOON, "held up after {calls} calls");
        if !is_held {
            assert!(calls > 10, "{calls}");
            break;
        }
    }
    cli.touch("over");
    cli.await_no_processes();
}
