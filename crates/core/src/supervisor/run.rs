//! A supervisor's life, from its first instruction to its last.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::chores::Chores;
use super::detach::{HandedOver, detach, leave_note};
use super::execute::{Execution, LogSource, Undo};
use super::handshake::{Answer, SpawnFailure, tell};
use super::launch::{errno_of, home_of};
use super::ledger::Ledger;
use super::machine::Event;
use super::signals::Signals;
use super::{ENTRY, Errand};
use crate::clock::Deadline;
use crate::error::SpawnStep;
use crate::event::Journal;
use crate::process::{self, Arena, Arguments, send_while};
use crate::store::{Holder, Home, SupervisorLock, TaskDir, Verb, Want, failed, file, first_marked};
use crate::task::{FailReason, ProcessIdentity, SignalNumber, TaskRecord, TaskState};

/// Makes this process a supervisor, if that is what it was executed for; it then never returns.
///
/// Every program that embeds this crate and starts tasks with [`super::Program::Current`] calls
/// it first thing in `main`, before threads, allocations or arguments of its own.
pub fn take_over() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(OsStr::new(ENTRY)) {
        let (folder, errand) = (arguments.next(), arguments.next());
        become_supervisor(folder.as_deref(), errand.as_deref());
    }
}

/// The same for a program with an `entry!`, before anything is allocated.
pub fn take_over_with(arguments: Arguments<'_>) {
    if arguments.get(1) == Some(OsStr::new(ENTRY)) {
        become_supervisor(arguments.get(2), arguments.get(3));
    }
}

fn become_supervisor(folder: Option<&OsStr>, errand: Option<&OsStr>) -> ! {
    Arena::close();
    let errand = errand.and_then(OsStr::to_str).and_then(Errand::parse);
    let code = match (folder, errand) {
        (Some(folder), Some(errand)) => {
            detach().map_or(2, |handed| supervise(Path::new(folder), errand, handed))
        }
        _ => 2,
    };
    std::process::exit(code);
}

fn supervise(folder: &Path, errand: Errand, handed: HandedOver) -> i32 {
    let HandedOver {
        short_lock,
        handshake,
        live,
    } = handed;
    let mut handshake = Some(handshake);
    let begun = Supervisor::begin(folder, errand, live, &mut handshake);
    // Only now may others change the task: its state is settled.
    drop(short_lock);
    match begun {
        Ok(Some(mut supervisor)) => match supervisor.see_through() {
            Ok(()) => 0,
            Err(error) => {
                leave_note(&format!("it could not go on: {error}"));
                1
            }
        },
        // Told to the caller already.
        Ok(None) => 1,
        Err(error) => {
            let failure = SpawnFailure::new(
                SpawnStep::Supervisor,
                folder.to_string_lossy(),
                errno_of(&error),
            );
            tell(
                &mut handshake,
                &Answer::Failed(failure.explained(error.to_string())),
            );
            1
        }
    }
}

struct Supervisor {
    home: Home,
    ledger: Ledger,
    signals: Signals,
    main: Option<ProcessIdentity>,
    /// Held until this process ends.
    _lock: SupervisorLock,
}

impl Supervisor {
    /// Takes the task over. `None`: the command could not be executed, and the caller knows.
    fn begin(
        folder: &Path,
        errand: Errand,
        live: OwnedFd,
        handshake: &mut Option<OwnedFd>,
    ) -> io::Result<Option<Self>> {
        let home_path = home_of(folder).ok_or(io::ErrorKind::InvalidInput)?;
        let home = Home::open_existing(home_path)
            .map_err(|error| io::Error::other(error.to_string()))?
            .ok_or(io::ErrorKind::NotFound)?;
        let dir = TaskDir::open_current()?;
        // Before the lock: whoever sees the lock may send a signal.
        let signals = Signals::open()?;
        let asked_of = match errand {
            Errand::Restart => ask_predecessor(&dir)?,
            Errand::Start | Errand::Adopt => None,
        };
        let lock = SupervisorLock::take(&dir)?;
        let mut record = read_record(&dir)?;
        if record.facts.state == TaskState::Starting
            && errand != Errand::Start
            && first_marked(&record.facts.run_token).is_none()
            && let Some(previous) = dir.read_previous()
        {
            // The start that announced this run came to nothing: what was before it holds.
            record = previous;
        }
        if let Some(end) = dir.read_end() {
            end.complete(&mut record.facts);
        }
        if !record.facts.state.status().is_terminal() && record.facts.boot_id != process::boot_id()?
        {
            // Its pids are those of strangers now.
            record.facts.state = failed(
                &record.facts.state,
                FailReason::HostRebooted,
                "the machine was started anew while the task ran".to_owned(),
            );
            record.facts.cleared = true;
        }
        let journal = match errand {
            Errand::Start => Journal::anew(&dir)?,
            Errand::Restart | Errand::Adopt => Journal::continued(&dir),
        };
        let ledger = Ledger::open(dir, record, journal, live);
        let mut supervisor = Self {
            home,
            ledger,
            signals,
            main: None,
            _lock: lock,
        };
        let begun = match errand {
            Errand::Start => supervisor.start(handshake),
            Errand::Restart => supervisor.restart(handshake, asked_of),
            Errand::Adopt => supervisor.adopt(handshake),
        }?;
        // Whoever wishes something of us needs the short lock for it, which is still ours: a SIGTERM
        // from before now was not meant for this task. It came, say, from the end of an outer task
        // whose process we seemed to be before we had our lock.
        supervisor.signals.wait(Deadline::after(Duration::ZERO))?;
        Ok(begun.then_some(supervisor))
    }

