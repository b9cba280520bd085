//! Trees that do not want to end, or cannot: held by a tracer, asleep in the kernel, forking as fast
//! as they are killed. `stop` ends what can be ended, and names what is left.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Cli, end_of, eventually, pid_of, script, text, work};
use crate::processes;

/// Holds a process until this is dropped: whatever ends it, it waits for its tracer on its way out.
struct Tracer {
    let_go: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Tracer {
    fn of(pid: i32) -> Self {
        let (let_go, told) = channel();
        let (attached, is_attached) = channel();
        // It is a thread that traces, and its end lets go.
        let thread = thread::spawn(move || {
            let nowhere = std::ptr::null_mut::<libc::c_void>();
            let options = libc::PTRACE_O_TRACEEXIT;
            #[allow(unsafe_code, reason = "there is no other way to trace")]
            // SAFETY: no memory is read or written.
            let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, nowhere, options) };
            attached.send(done).unwrap();
            let _ = told.recv();
        });
        assert_eq!(is_attached.recv(), Ok(0), "tests may trace their tasks");
        Self {
            let_go: Some(let_go),
            thread: Some(thread),
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        drop(self.let_go.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Asks for an end that does not come in time; returns the error's details.
fn stop_in_vain(cli: &Cli, id: &str) -> Value {
    let stop = cli.run("stop").payload(json!({ "id": id, "grace_ms": 0 }));
    let begun = Instant::now();
    let error = stop.flags(["--timeout", "0.5"]).err("TaskWaitTimedOut");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the timeout holds"
    );
    assert_eq!(error["details"]["retryable"], true);
    error["details"].clone()
}

#[test]
fn what_a_stranger_traces_is_named_and_ends_when_it_is_let_go() {
    let cli = Cli::new();
    let pid = pid_of(&cli.start(work("a", ["fork", "print", "up", "hang"])));
    cli.await_line("a", "up");
    let tracer = Tracer::of(pid);
    let details = stop_in_vain(&cli, "a");
    assert_eq!(details["pids"], json!([pid]), "only that one is left");
    assert_eq!(details["task"]["status"], "running");
    // It goes without being asked again.
    drop(tracer);
    assert_eq!(end_of(&cli.wait("a"))[3], "stop_requested");
    cli.assert_no_processes();
}

#[test]
fn what_a_process_of_the_task_traces_is_ended_with_it() {
    let cli = Cli::new();
    cli.start(work(
        "a",
        ["ignore", "TERM", "trace", "print", "up", "hang"],
    ));
    cli.await_line("a", "up");
    let stop = json!({ "id": "a", "grace_ms": 50 });
    let stopped = cli.run("stop").payload(stop).ok();
    assert_eq!(end_of(&stopped["task"])[2], "SIGKILL");
    cli.assert_no_processes();
}

#[test]
fn what_sleeps_in_the_kernel_is_ended() {
    let cli = Cli::new();
    let fifo = cli.file("fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pid = pid_of(&cli.start(work("a", ["vfork", &fifo])));
    eventually(
        || processes::sleeps_uninterruptibly(pid),
        "it waits for its child's exec",
    );
    let stop = json!({ "id": "a", "grace_ms": 50 });
    let stopped = cli.run("stop").payload(stop).ok();
    assert_eq!(end_of(&stopped["task"])[2], "SIGKILL");
    cli.assert_no_processes();
}

#[test]
fn a_supervisor_that_stands_still_keeps_nobody_waiting_for_ever() {
    let cli = Cli::new();
    let pid = pid_of(&cli.start(work("a", ["hang"])));
    let supervisor = cli.supervisor("a");
    processes::send(supervisor, Signal::SIGSTOP);
    eventually(|| processes::stands_still(supervisor), "it stands still");
    assert_eq!(cli.task("a")["status"], "running");
    assert_eq!(cli.task("a")["supervised"], true);
    let details = stop_in_vain(&cli, "a");
    assert_eq!(details["pids"], json!([pid]));
    let pause = cli.run("pause").text("a").flags(["--timeout", "0.3"]);
    pause.err("TaskWaitTimedOut");
    processes::send(supervisor, Signal::SIGCONT);
    cli.stop("a");
    cli.await_status("a", "killed");
    cli.assert_no_processes();
}

#[test]
fn deaf_processes_in_sessions_of_their_own_are_ended() {
    let cli = Cli::new();
    let deaf = ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "PIPE"];
    let mut directives: Vec<&str> = deaf.iter().flat_map(|name| ["ignore", name]).collect();
    directives.extend([
        "daemon",
        "daemon",
        "forks",
        "5",
        "thread-fork",
        "daemon",
        "print",
        "up",
    ]);
    directives.push("hang");
    let payload = json!({ "id": "a", "command": crate::harness::fixture(), "args": directives });
    cli.start(payload);
    cli.await_line("a", "up");
    assert_eq!(cli.commands().len(), 10);
    let stop = json!({ "id": "a", "grace_ms": 50 });
    cli.run("stop").payload(stop).ok();
    cli.assert_no_processes();
}

#[test]
fn a_fork_bomb_at_the_limit_of_its_user_is_ended() {
    let cli = Cli::new();
    // A user of its own, whose processes the kernel counts: each that is killed makes room for the
    // next, so there are always as many as there may be.
    let copy = cli.file("fixture");
    let bomb = format!(
        "cp {} {copy} && chmod 755 . && exec setpriv --reuid 41730 --regid 41730 --clear-groups \
         {copy} forkbomb 40",
        crate::harness::fixture()
    );
    cli.start(script("a", &bomb));
    eventually(|| cli.commands().len() > 20, "it goes off");
    let stop = json!({ "id": "a", "grace_ms": 0 });
    let stopped = cli.run("stop").payload(stop).flags(["--timeout", "60"]);
    assert_eq!(text(&stopped.ok()["status"]), "killed");
    cli.assert_no_processes();
}
