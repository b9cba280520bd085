//! A run begins, or waits until it may.

use std::os::fd::OwnedFd;

use super::super::Errand;
use super::super::execute::{Execution, Undo};
use super::super::handshake::Answer;
use super::super::log_file::LogSource;
use super::super::log_file::remove;
use super::super::turn::Turn;
use super::Supervisor;
use crate::store::{file, keep_environment};
use crate::task::RestartPolicy;

impl Supervisor {
    /// Executes the run, or has it wait for its turn.
    pub(super) fn begin_run(
        &mut self,
        log: LogSource,
        undo: Undo,
        handshake: &Option<OwnedFd>,
    ) -> Answer {
        let (dir, record) = (&self.ledger.dir, &self.ledger.record);
        let mut turn = Turn::of(dir, record, self.errand);
        let waits = turn
            .as_mut()
            .is_some_and(|turn| !turn.comes_at_once(&self.home, dir, record));
        let execution = Execution {
            home: &self.home,
            ledger: &mut self.ledger,
        };
        let begun = if waits {
            execution.line_up(log, undo, handshake)
        } else {
            execution.run(log, undo, handshake).map(|main| {
                self.main = Some(main);
            })
        };
        match begun {
            Ok(()) => {
                self.turn = turn;
                self.keep_environment();
                self.ready()
            }
            Err(failure) => {
                if let Some(turn) = turn {
                    turn.leave();
                }
                Answer::Failed(failure)
            }
        }
    }

    /// Keeps what the command inherits for a later `recover`, where the task may need one.
    fn keep_environment(&self) {
        let spec = &self.ledger.record.spec;
        let dir = &self.ledger.dir;
        let may_need = spec.restart.policy != RestartPolicy::Never && spec.inherit_env;
        match self.errand {
            Errand::Start | Errand::Restart | Errand::Next if may_need => {
                // Without it, recover falls back on its own.
                let _ = keep_environment(dir, std::env::vars_os());
            }
            // An earlier generation may have had a policy.
            Errand::Start if self.replaces => {
                let _ = remove(dir, file::ENVIRON);
            }
            _ => {}
        }
    }
}
