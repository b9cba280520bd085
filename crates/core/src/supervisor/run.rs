//! A supervisor's life, once it has let go of its caller.

mod adopted;
mod execution;
mod found;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use self::found::found;
use super::Errand;
use super::chores::Chores;
use super::execute::{Execution, Undo};
use super::handshake::{Answer, tell};
use super::launch::home_of;
use super::ledger::{About, Ledger};
use super::log_file::LogSource;
use super::machine::Event;
use super::placement::Placement;
use super::signals::Signals;
use super::succession::{Asked, ask_predecessor};
use super::turn::Turn;
use crate::clock::Deadline;
use crate::event::Journal;
use crate::process;
use crate::store::{Candidacy, Home, SupervisorLock, TaskDir, Verb, file};
use crate::task::{FailReason, ProcessIdentity, Reason, TaskRecord, TaskState};

/// How many descriptors a supervisor must be allowed: it keeps up to some thirty (logs, locks, what
/// it watches, a probe, a terminal), and walking the tree of its processes takes a few more.
pub(crate) const DESCRIPTORS: u64 = 48;

/// This process, in charge of one task.
pub(super) struct Supervisor {
    home: Home,
    ledger: Ledger,
    signals: Signals,
    errand: Errand,
    /// Whether the id had a task before this start.
    replaces: bool,
    main: Option<ProcessIdentity>,
    /// What its run waits for, or the place that it has.
    turn: Option<Turn>,
    /// Held until this process ends.
    lock: SupervisorLock,
}

impl Supervisor {
    /// Takes the task over. `None`: the command could not be executed, and the caller knows.
    ///
    /// Not inlined, so that what it needs of the stack is not held for as long as the task lives.
    #[inline(never)]
    pub(super) fn begin(
        folder: &Path,
        errand: Errand,
        live: OwnedFd,
        short_lock: OwnedFd,
        handshake: &mut Option<OwnedFd>,
    ) -> io::Result<Option<Self>> {
        // Whoever cannot look into /proc does not see what it has to end.
        process::require_descriptors(DESCRIPTORS)?;
        let mut short_lock = Some(short_lock);
        let home_path = home_of(folder).ok_or(io::ErrorKind::InvalidInput)?;
        let home = Home::open_existing(home_path)
            .map_err(|error| io::Error::other(error.to_string()))?
            .ok_or(io::ErrorKind::NotFound)?;
        let dir = TaskDir::open_current()?;
        // Before the lock: whoever sees the lock may send a signal.
        let signals = Signals::open()?;
        let (asked, lock) = match errand {
            Errand::Start | Errand::Adopt | Errand::Attend | Errand::Recover => {
                (None, SupervisorLock::take(&dir)?)
            }
            Errand::Restart | Errand::Next => {
                let candidacy = Candidacy::declare(&dir)?;
                let asked = ask_predecessor(&dir, &candidacy)?;
                // The predecessor may need its whole grace period: meanwhile others may stop it. One
                // whose task has ended needs none, and who has more work must not take the task for
                // ended any more: the next successor would end the run that begins here.
                if errand == Errand::Restart {
                    short_lock = None;
                }
                (asked, candidacy.succeed()?)
            }
        };
        let (record, was_open) = found(&dir, errand)?;
        // What it replaces may be damaged, up to being empty.
        let replaces = errand == Errand::Start && dir.exists(file::PREVIOUS_RECORD);
        let journal = match errand {
            Errand::Start if replaces => Journal::anew(&dir)?,
            Errand::Start => Journal::first(),
            _ => {
                let placement = Placement {
                    home: &home,
                    dir: &dir,
                    record: &record,
                };
                // What cannot be done now is left to the next.
                let _ = placement.finish(short_lock.is_some());
                Journal::continued(&dir)
            }
        };
        let ledger = Ledger::open(dir, record, journal, live);
        let mut supervisor = Self {
            home,
            ledger,
            signals,
            errand,
            replaces,
            main: None,
            turn: None,
            lock,
        };
        let answer = match errand {
            Errand::Start => supervisor.start(handshake),
            Errand::Restart | Errand::Next => supervisor.restart(handshake, asked)?,
            Errand::Recover => supervisor.recover(handshake)?,
            Errand::Adopt | Errand::Attend => supervisor.adopt(was_open),
        };
        // Only now may others change the task: its state is settled. And before the answer: who has
        // it finds no lock in the way.
        supervisor.lock.settle()?;
        drop(short_lock);
        tell(handshake, &answer);
        let goes_on = matches!(answer, Answer::Ready(_)) || supervisor.has_ended_with_hook();
        Ok(goes_on.then_some(supervisor))
    }

    /// Whether the run that was to begin is the end for good instead, which a hook is to hear of.
    fn has_ended_with_hook(&mut self) -> bool {
        self.errand = Errand::Adopt;
        let TaskRecord { spec, facts, .. } = &self.ledger.record;
        spec.on_exit.is_some() && facts.state.status().is_terminal()
    }

    fn start(&mut self, handshake: &Option<OwnedFd>) -> Answer {
        if self.replaces {
            self.begin_run(LogSource::Anew, Undo::Restore, handshake)
        } else {
            self.begin_run(LogSource::First, Undo::Remove, handshake)
        }
    }

