//! Carrying out what the machine decides, and telling it what has happened.

mod heard;

use std::time::Duration;

use super::detach::release_unused_stack;
use super::execute::{Execution, LogSource, Undo};
use super::growth::Growth;
use super::ledger::Ledger;
use super::limits::RunLimits;
use super::machine::{Action, Event, Sequel, Settings, State, StopStep, Then, step};
use super::policy::Retries;
use super::signals::{Heard, Signals};
use super::tree::Tree;
use crate::clock::Deadline;
use crate::process;
use crate::store::Home;
use crate::task::ProcessIdentity;

/// Between two sweeps of SIGKILL: SIGCHLD ends it earlier.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The pause doubles up to this: what survives SIGKILL for long sleeps in the kernel.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often a tree is looked at whose end the kernel does not tell us. Only while it is ending.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A supervisor at work on a run, and on those that its restart policy has follow.
pub(crate) struct Chores<'a> {
    home: &'a Home,
    pub ledger: &'a mut Ledger,
    pub signals: &'a mut Signals,
    state: State,
    settings: Settings,
    tree: Tree,
    main: Option<ProcessIdentity>,
    grace: Deadline,
    sweep: Option<(Deadline, Duration)>,
    /// `None` for a run that another supervisor executed: it is only ended.
    retries: Option<Retries>,
    limits: RunLimits,
    /// When the next run begins.
    next_run: Deadline,
}

impl<'a> Chores<'a> {
    /// For a run that we executed ourselves.
    pub(crate) fn own(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
        main: ProcessIdentity,
    ) -> Self {
        let tree = Tree::own(main, &ledger.record.facts.run_token);
        let retries = Retries::new(ledger.record.spec.restart);
        let limits = RunLimits::of(&ledger.record.spec);
        Self {
            retries: Some(retries),
            limits,
            ..Self::new(home, ledger, signals, tree, Some(main), State::Running)
        }
    }

    /// For a run whose supervisor is lost.
    pub(crate) fn adopted(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
    ) -> Self {
        let facts = &ledger.record.facts;
        let main = facts.state.main().copied().filter(process::is_alive);
        let tree = Tree::foreign(main, &facts.run_token);
        let state = if facts.state.status().is_terminal() {
            State::Clearing {
                then: Then::Leave,
                step: StopStep::Asked,
            }
        } else {
            State::Running
        };
        Self::new(home, ledger, signals, tree, main, state)
    }

    fn new(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
        tree: Tree,
        main: Option<ProcessIdentity>,
        state: State,
    ) -> Self {
        let spec = &ledger.record.spec;
        let settings = Settings {
            leftovers: spec.leftovers,
            stop: spec.stop,
            after_success: Sequel::End,
            after_failure: Sequel::End,
        };
        Self {
            home,
            ledger,
            signals,
            state,
            settings,
            tree,
            main,
            grace: Deadline::NEVER,
            sweep: None,
            retries: None,
            limits: RunLimits::NONE,
            next_run: Deadline::NEVER,
        }
    }

    /// Tells the machine what has happened and does what it decides.
    pub(crate) fn happen(&mut self, event: Event) {
        if let Some(retries) = &self.retries {
            let (success, failure) = retries.outlook(self.ledger.run_time());
            self.settings.after_success = success;
            self.settings.after_failure = failure;
        }
        let (next, actions) = step(self.settings, self.state, event);
        self.state = next;
        let cleared = actions.last() == Some(&Action::Leave);
        for action in actions {
            self.perform(action, cleared);
        }
    }

