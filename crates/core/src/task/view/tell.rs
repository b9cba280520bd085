//! From the record to the view of it.

use super::{OwnerPid, Task};
use crate::clock::Timestamp;
use crate::task::{Facts, Health, MainExit, Owner, Program, Reason, Stderr, TaskSpec, TaskState};

/// Stands for what may be a secret.
const MASK: &str = "***";

impl Task {
    pub(super) fn tell_spec(&mut self, spec: &TaskSpec) {
        self.name = spec.name.clone();
        match &spec.program {
            Program::Direct { command, args } => {
                self.command = Some(command.clone());
                self.args = args.clone();
            }
            Program::Shell(script) => self.shell = Some(script.clone()),
        }
        self.workdir = Some(spec.workdir.clone());
        let masked = |name: &String| (name.clone(), MASK.to_owned());
        self.env = spec.env.0.keys().map(masked).collect();
        self.env_file = spec.env_file.clone();
        self.inherit_env = Some(spec.inherit_env);
        self.tags = spec.tags.clone();
        self.parent_session_id = spec.parent_session_id.clone();
        self.notify_on_exit = spec.notify_on_exit;
        self.stop = Some(spec.stop);
        self.leftovers = Some(spec.leftovers);
        self.stderr = Some(spec.stderr);
        // It lies beside the log, and is named after it.
        self.stderr_log_path =
            (spec.stderr == Stderr::Separate).then(|| self.log_path.with_extension("stderr.log"));
        self.limits = Some(spec.limits);
        self.restart = Some(spec.restart);
        self.timeout_ms = spec.timeout_ms;
        self.idle_timeout_ms = spec.idle_timeout_ms;
        self.ttl_ms = spec.ttl_ms;
        self.tell_extras(spec);
    }

    fn tell_extras(&mut self, spec: &TaskSpec) {
        self.stdin = Some(spec.stdin.clone());
        self.pty = spec.pty;
        self.health_probe = spec.health.clone();
        if spec.health.is_some() && !self.status.is_terminal() && self.health == Health::None {
            self.health = Health::Starting;
        }
        self.owner = spec.owner.map(|Owner(owner)| OwnerPid { pid: owner.pid });
        self.on_exit = spec.on_exit.clone();
        self.queue = spec.queue.clone();
        self.after = spec.after.clone();
        self.watch = spec.watch.clone();
        self.agent = spec.extension.as_ref().map(|own| own.shown.clone());
    }

    pub(super) fn tell_facts(&mut self, facts: &Facts) {
        self.created_at = Some(facts.created_at);
        self.updated_at = Some(facts.updated_at);
        self.restart_count = facts.restart_count;
        self.run = facts.run;
        self.status = facts.state.status();
        let span = match &facts.state {
            TaskState::Queued | TaskState::Starting => None,
            TaskState::BackingOff { next_start_at } => {
                self.next_start_at = Some(*next_start_at);
                None
            }
            TaskState::Running {
                main,
                started_at,
                main_exit,
                paused_at,
                paused_ms: _,
                health,
            } => {
                self.paused = paused_at.is_some();
                self.health = *health;
                self.pid = main_exit.is_none().then_some(main.pid);
                self.started_at = Some(*started_at);
                self.duration_ms = Some(Timestamp::now().millis_since(*started_at));
                None
            }
            TaskState::Exited { exit_code, span } => {
                self.exit_code = Some(*exit_code);
                Some(span)
            }
            TaskState::Completed { exit, span } => {
                self.reason = Some(Reason::COMPLETED);
                self.tell_exit(*exit);
                span.as_ref()
            }
            TaskState::Killed { reason, exit, span } => {
                self.reason = Some(Reason::Killed(*reason));
                self.tell_exit(*exit);
                span.as_ref()
            }
            TaskState::Failed {
                reason,
                problem,
                exit,
                span,
            } => {
                self.tell_exit(*exit);
                self.reason = Some(Reason::Failed(*reason));
                self.problem = Some(problem.clone());
                span.as_ref()
            }
        };
        if let Some(span) = span {
            self.started_at = Some(span.started_at);
            self.exited_at = span.exited_at;
            self.duration_ms = span.duration_ms;
        }
    }

    fn tell_exit(&mut self, exit: Option<MainExit>) {
        match exit {
            Some(MainExit::Code(code)) => self.exit_code = Some(code),
            Some(MainExit::Signal(signal)) => self.signal = Some(signal),
            None => {}
        }
    }
}
