//! When a task is asked how it fares, one probe at a time.
//!
//! ```text
//! waiting ──due──▶ asking ──its end is heard──▶ waiting
//!                    └──time over: SIGKILL──▶ dying ──its end is heard──▶ waiting
//! ```
//!
//! A probe is a process of its own, so nothing it does holds up the supervisor. The next one begins
//! when the end of the last has been heard, even if that was killed: they never pile up.

pub(super) mod ask;
mod execute;

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

pub(super) use ask::ask;

use self::execute::Attempt;
use super::command::Command;
use crate::clock::Deadline;
use crate::process;
use crate::store::TaskDir;
use crate::task::{Health, HealthProbe, MainExit, Probe};
use crate::wait::poll_timeout;

/// Between the first two probes of a task that is not ready yet.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The pause doubles up to this, as long as it is not ready.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of a killed probe is waited for before the supervisor ends.
const PARTING: Duration = Duration::from_millis(100);

/// What a probe has found: nothing wrong, or this.
pub(super) type Verdict = Result<(), String>;

/// The probes of the present run.
#[derive(Debug)]
pub(super) struct Probing {
    /// Until then one must have succeeded; never, once one has.
    startup: Deadline,
    /// When the next begins.
    next: Deadline,
    pause: Duration,
    /// While the task is paused: what is left of its time to get ready.
    paused: Option<Option<Duration>>,
    present: Option<Present>,
    /// In a row, of a task that was healthy.
    failures: u32,
}

#[derive(Debug)]
struct Present {
    attempt: Attempt,
    /// How it ended, once that is known.
    exit: Option<MainExit>,
    until: Deadline,
    fate: Fate,
}

/// What becomes of a probe that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It may take its time.
    Asking,
    /// It was killed because it took too long.
    TimedOut,
    /// It was killed because nobody wants to know any more.
    Dropped,
}

impl Probing {
    /// Begins with a run that fares like this as far as is known. One that had not got ready when
    /// its supervisor was lost has all of its time again: nobody has asked it since.
    pub(super) fn begin(probe: &HealthProbe, health: Health) -> Self {
        let startup = match health {
            Health::None | Health::Starting => {
                Deadline::after(Duration::from_millis(probe.startup_timeout_ms))
            }
            Health::Healthy | Health::Unhealthy => Deadline::NEVER,
        };
        Self {
            startup,
            // A log tells by itself.
            next: if matches!(probe.probe, Probe::Log { .. }) {
                Deadline::NEVER
            } else {
                Deadline::after(Duration::ZERO)
            },
            pause: FIRST_PAUSE,
            paused: None,
            present: None,
            failures: 0,
        }
    }