    fn perform(&mut self, action: Action, cleared: bool) {
        match action {
            Action::RecordLingering(exit) => self.ledger.lingering(exit),
            Action::RecordEnd(exit) => self.ledger.ended(exit, cleared),
            Action::RecordStopped(exit, reason) => self.ledger.stopped(exit, reason, cleared),
            Action::RecordGivenUp(exit, reason) => self.ledger.given_up(exit, reason, cleared),
            Action::RecordRestarting(exit) => self.ledger.restarting(exit),
            Action::BackOff {
                exit,
                reason,
                delay_ms,
            } => {
                self.ledger.backing_off(exit, reason, delay_ms);
                self.back_off(delay_ms);
            }
            Action::HandOver => self.ledger.hand_over(),
            Action::Execute => self.execute_next_run(),
            Action::NoteStopRequest(stop, reason) => self.ledger.note_stop_request(stop, reason),
            Action::SignalTree(signal) => self.tree.signal(signal),
            Action::LimitGrace(ms) => {
                self.grace = self
                    .grace
                    .sooner(Deadline::after(Duration::from_millis(ms)));
            }
            Action::KillTree => {
                self.grace = Deadline::NEVER;
                self.sweep = Some((Deadline::after(Duration::ZERO), FIRST_PAUSE));
            }
            Action::Leave => self.ledger.cleared(),
        }
    }

    fn back_off(&mut self, delay_ms: u64) {
        if let Some(retries) = &mut self.retries {
            retries.count(self.ledger.run_time());
        }
        self.grace = Deadline::NEVER;
        self.sweep = None;
        self.limits = RunLimits::NONE;
        self.next_run = Deadline::after(Duration::from_millis(delay_ms));
    }

    fn execute_next_run(&mut self) {
        self.ledger.hand_over();
        let execution = Execution {
            home: self.home,
            ledger: self.ledger,
        };
        match execution.run(LogSource::Present, Undo::Record, &None) {
            Ok(main) => {
                self.tree = Tree::own(main, &self.ledger.record.facts.run_token);
                self.main = Some(main);
                self.limits = RunLimits::of(&self.ledger.record.spec);
                self.ledger.with_growth(Growth::begin);
                release_unused_stack();
            }
            Err(_) => self.happen(Event::NotExecuted),
        }
    }

    /// Looks after the run until the machine says that nothing is left to do.
    pub(crate) fn see_through(&mut self) -> std::io::Result<()> {
        // What was heard of children before now has been forgotten with the rest.
        self.attend_to(Heard {
            child: true,
            ..Heard::default()
        });
        if self.state != State::Ended {
            self.ledger.with_growth(Growth::begin);
        }
        release_unused_stack();
        while self.state != State::Ended {
            let deadline = self.next_deadline();
            let writes = self.ledger.growth.as_ref().and_then(Growth::as_fd);
            let heard = self.signals.wait(deadline, writes)?;
            self.attend_to(heard);
            // What is written has no part in how the task fares: the machine is not told.
            self.ledger
                .with_growth(|growth, dir| growth.attend(dir, heard.written));
        }
        self.ledger.with_growth(Growth::finish);
        Ok(())
    }

    fn next_deadline(&self) -> Deadline {
        let sweep = self.sweep.map_or(Deadline::NEVER, |(at, _)| at);
        let is_idle = matches!(self.state, State::Running | State::BackingOff);
        let look = if !is_idle && !self.tree.is_told_by_kernel() {
            Deadline::after(LOOK_AGAIN)
        } else {
            Deadline::NEVER
        };
        let grows = self.ledger.growth.as_ref();
        let grows = grows.map_or(Deadline::NEVER, Growth::due);
        let own = self.grace.sooner(self.next_run).sooner(self.limits.due());
        own.sooner(sweep).sooner(look).sooner(grows)
    }

    fn is_waiting_for_tree(&self) -> bool {
        matches!(self.state, State::Lingering { .. } | State::Clearing { .. })
    }

    fn sweep_if_due(&mut self) {
        if let Some((at, pause)) = self.sweep
            && at.has_passed()
        {
            self.tree.kill();
            self.sweep = Some((Deadline::after(pause), (pause * 2).min(LONGEST_PAUSE)));
        }
    }
}
