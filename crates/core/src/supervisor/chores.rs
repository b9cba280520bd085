//! Carrying out what the machine decides, and telling it what has happened.

mod begin;
mod heard;
mod hooking;
mod probing;
mod searching;
mod sweep;
mod turn;
mod wishes;
mod work;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::growth::Growth;
use super::hook::RunningHook;
use super::input::Input;
use super::ledger::{About, Ledger};
use super::limits::RunLimits;
use super::machine::{Action, Event, Settings, State};
use super::owner::OwnerWatch;
use super::policy::Retries;
use super::probe::Probing;
use super::scan::Scan;
use super::signals::{Concern, Heard, Listen, Signals};
use super::tree::Tree;
use super::turn::Turn;
use crate::clock::Deadline;
use crate::store::Home;
use crate::task::{ProcessIdentity, SignalNumber, TaskState};

/// How often a tree is looked at whose end the kernel does not tell us. Only while it is ending.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The same while it goes on by itself.
const LOOK_SELDOM: Duration = Duration::from_secs(1);

/// How long what it took to begin a run is kept. One that is over by then costs none of what it takes
/// to put that away, and nobody who waits for its beginning waits for that.
const PUT_AWAY_AFTER: Duration = Duration::from_millis(100);

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
    /// What it is about.
    next_about: About,
    /// Until when a run that is done may end by itself.
    done: Deadline,
    owner: Option<OwnerWatch>,
    /// Tells of the end of a main process that is not our child.
    main_watch: Option<OwnedFd>,
    probing: Option<Probing>,
    scan: Option<Scan>,
    /// What the first run waits for, and then the place that it has; `None` for most tasks.
    turn: Option<Turn>,
    /// Why the turn will never come.
    never: String,
    hook: Option<RunningHook>,
    /// When it puts away what it took to begin.
    puts_away: Deadline,
}

/// What a supervisor listens to besides its signals; for most tasks, nothing.
fn listen_to<'a>(
    ledger: &'a Ledger,
    owner: Option<&'a OwnerWatch>,
    main: Option<&'a OwnedFd>,
    turn: Option<&'a Turn>,
    hook: Option<&'a RunningHook>,
) -> Vec<Listen<'a>> {
    let writes = ledger.growth.as_ref().and_then(Growth::as_fd);
    let owner = owner.and_then(OwnerWatch::as_fd);
    let sources = [
        (writes, Concern::Writes),
        (owner, Concern::Owner),
        (main.map(OwnedFd::as_fd), Concern::Main),
        (hook.and_then(RunningHook::as_fd), Concern::Hook),
    ];
    let turn = turn.into_iter().flat_map(Turn::watched);
    let turn = turn.map(|fd| Listen::to(fd, Concern::Turn));
    let sources = sources.into_iter();
    sources
        .filter_map(|(fd, concern)| Some(Listen::to(fd?, concern)))
        .chain(ledger.input.iter().flat_map(Input::listen))
        .chain(turn)
        .collect()
}