    /// Goes on to another run; a probe of the one before may still be dying.
    pub(super) fn begin_next(&mut self, probe: &HealthProbe) {
        let present = self.present.take();
        *self = Self::begin(probe, Health::Starting);
        self.present = present;
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Deadline {
        let own = match &self.present {
            Some(present) if present.exit.is_some() => Deadline::after(Duration::ZERO),
            Some(present) => present.until,
            None => self.next,
        };
        own.sooner(self.startup)
    }

    /// The child of ours that is no process of the task.
    pub(super) fn pid(&self) -> Option<i32> {
        self.present.as_ref().map(|present| present.attempt.pid)
    }

    /// A child has ended that may have been a probe.
    pub(super) fn take_in(&mut self, pid: i32, ended: MainExit) {
        if let Some(Present { attempt, exit, .. }) = &mut self.present
            && attempt.pid == pid
        {
            *exit = Some(ended);
        }
    }

    /// Whether it should have been ready by now.
    pub(super) fn is_too_late(&self) -> bool {
        self.startup.has_passed()
    }

    /// What has been found since the last time, after which the next is due.
    pub(super) fn hear(&mut self, probe: &HealthProbe, health: Health) -> Option<Verdict> {
        let present = self.present.as_mut()?;
        if present.exit.is_none() {
            if present.until.has_passed() {
                present.fate = Fate::TimedOut;
                present.until = Deadline::NEVER;
                present.attempt.kill();
            }
            return None;
        }
        let Present {
            attempt,
            exit,
            fate,
            ..
        } = self.present.take()?;
        if self.paused.is_some() {
            return None;
        }
        self.plan_next(probe, health);
        match fate {
            Fate::Dropped => {
                self.next = Deadline::after(Duration::ZERO);
                None
            }
            Fate::TimedOut => Some(Err(format!(
                "it gave no answer within {} ms",
                probe.timeout_ms
            ))),
            Fate::Asking => exit.map(|exit| attempt.verdict(exit)),
        }
    }

    fn plan_next(&mut self, probe: &HealthProbe, health: Health) {
        let interval = Duration::from_millis(probe.interval_ms);
        let pause = if matches!(health, Health::None | Health::Starting) {
            let pause = self.pause;
            self.pause = (pause * 2).min(LONGEST_PAUSE);
            pause.min(interval)
        } else {
            interval
        };
        self.next = Deadline::after(pause);
    }

    /// How a task fares from now on that has fared like this so far, if that is new.
    pub(super) fn judge(
        &mut self,
        probe: &HealthProbe,
        health: Health,
        verdict: &Verdict,
    ) -> Option<Health> {
        match (verdict, health) {
            (Ok(()), Health::Healthy) => self.failures = 0,
            (Ok(()), _) => {
                self.failures = 0;
                self.startup = Deadline::NEVER;
                if !matches!(probe.probe, Probe::Log { .. }) {
                    self.next = Deadline::after(Duration::from_millis(probe.interval_ms));
                }
                return Some(Health::Healthy);
            }
            (Err(_), Health::Healthy) => {
                self.failures += 1;
                return (self.failures >= probe.failure_threshold).then_some(Health::Unhealthy);
            }
            (Err(_), _) => {}
        }
        None
    }

    /// Executes the next probe, if it is time; what prevented it.
    pub(super) fn ask_if_due(
        &mut self,
        probe: &HealthProbe,
        health: Health,
        dir: &TaskDir,
        command: &Command<'_>,
    ) -> Option<Verdict> {
        if self.present.is_some() || !self.next.has_passed() {
            return None;
        }
        self.next = Deadline::NEVER;
        let attempt = match &probe.probe {
            Probe::Http { .. } | Probe::Tcp { .. } => Attempt::ask(dir, command.id),
            Probe::Command {
                command: program,
                args,
            } => Attempt::command(command, program, args),
            Probe::Log { .. } => return None,
        };
        match attempt {
            Ok(attempt) => {
                self.present = Some(Present {
                    attempt,
                    exit: None,
                    until: Deadline::after(Duration::from_millis(probe.timeout_ms)),
                    fate: Fate::Asking,
                });
                None
            }
            Err(problem) => {
                self.plan_next(probe, health);
                Some(Err(problem))
            }
        }
    }

    /// The task stands still: whoever asks it gets no answer.
    pub(super) fn pause(&mut self) {
        self.drop_present();
        self.next = Deadline::NEVER;
        self.paused = Some(self.startup.remaining());
        self.startup = Deadline::NEVER;
    }

    /// It goes on, and has as much time to get ready as was left.
    pub(super) fn resume(&mut self, probe: &HealthProbe) {
        if let Some(left) = self.paused.take() {
            self.startup = left.map_or(Deadline::NEVER, Deadline::after);
            if !matches!(probe.probe, Probe::Log { .. }) {
                self.next = Deadline::after(Duration::ZERO);
            }
        }
    }

    /// The run is over, or about to be.
    pub(super) fn end(&mut self) {
        self.drop_present();
        self.next = Deadline::NEVER;
        self.startup = Deadline::NEVER;
        // What comes of the probe that is left is not asked for.
        self.paused = Some(None);
    }

    fn drop_present(&mut self) {
        let Some(present) = &mut self.present else {
            return;
        };
        if present.exit.is_some() {
            self.present = None;
            return;
        }
        if present.fate == Fate::Asking {
            present.attempt.kill();
        }
        present.fate = Fate::Dropped;
        present.until = Deadline::NEVER;
    }

    /// Nothing follows: a probe that was killed should not outlive its supervisor.
    pub(super) fn part(&mut self) {
        let Some(present) = self.present.take().filter(|it| it.exit.is_none()) else {
            return;
        };
        let pid = present.attempt.pid;
        if let Ok(watch) = process::exit_watch(pid) {
            let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, poll_timeout(Deadline::after(PARTING)));
        }
        process::reap_child(pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(startup_timeout_ms: u64) -> HealthProbe {
        HealthProbe {
            probe: Probe::Tcp {
                host: "localhost".to_owned(),
                port: 1,
            },
            interval_ms: 10_000,
            timeout_ms: 1000,
            startup_timeout_ms,
            failure_threshold: 2,
        }
    }

    fn wrong() -> Verdict {
        Err("wrong".to_owned())
    }

    #[test]
    fn failures_count_in_a_row_and_once_it_was_healthy() {
        let probe = probe(60_000);
        let mut probing = Probing::begin(&probe, Health::Starting);
        let mut health = Health::Starting;
        let mut changes = Vec::new();
        for verdict in [
            wrong(),
            wrong(),
            wrong(),
            Ok(()),
            wrong(),
            Ok(()),
            wrong(),
            wrong(),
            wrong(),
            Ok(()),
            wrong(),
        ] {
            let new = probing.judge(&probe, health, &verdict);
            health = new.unwrap_or(health);
            changes.extend(new);
        }
        let expected = [Health::Healthy, Health::Unhealthy, Health::Healthy];
        assert_eq!(changes, expected);
        assert!(!probing.is_too_late());
    }

    #[test]
    fn the_pause_grows_until_it_is_ready() {
        let probe = probe(60_000);
        let mut probing = Probing::begin(&probe, Health::Starting);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            probing.plan_next(&probe, Health::Starting);
            pauses.push(probing.next.remaining().unwrap());
        }
        for (pause, most) in pauses.iter().zip([50, 100, 200, 400, 800, 1000, 1000]) {
            let most = Duration::from_millis(most);
            assert!(*pause <= most && *pause > most / 2, "{pauses:?}");
        }
        probing.judge(&probe, Health::Starting, &Ok(()));
        assert!(probing.next.remaining().unwrap() > Duration::from_secs(9));
    }

    #[test]
    fn a_pause_takes_nothing_of_the_time_to_get_ready() {
        let probe = probe(60_000);
        let mut probing = Probing::begin(&probe, Health::Starting);
        probing.pause();
        assert_eq!(probing.due(), Deadline::NEVER);
        probing.resume(&probe);
        assert!(probing.next.has_passed());
        let left = probing.startup.remaining().unwrap();
        assert!(left > Duration::from_secs(59) && left <= Duration::from_secs(60));
        // One that was ready before needs no such time.
        let mut probing = Probing::begin(&probe, Health::Unhealthy);
        probing.pause();
        probing.resume(&probe);
        assert_eq!(probing.startup, Deadline::NEVER);
    }
}
