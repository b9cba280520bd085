//! Stopping a process at each of its system calls, by ptrace(2).
//!
//! A tracer follows a caller to the supervisor that it launches and on to the command, but only the
//! one that is aimed at is stopped at its calls; everybody else is let go as soon as possible, since
//! a tracer is in the way of job control. Everything happens in one thread: the kernel accepts
//! requests of the tracing thread only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::calls::SystemCall;
use super::children::Children;
use super::proc;
use super::tracee::{FORKS, OPTIONS, Reached, Role, Tracee, is_entry};

pub struct Tracer {
    role: Role,
    /// The process that is aimed at, once it is there.
    target: Option<i32>,
    tracees: BTreeMap<i32, Tracee>,
    /// Whoever has been let go; the news of its birth may come after it.
    let_go: BTreeSet<i32>,
    /// Whoever has been born, but has not stopped yet.
    born: BTreeSet<i32>,
    /// The thread that stands at the boundary.
    held: Option<i32>,
    /// How many system calls it has begun.
    pub count: u32,
    last: Instant,
}

impl Tracer {
    /// Traces a caller that has not been executed yet.
    pub fn of_caller(caller: i32, role: Role) -> nix::Result<Self> {
        ptrace::seize(Pid::from_raw(caller), OPTIONS)?;
        let mut tracer = Self::new(role);
        let first = Tracee {
            pid: caller,
            role: Some(Role::Caller),
            executed: false,
        };
        tracer.tracees.insert(caller, first);
        if role == Role::Caller {
            tracer.target = Some(caller);
        }
        Ok(tracer)
    }

    /// Traces a supervisor that is there, and has it stand still until it is let run.
    pub fn of_present(supervisor: i32) -> nix::Result<Self> {
        ptrace::seize(Pid::from_raw(supervisor), OPTIONS)?;
        ptrace::interrupt(Pid::from_raw(supervisor))?;
        let mut tracer = Self::new(Role::Present);
        let first = Tracee {
            pid: supervisor,
            role: Some(Role::Present),
            executed: true,
        };
        tracer.tracees.insert(supervisor, first);
        tracer.target = Some(supervisor);
        Ok(tracer)
    }

    fn new(role: Role) -> Self {
        Self {
            role,
            target: None,
            tracees: BTreeMap::new(),
            let_go: BTreeSet::new(),
            born: BTreeSet::new(),
            held: None,
            count: 0,
            last: Instant::now(),
        }
    }

    /// Runs until the target is about to make the system call of this number, has ended, or has had
    /// nothing to do for a while. Without a number the calls are only counted.
    pub fn until(
        &mut self,
        children: &mut Children,
        number: Option<u32>,
        limit: Duration,
    ) -> Reached {
        let begun = Instant::now();
        self.last = begun;
        while begun.elapsed() < limit && self.last.elapsed() < QUIET {
            let Some(stop) = children.next_stop(Duration::from_millis(20)) else {
                continue;
            };
            self.hear(stop, number);
            if let (Some(tid), Some(pid)) = (self.held, self.target) {
                return Reached::At {
                    pid,
                    call: SystemCall::of(tid).map_or_else(String::new, |call| call.to_string()),
                };
            }
            if self.tracees.is_empty() || self.has_ended(stop) {
                break;
            }
        }
        Reached::Not
    }