impl Chores<'_> {
    /// Tells the machine what has happened and does what it decides.
    pub(crate) fn happen(&mut self, event: Event) {
        self.is_heeded(event);
    }

    /// The same, and whether it decides anything.
    fn is_heeded(&mut self, event: Event) -> bool {
        if let Some(retries) = &self.retries {
            let (success, failure) = retries.outlook(self.ledger.run_time());
            self.settings.after_success = success;
            self.settings.after_failure = failure;
        }
        let (next, actions) = self.decide(event);
        self.state = next;
        let cleared = matches!(actions.last(), Some(Action::Leave | Action::RunHook));
        let is_heeded = !actions.is_empty();
        for action in actions {
            self.perform(action, cleared);
        }
        is_heeded
    }

    fn perform(&mut self, action: Action, cleared: bool) {
        self.search_the_rest_before(action);
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
            // What is stopped would sleep through its grace period.
            Action::SignalTree(signal) => self.tree.signal(&[signal, SignalNumber::CONT]),
            Action::LimitGrace(ms) => {
                self.grace = self
                    .grace
                    .sooner(Deadline::after(Duration::from_millis(ms)));
            }
            Action::KillTree => {
                self.grace = Deadline::NEVER;
                self.sweep = Some((Deadline::after(Duration::ZERO), sweep::FIRST_PAUSE));
            }
            Action::PauseTree => self.pause(),
            Action::ResumeTree => self.resume(),
            Action::Deliver(signal, recipient) => self.deliver(signal, recipient),
            Action::RecordDependencyFailed => {
                let why = std::mem::take(&mut self.never);
                self.ledger.dependency_failed(why);
            }
            Action::RunHook => self.run_hook(),
            Action::KillHook => self.kill_hook(),
            Action::Leave => self.all_gone(),
        }
    }

    fn back_off(&mut self, delay_ms: u64) {
        // More work is no retry.
        if let (Some(retries), About::TheSame) = (&mut self.retries, self.next_about) {
            retries.count(self.ledger.run_time());
        }
        self.grace = Deadline::NEVER;
        self.sweep = None;
        self.limits = RunLimits::NONE;
        self.done = Deadline::NEVER;
        self.ledger.close_input();
        self.next_run = Deadline::after(Duration::from_millis(delay_ms));
    }

    fn execute_next_run(&mut self) {
        if self.ledger.record.facts.state == TaskState::Queued {
            self.ledger.turn_came();
        } else {
            self.ledger
                .next_run(std::mem::replace(&mut self.next_about, About::TheSame));
        }
        match self.execute() {
            Ok(main) => {
                self.tree = Tree::own(main, &self.ledger.record.facts.run_token);
                self.main = Some(main);
                self.limits = RunLimits::of(&self.ledger.record.spec);
                self.ledger.with_growth(Growth::begin);
                self.begin_searching();
                self.begin_probing();
                self.puts_away = Deadline::after(PUT_AWAY_AFTER);
            }
            Err(failure) => {
                self.execution().record_failure(&failure);
                self.happen(Event::NotExecuted);
            }
        }
    }

    /// Looks after the run until the machine says that nothing is left to do.
    pub(crate) fn see_through(&mut self) -> std::io::Result<()> {
        self.begin_searching();
        // What was heard of children before now has been forgotten with the rest.
        self.attend_to(&Heard {
            child: true,
            ready: vec![Concern::Owner],
            ..Heard::default()
        });
        if self.state != State::Ended {
            self.ledger.with_growth(Growth::begin);
            self.begin_probing();
        }
        while self.state != State::Ended {
            let puts_away = self.puts_away.has_passed();
            if puts_away {
                self.puts_away = Deadline::NEVER;
                self.ledger.settle_record();
            }
            let deadline = self.next_deadline();
            let listen = listen_to(
                self.ledger,
                self.owner.as_ref(),
                self.main_watch.as_ref(),
                self.turn.as_ref(),
                self.hook.as_ref(),
            );
            let heard = if puts_away {
                self.signals.wait_for_long(deadline, &listen)?
            } else {
                self.signals.wait(deadline, &listen)?
            };
            let written = heard.written;
            self.ledger.attend_input(&heard.ready);
            self.attend_to(&heard);
            self.search_logs();
            // What is written has no part in how the task fares: the machine is not told.
            self.ledger
                .with_growth(|growth, dir| growth.attend(dir, written));
        }
        self.part_with_probe();
        self.ledger.close_input();
        self.ledger.with_growth(Growth::finish);
        Ok(())
    }

    fn next_deadline(&self) -> Deadline {
        let sweep = self.sweep.map_or(Deadline::NEVER, |(at, _)| at);
        let look = match self.state {
            _ if self.tree.is_told_by_kernel() => Deadline::NEVER,
            State::Stopping { .. } | State::Clearing { .. } => Deadline::after(LOOK_AGAIN),
            State::Lingering { .. } => Deadline::after(LOOK_SELDOM),
            // No pidfd: an old kernel, or no descriptors.
            State::Running if self.tree.is_foreign() && self.main_watch.is_none() => {
                Deadline::after(LOOK_SELDOM)
            }
            _ => Deadline::NEVER,
        };
        let grows = self.ledger.growth.as_ref();
        let grows = grows.map_or(Deadline::NEVER, Growth::due);
        let own = self.grace.sooner(self.next_run).sooner(self.limits.due());
        let own = own.sooner(self.done).sooner(self.puts_away);
        let owner = self.owner.as_ref().map_or(Deadline::NEVER, OwnerWatch::due);
        let probe = self.probing.as_ref().map_or(Deadline::NEVER, Probing::due);
        let scan = self.scan.as_ref().map_or(Deadline::NEVER, Scan::due);
        let own = own.sooner(probe).sooner(scan);
        let turn = self.turn.as_ref().map_or(Deadline::NEVER, Turn::due);
        let hook = self.hook.as_ref().map_or(Deadline::NEVER, RunningHook::due);
        own.sooner(hook)
            .sooner(self.ledger.input_due())
            .sooner(sweep)
            .sooner(look)
            .sooner(grows)
            .sooner(owner)
            .sooner(turn)
    }
}
