//! Whoever is a child of this process, or traced by it: their ends and their stops.
//!
//! One place waits for all of them, because wait(2) for anyone would take the news of one from
//! whoever waits for that one.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

#[derive(Default)]
pub struct Children {
    ended: BTreeMap<i32, WaitStatus>,
    stops: VecDeque<WaitStatus>,
}

impl Children {
    /// Takes what there is, without waiting.
    pub fn hear(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                Ok(WaitStatus::StillAlive) => return,
                Ok(end @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..))) => {
                    self.ended.insert(pid.as_raw(), end);
                    // A tracer has to hear of it as well.
                    self.stops.push_back(end);
                }
                Ok(stop) => self.stops.push_back(stop),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// How a process has ended, once it has.
    pub fn end_of(&mut self, pid: i32) -> Option<WaitStatus> {
        self.hear();
        self.ended.get(&pid).copied()
    }

    /// The next stop or end, for a tracer. Looks eagerly at first: a traced program stops many
    /// hundred times.
    pub fn next_stop(&mut self, patience: Duration) -> Option<WaitStatus> {
        let begun = Instant::now();
        loop {
            self.hear();
            if let Some(stop) = self.stops.pop_front() {
                return Some(stop);
            }
            let waited = begun.elapsed();
            if waited >= patience {
                return None;
            }
            if waited < Duration::from_micros(300) {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// Forgets what belongs to a round that is over.
    pub fn forget(&mut self) {
        self.hear();
        self.ended.clear();
        self.stops.clear();
    }
}
