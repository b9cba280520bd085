//! How a supervisor begins its work on a run.

use super::super::input::Input;
use super::super::ledger::{About, Ledger};
use super::super::limits::RunLimits;
use super::super::machine::{Sequel, Settings, State, StopStep, Then};
use super::super::owner::OwnerWatch;
use super::super::policy::Retries;
use super::super::signals::Signals;
use super::super::tree::Tree;
use super::super::turn::Turn;
use super::Chores;
use crate::clock::Deadline;
use crate::process;
use crate::store::Home;
use crate::task::{ProcessIdentity, TaskState};

impl<'a> Chores<'a> {
    /// For a run that we executed ourselves. `turn`: the place in a line that it has.
    #[inline(never)]
    pub(crate) fn own(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
        main: ProcessIdentity,
        turn: Option<Turn>,
    ) -> Self {
        let tree = Tree::own(main, &ledger.record.facts.run_token);
        let retries = Retries::new(ledger.record.spec.restart);
        let limits = RunLimits::of(&ledger.record.spec);
        let owner = ledger.record.spec.owner.map(OwnerWatch::of);
        Self {
            owner,
            retries: Some(retries),
            limits,
            turn,
            ..Self::new(home, ledger, signals, tree, Some(main), State::Running)
        }
    }

    /// For a task whose first run waits for its turn.
    #[inline(never)]
    pub(crate) fn queued(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
        turn: Turn,
    ) -> Self {
        // There is no process to look after yet.
        let tree = Tree::foreign(None, &ledger.record.facts.run_token, None);
        let spec = &ledger.record.spec;
        let retries = Retries::new(spec.restart);
        let owner = spec.owner.map(OwnerWatch::of);
        Self {
            owner,
            retries: Some(retries),
            turn: Some(turn),
            ..Self::new(home, ledger, signals, tree, None, State::Queued)
        }
    }

    /// For a run whose supervisor is lost, and that goes on under us.
    #[inline(never)]
    pub(crate) fn attending(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
    ) -> Self {
        let spec = &ledger.record.spec;
        let retries = Retries::new(spec.restart);
        let owner = spec.owner.map(OwnerWatch::of);
        let paused = ledger.is_paused();
        ledger.input = Input::regained(&ledger.dir, spec);
        let mut limits = RunLimits::of(spec).after(ledger.active_time());
        if paused {
            limits.pause();
        }
        let mut chores = Self::adopted(home, ledger, signals);
        if let TaskState::Running {
            main_exit: Some(exit),
            ..
        } = chores.ledger.record.facts.state
        {
            chores.state = State::Lingering { exit };
        }
        chores.main_watch = chores
            .main
            .and_then(|main| process::exit_watch(main.pid).ok());
        let mut chores = Self {
            retries: Some(retries),
            limits,
            owner,
            ..chores
        };
        // What somebody wished of the one that is lost, who may not be there any more either.
        if let Some(wish) = chores.news(|_| true) {
            chores.happen(wish);
            chores.ledger.wish_done();
        }
        chores
    }

    /// For a run whose supervisor is lost, and that is to be ended.
    pub(crate) fn adopted(
        home: &'a Home,
        ledger: &'a mut Ledger,
        signals: &'a mut Signals,
    ) -> Self {
        let facts = &ledger.record.facts;
        let main = facts.state.main().copied().filter(process::may_be_alive);
        let tree = Tree::foreign(main, &facts.run_token, ledger.leaf.clone());
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

    /// Whatever this run comes to, the task goes on: that is no end which its hook is to hear of.
    pub(crate) fn expect_another_run(&mut self) {
        self.settings.has_hook = false;
    }

    pub(crate) fn is_tree_gone(&self) -> bool {
        self.tree.is_gone()
    }

    #[inline(never)]
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
            has_hook: spec.on_exit.is_some(),
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
            next_about: About::TheSame,
            done: Deadline::NEVER,
            owner: None,
            main_watch: None,
            probing: None,
            scan: None,
            turn: None,
            never: String::new(),
            hook: None,
            puts_away: Deadline::after(super::PUT_AWAY_AFTER),
        }
    }
}
