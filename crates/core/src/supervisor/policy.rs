//! How often a task has been started again, and what follows an end.

use std::time::Duration;

use super::machine::Sequel;
use crate::task::{RestartPolicy, RestartSettings};

/// A restart policy at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    settings: RestartSettings,
    /// Restarts in a row.
    done: u32,
}

impl Retries {
    pub(crate) fn new(settings: RestartSettings) -> Self {
        Self { settings, done: 0 }
    }

    /// What follows a success and what follows a failure, were a run to end now that has lasted so
    /// long.
    pub(crate) fn outlook(&self, run_time: Duration) -> (Sequel, Sequel) {
        let again = match self.done_before(run_time) {
            done if done >= self.settings.max_retries => Sequel::GiveUp,
            done => Sequel::Run {
                delay_ms: self.settings.delay(done + 1),
            },
        };
        match self.settings.policy {
            RestartPolicy::Never => (Sequel::End, Sequel::End),
            RestartPolicy::OnFailure => (Sequel::End, again),
            RestartPolicy::Always => (again, again),
        }
    }

    /// Another run follows one that has lasted so long.
    pub(crate) fn count(&mut self, run_time: Duration) {
        self.done = self.done_before(run_time) + 1;
    }

    fn done_before(&self, run_time: Duration) -> u32 {
        if run_time >= Duration::from_millis(self.settings.reset_after_ms) {
            0
        } else {
            self.done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    fn retries(policy: RestartPolicy) -> Retries {
        Retries::new(RestartSettings {
            policy,
            max_retries: 2,
            delay_ms: 10,
            reset_after_ms: 1000,
            ..Default::default()
        })
    }

    #[test]
    fn it_gives_up_unless_a_run_has_lasted() {
        let mut retries = retries(RestartPolicy::OnFailure);
        let run = |delay_ms| (Sequel::End, Sequel::Run { delay_ms });
        assert_eq!(retries.outlook(MOMENT), run(10));
        retries.count(MOMENT);
        assert_eq!(retries.outlook(MOMENT), run(20));
        retries.count(MOMENT);
        assert_eq!(retries.outlook(MOMENT), (Sequel::End, Sequel::GiveUp));
        let long = Duration::from_secs(1);
        assert_eq!(retries.outlook(long), run(10));
        retries.count(long);
        assert_eq!(retries.outlook(MOMENT), run(20));
    }

    #[test]
    fn the_policy_says_after_which_ends() {
        let never = retries(RestartPolicy::Never).outlook(MOMENT);
        assert_eq!(never, (Sequel::End, Sequel::End));
        let (success, failure) = retries(RestartPolicy::Always).outlook(MOMENT);
        assert_eq!(success, failure);
        assert_eq!(failure, Sequel::Run { delay_ms: 10 });
    }
}