    fn has_ended(&self, stop: WaitStatus) -> bool {
        let is_end = matches!(stop, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
        is_end && stop.pid().map(Pid::as_raw) == self.target
    }

    /// Keeps the others going while the target stands at its boundary.
    pub fn serve(&mut self, children: &mut Children, time: Duration) {
        let begun = Instant::now();
        while let Some(left) = time.checked_sub(begun.elapsed()) {
            if let Some(stop) = children.next_stop(left.min(Duration::from_millis(5))) {
                self.hear(stop, None);
            }
        }
    }

    /// Lets go of everybody.
    pub fn release(mut self, children: &mut Children) -> Result<u32, String> {
        if let Some(held) = self.held.take() {
            let _ = ptrace::detach(Pid::from_raw(held), None);
            self.tracees.remove(&held);
        }
        for tid in self.tracees.keys() {
            let _ = ptrace::interrupt(Pid::from_raw(*tid));
        }
        let begun = Instant::now();
        while !(self.tracees.is_empty() && self.born.is_empty()) {
            if begun.elapsed() > Duration::from_secs(10) {
                let left: Vec<_> = self.tracees.keys().collect();
                return Err(format!("the tracer cannot let go of {left:?}"));
            }
            let Some(stop) = children.next_stop(Duration::from_millis(20)) else {
                self.tracees.retain(|tid, _| proc::is_alive(*tid));
                self.born.retain(|tid| proc::is_alive(*tid));
                continue;
            };
            let Some(pid) = stop.pid() else { continue };
            let signal = match stop {
                WaitStatus::Stopped(_, signal) => Some(signal),
                _ => None,
            };
            self.expect_child(stop);
            self.detach(pid, signal);
        }
        Ok(self.count)
    }

    /// The kernel attaches a new child by itself, which will stop and is to be let go as well.
    fn expect_child(&mut self, stop: WaitStatus) {
        if let WaitStatus::PtraceEvent(parent, _, event) = stop
            && FORKS.contains(&event)
            && let Ok(child) = ptrace::getevent(parent)
        {
            let pid = i32::try_from(child).unwrap_or(0);
            let is_known = self.let_go.contains(&pid) || self.tracees.contains_key(&pid);
            if !is_known {
                self.born.insert(pid);
            }
        }
    }

    fn hear(&mut self, stop: WaitStatus, number: Option<u32>) {
        let Some(pid) = stop.pid() else { return };
        let tid = pid.as_raw();
        match stop {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                self.tracees.remove(&tid);
                self.born.remove(&tid);
            }
            WaitStatus::Stopped(_, signal) => self.resume(tid, Some(signal)),
            WaitStatus::PtraceEvent(_, _, event) => {
                if event == ptrace::Event::PTRACE_EVENT_EXEC as i32
                    && let Some(tracee) = self.tracees.get_mut(&tid)
                {
                    tracee.executed = true;
                }
                self.expect_child(stop);
                self.resume(tid, None);
            }
            WaitStatus::PtraceSyscall(_) => {
                if self.is_target(tid) && is_entry(pid) {
                    self.last = Instant::now();
                    if SystemCall::of(tid).is_some_and(|call| call.is_visible()) {
                        self.count += 1;
                        if number == Some(self.count) {
                            self.held = Some(tid);
                            return;
                        }
                    }
                }
                self.resume(tid, None);
            }
            _ => {}
        }
    }

    fn is_target(&self, tid: i32) -> bool {
        let pid = self.tracees.get(&tid).map(|tracee| tracee.pid);
        pid.is_some() && pid == self.target
    }

    fn resume(&mut self, tid: i32, signal: Option<Signal>) {
        let tracee = match self.tracees.get(&tid) {
            Some(tracee) => *tracee,
            None => self.adopt(tid),
        };
        let pid = Pid::from_raw(tid);
        let is_on_the_way = tracee.role.is_some_and(|role| role < self.role);
        // What a stand-in does before it is the caller does not count.
        if Some(tracee.pid) == self.target && (tracee.executed || tracee.role != Some(Role::Caller))
        {
            let _ = ptrace::syscall(pid, signal);
        } else if Some(tracee.pid) == self.target || is_on_the_way {
            let _ = ptrace::cont(pid, signal);
        } else {
            self.detach(pid, signal);
        }
    }

    fn detach(&mut self, pid: Pid, signal: Option<Signal>) {
        let _ = ptrace::detach(pid, signal);
        self.tracees.remove(&pid.as_raw());
        self.born.remove(&pid.as_raw());
        self.let_go.insert(pid.as_raw());
    }

    /// A thread or child that the kernel has attached by itself.
    fn adopt(&mut self, tid: i32) -> Tracee {
        let (pid, parent) = proc::process_of(tid).unwrap_or((tid, 0));
        let known = |pid: i32| {
            self.tracees
                .values()
                .find(|tracee| tracee.pid == pid)
                .copied()
        };
        let role = if pid == tid {
            match known(parent).and_then(|tracee| tracee.role) {
                Some(Role::Caller) => Some(Role::Launched),
                Some(Role::Launched) => Some(Role::Command),
                _ => None,
            }
        } else {
            known(pid).and_then(|tracee| tracee.role)
        };
        let tracee = Tracee {
            pid,
            role,
            executed: true,
        };
        self.born.remove(&tid);
        self.tracees.insert(tid, tracee);
        if role == Some(self.role) && self.target.is_none() {
            self.target = Some(pid);
        }
        tracee
    }
}

/// So long without a system call of the target: it sleeps until somebody wants something.
const QUIET: Duration = Duration::from_millis(400);