    fn start(&mut self, handshake: &mut Option<OwnedFd>) -> io::Result<bool> {
        let has_previous = self.ledger.dir.size_of(file::PREVIOUS_RECORD) > 0;
        let undo = if has_previous {
            Undo::Restore
        } else {
            Undo::Remove
        };
        let log = LogSource::Anew;
        Ok(self.execute(log, undo, handshake))
    }

    fn restart(
        &mut self,
        handshake: &mut Option<OwnedFd>,
        asked_of_run: Option<u32>,
    ) -> io::Result<bool> {
        if self.ledger.record.facts.state.status().is_terminal() {
            self.clear_strays()?;
        }
        let facts = &self.ledger.record.facts;
        let handed_over = facts.state == TaskState::Starting
            && asked_of_run.is_some_and(|run| facts.run == run + 1);
        let undo = if handed_over {
            Undo::Record
        } else if facts.state.status().is_terminal() {
            self.ledger.announce_next_run()?;
            Undo::Restore
        } else {
            // The predecessor is lost: what it left is ours to end.
            self.adopt_run();
            let stop = self.ledger.record.spec.stop;
            self.end_adopted(Event::Restart(stop))?;
            if self.ledger.record.facts.state == TaskState::Starting {
                Undo::Record
            } else {
                // Somebody ended us politely meanwhile: that run was stopped, this is the next.
                self.ledger.announce_next_run()?;
                Undo::Restore
            }
        };
        Ok(self.execute(LogSource::Present, undo, handshake))
    }

    fn adopt(&mut self, handshake: &mut Option<OwnedFd>) -> io::Result<bool> {
        self.adopt_run();
        tell(
            handshake,
            &Answer::Ready(Box::new(self.ledger.record.facts.clone())),
        );
        Ok(true)
    }

    /// Brings the record of a lost run to what can be known of it.
    fn adopt_run(&mut self) {
        let facts = &mut self.ledger.record.facts;
        if facts.state == TaskState::Starting
            && let Some(main) = first_marked(&facts.run_token)
        {
            facts.state = TaskState::Running {
                main,
                started_at: facts.updated_at,
                main_exit: None,
            };
        }
        self.ledger.adopted();
    }

    /// Ends what a run has left that ended on record, but whose supervisor was killed before
    /// nothing of it was left.
    fn clear_strays(&mut self) -> io::Result<()> {
        let facts = &self.ledger.record.facts;
        if facts.cleared || first_marked(&facts.run_token).is_none() {
            return Ok(());
        }
        let stop = self.ledger.record.spec.stop;
        self.end_adopted(Event::Stop(stop))
    }

    /// Ends a run that another supervisor executed.
    fn end_adopted(&mut self, event: Event) -> io::Result<()> {
        let state = self.ledger.record.facts.state.clone();
        let mut chores = Chores::adopted(&mut self.ledger, &mut self.signals);
        if state.main().is_some_and(process::is_alive) || state.status().is_terminal() {
            chores.happen(event);
        } else {
            let exit = match state {
                TaskState::Running { main_exit, .. } => main_exit,
                _ => None,
            };
            let ended = Event::MainEnded { exit, alone: false };
            // A restart has to be known before the end that it replaces is put on record; a stop
            // came after it.
            let order = match event {
                Event::Restart(_) => [event, ended],
                _ => [ended, event],
            };
            order.into_iter().for_each(|event| chores.happen(event));
        }
        chores.see_through()
    }

    fn execute(&mut self, log: LogSource, undo: Undo, handshake: &mut Option<OwnedFd>) -> bool {
        let execution = Execution {
            home: &self.home,
            ledger: &mut self.ledger,
        };
        self.main = execution.run(log, undo, handshake);
        self.main.is_some()
    }

    fn see_through(&mut self) -> io::Result<()> {
        match self.main {
            Some(main) => Chores::own(&mut self.ledger, &mut self.signals, main).see_through(),
            None => {
                // Adopted: the wish that it was adopted for is waiting.
                let wish = self
                    .ledger
                    .dir
                    .read_want()
                    .filter(|want| want.is_for(&self.ledger.record.facts));
                let stop = match wish.map(|want| want.verb) {
                    Some(Verb::Stop(stop) | Verb::Restart(stop)) => stop,
                    None => self.ledger.record.spec.stop,
                };
                self.end_adopted(Event::Stop(stop))
            }
        }
    }
}

fn read_record(dir: &TaskDir) -> io::Result<TaskRecord> {
    dir.read_record()
        .map_err(|failure| io::Error::other(format!("{failure:?}")))
}

/// Asks the supervisor that still holds the lock to make way. Returns the run that it was asked
/// to end, `None` when there was nobody to ask.
///
/// We hold the short lock (our caller's), so nobody else leaves a wish meanwhile.
fn ask_predecessor(dir: &TaskDir) -> io::Result<Option<u32>> {
    let record = read_record(dir)?;
    let Holder::Supervisor(pid) = SupervisorLock::holder(dir)? else {
        return Ok(None);
    };
    let facts = &record.facts;
    if facts.state.status().is_terminal() {
        return Ok(None);
    }
    let pending = dir.read_want().filter(|want| want.is_undone(facts));
    if pending.is_some_and(|want| matches!(want.verb, Verb::Stop(_))) {
        // It is being stopped. The next run follows then all the same.
        return Ok(None);
    }
    let want = Want::next(facts, dir.read_want(), Verb::Restart(record.spec.stop));
    dir.write_want(&want)?;
    send_while(pid, &[SignalNumber::TERM], || {
        SupervisorLock::holder(dir).is_ok_and(|holder| holder == Holder::Supervisor(pid))
    });
    Ok(Some(facts.run))
}