    fn restart(&mut self, handshake: &Option<OwnedFd>, asked: Option<Asked>) -> io::Result<Answer> {
        if self.ledger.record.facts.state.status().is_terminal() {
            self.clear_strays()?;
        }
        let facts = &self.ledger.record.facts;
        let handed_over = facts.state == TaskState::Starting
            && asked.is_some_and(|asked| facts.run == asked.run.saturating_add(1));
        if asked.is_some_and(|asked| asked.was_overruled(&self.ledger.dir, &facts.generation)) {
            if handed_over {
                self.ledger.stopped(None, Reason::asked(), true);
            }
            return Ok(Answer::Stopped);
        }
        let about = self.about();
        let undo = if handed_over {
            Undo::EarlierRun
        } else if facts.state.status().is_terminal() {
            if self.errand == Errand::Next && self.ledger.has_lost_work() {
                self.ledger.announce_lost_run()?;
            } else {
                self.ledger.announce_next_run(about)?;
            }
            Undo::Restore
        } else if self.errand == Errand::Next {
            // The predecessor is lost, and with it the run of the last piece.
            return self.recover(handshake);
        } else {
            // The predecessor is lost: what it left is ours to end.
            self.adopt_run();
            if self.is_run_over()? {
                // By itself, as readers have told already.
                self.ledger.end_unseen();
            } else {
                let stop = self.ledger.record.spec.stop;
                self.end_adopted(Event::Restart(stop))?;
            }
            if self.ledger.record.facts.state == TaskState::Starting {
                Undo::EarlierRun
            } else {
                // Somebody ended us politely meanwhile: that run was stopped, this is the next.
                self.ledger.announce_next_run(about)?;
                Undo::Restore
            }
        };
        Ok(self.begin_run(LogSource::Present, undo, handshake))
    }

    /// What the run is about that is to be executed now.
    fn about(&self) -> About {
        match self.errand {
            Errand::Next => About::NextWork,
            _ => About::TheSame,
        }
    }

    /// The run was interrupted, and the restart policy, or more work, asks for another.
    fn recover(&mut self, handshake: &Option<OwnedFd>) -> io::Result<Answer> {
        self.adopt_run();
        let state = self.ledger.record.facts.state.clone();
        if state.main().is_some_and(process::may_be_alive) {
            // It is found to be alive after all.
            self.errand = Errand::Attend;
            return Ok(self.ready());
        }
        if self.errand == Errand::Next && self.ledger.has_lost_work() {
            // It was lost before it had begun with its piece of work, which is not to be lost, too.
            self.ledger.begin_lost_run();
            return Ok(self.begin_run(LogSource::Present, Undo::Record, handshake));
        }
        let reason = match state {
            TaskState::Failed { reason, .. } => reason,
            _ => FailReason::SupervisorLost,
        };
        self.ledger.interrupted(reason);
        self.clear_strays()?;
        self.ledger.recovering(reason, self.about());
        Ok(self.begin_run(LogSource::Present, Undo::Record, handshake))
    }

    /// `was_open`: no end is on record.
    fn adopt(&mut self, was_open: bool) -> Answer {
        self.adopt_run();
        if was_open {
            self.ledger.end_found();
        }
        self.ready()
    }

    /// The answer that the task is in our charge.
    ///
    /// Whoever wishes something of us waits for it (and for the short lock, which is still ours), so
    /// a SIGTERM from before was not meant for this task. It came, say, from the end of an outer
    /// task whose process we seemed to be before we had our lock.
    fn ready(&mut self) -> Answer {
        if self.errand == Errand::Attend {
            // What is written from the answer on is not missed.
            let (home, ledger) = (&self.home, &mut self.ledger);
            Execution { home, ledger }.attend_to_logs();
        }
        // What it tells of children as well is asked for again at the beginning of the watch.
        let _ = self.signals.wait(Deadline::after(Duration::ZERO), &[]);
        Answer::Ready(Box::new(self.ledger.record.facts.clone()))
    }

    /// Looks after the task until nothing is left to do.
    #[inline(never)]
    pub(super) fn see_through(&mut self) -> io::Result<()> {
        let turn = self.turn.take();
        if turn.is_none() && self.main.is_none() && self.errand != Errand::Attend {
            return self.end_as_wished();
        }
        let (home, ledger, signals) = (&self.home, &mut self.ledger, &mut self.signals);
        // One of them, in one place: this frame stays for as long as the task lives.
        let mut chores = match (turn, self.main) {
            (turn, Some(main)) => Chores::own(home, ledger, signals, main, turn),
            (Some(turn), None) => Chores::queued(home, ledger, signals, turn),
            (None, None) => Chores::attending(home, ledger, signals),
        };
        chores.see_through()
    }

    /// Adopted: the wish that it was adopted for is waiting.
    #[inline(never)]
    fn end_as_wished(&mut self) -> io::Result<()> {
        let wish = self.ledger.dir.read_want();
        let wish = wish.filter(|want| want.is_for(&self.ledger.record.facts));
        let stop = match wish.map(|want| want.verb) {
            Some(Verb::Stop(stop)) => {
                // Nothing of it is to be done, also where there is no run to be ended any more.
                if self.ledger.takes_work() {
                    self.ledger.drop_work();
                }
                stop
            }
            Some(Verb::Restart(stop)) => stop,
            _ => self.ledger.record.spec.stop,
        };
        self.end_adopted(Event::Stop(stop))
    }
}

pub(super) fn read_record(dir: &TaskDir) -> io::Result<TaskRecord> {
    dir.read_record()
        .map_err(|failure| io::Error::other(format!("{failure:?}")))
}
