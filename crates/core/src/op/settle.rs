//! What every verb that changes a task does first: take its short lock, see how it stands, and
//! put a supervisor in charge where there is none.

use std::path::PathBuf;

use super::await_end::await_unsupervised;
use crate::client::{Client, not_found};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::process::{self, send_while};
use crate::store::{
    Candidacy, Condition, Holder, Home, Observed, ShortLock, SupervisorLock, TASKS, TaskDir, Verb,
    Want, Work, first_of_run, has_lost_work, hook_claim, observe_settled,
};
use crate::supervisor::{Errand, ID_VARIABLE, Launch, LaunchTask};
use crate::task::{Facts, StopSettings, TaskId, TaskRecord};

/// A task that nobody else changes for as long as this lives.
pub(super) struct Settled<'a> {
    pub home: &'a Home,
    pub id: &'a TaskId,
    pub dir: TaskDir,
    pub lock: ShortLock,
    pub observed: Observed,
}

impl<'a> Settled<'a> {
    /// Takes the lock of a task that must exist, and that no restart is about to change.
    ///
    /// # Errors
    /// [`Error::TaskNotFound`]; [`Error::TaskWaitTimedOut`] when others change it for so long;
    /// [`Error::Unsupported`] when a newer build wrote it or its supervisor is out of reach.
    pub(super) fn take(home: &'a Home, id: &'a TaskId, deadline: Deadline) -> Result<Self> {
        loop {
            let task = Self::take_at_once(home, id, deadline)?;
            match task.unless_being_restarted(deadline)? {
                Some(task) => return Ok(task),
                None => continue,
            }
        }
    }

    /// The same, but also while a restart waits for the present run to end: a stop has to reach
    /// that run.
    pub(super) fn take_to_stop(home: &'a Home, id: &'a TaskId, deadline: Deadline) -> Result<Self> {
        loop {
            let task = Self::take_at_once(home, id, deadline)?;
            let successor = successor(home, id, &task.dir)?;
            let present = holder(home, id, &task.dir)?;
            if present != Holder::Nobody && present != successor {
                return Ok(task);
            }
            if let Some(task) = task.unless_being_restarted(deadline)? {
                return Ok(task);
            }
        }
    }

    /// The same for a chore that has time: `None` while others change the task.
    pub(super) fn take_if_free(home: &'a Home, id: &'a TaskId) -> Result<Option<Self>> {
        match ShortLock::try_take(home, id)? {
            Some(lock) => {
                let task = Self::under(home, id, lock)?;
                let is_free = successor(home, id, &task.dir)? == Holder::Nobody;
                Ok(is_free.then_some(task))
            }
            None => Ok(None),
        }
    }

    fn take_at_once(home: &'a Home, id: &'a TaskId, deadline: Deadline) -> Result<Self> {
        // Asked first without the lock, so that a wrong id leaves no lock file behind.
        home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        Self::under(home, id, ShortLock::take(home, id, deadline)?)
    }

    fn under(home: &'a Home, id: &'a TaskId, lock: ShortLock) -> Result<Self> {
        let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
        let observed = observe_settled(home, id, &lock)?.ok_or_else(|| not_found(id))?;
        if observed.is_newer() {
            observed.record()?;
        }
        Ok(Self {
            home,
            id,
            dir,
            lock,
            observed,
        })
    }

    /// Looks at the task again when nobody supervises it any more. It must be somebody who is ending.
    pub(super) fn once_unsupervised(self, deadline: Deadline) -> Result<Self> {
        await_unsupervised(self.home, self.id, &self.dir, deadline)?;
        Self::under(self.home, self.id, self.lock)
    }

    /// Lets go of a task that a successor is about to run, and waits until it does; what was
    /// observed is out of date then.
    pub(super) fn unless_being_restarted(self, deadline: Deadline) -> Result<Option<Self>> {
        let Self { home, id, .. } = self;
        match successor(home, id, &self.dir)? {
            Holder::Nobody => return Ok(Some(self)),
            Holder::Elsewhere => return Err(out_of_reach(id)),
            Holder::Supervisor(_) => {}
        }
        let Self { dir, lock, .. } = self;
        drop(lock);
        let settled = Candidacy::wait_until_settled(&dir, deadline)
            .map_err(|error| lock_error(home, id, error))?;
        if settled {
            Ok(None)
        } else {
            Err(Error::busy(id))
        }
    }

    /// Who supervises it, as far as we can reach.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it is supervised from another pid namespace.
    pub(super) fn supervisor(&self) -> Result<Option<i32>> {
        match holder(self.home, self.id, &self.dir)? {
            Holder::Nobody => Ok(None),
            Holder::Supervisor(pid) => Ok(Some(pid)),
            Holder::Elsewhere => Err(out_of_reach(self.id)),
        }
    }

    pub(super) fn launch_task(&self) -> LaunchTask<'_> {
        LaunchTask {
            home: self.home,
            id: self.id,
            dir: &self.dir,
        }
    }

    /// Leaves a wish. On a full disk there is none: the signal alone still means a stop, with the
    /// task's own settings.
    pub(super) fn want_if_possible(&self, facts: &Facts, verb: Verb) {
        let _ = self
            .dir
            .write_want(&Want::next(facts, self.dir.read_want(), verb));
    }

    /// Whether processes of the task are alive that nobody looks after.
    ///
    /// # Errors
    /// [`Error::Store`] when we lack what it takes to look.
    pub(super) fn has_strays(&self) -> Result<bool> {
        match self.observed.condition {
            Condition::Unsupervised => Ok(true),
            Condition::Lost | Condition::Ended => match self.observed.record() {
                Ok(record) => self.has_marked(record),
                Err(_) => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn has_marked(&self, record: &TaskRecord) -> Result<bool> {
        let facts = &record.facts;
        // Nothing outlives a reboot; to look for it would take long for many tasks.
        if facts.cleared || process::boot_id().is_ok_and(|boot| boot != facts.boot_id) {
            return Ok(false);
        }
        let first = first_of_run(&self.dir, record)
            .map_err(|error| cannot_look(self.home, self.id, error))?;
        Ok(first.is_some())
    }

    /// Whether a supervisor has to see to something that the last one did not come to: processes
    /// that nobody looks after, or a hook that has not been run.
    ///
    /// # Errors
    /// As [`Settled::has_strays`].
    pub(super) fn needs_supervisor(&self) -> Result<bool> {
        Ok(self.has_strays()? || self.owes_hook())
    }

    /// Whether there is work that no run has been about.
    pub(super) fn has_waiting_work(&self) -> bool {
        self.observed.record().is_ok_and(|record| {
            let facts = &record.facts;
            let waiting = || Work::of(&self.dir, facts).waiting(facts);
            record.spec.extension.is_some()
                && (waiting().is_ok_and(|count| count > 0) || has_lost_work(&self.dir, facts))
        })
    }

    fn owes_hook(&self) -> bool {
        let has_ended = matches!(self.observed.condition, Condition::Lost | Condition::Ended);
        has_ended
            && self.observed.record().is_ok_and(|record| {
                record.spec.on_exit.is_some() && !self.dir.exists(&hook_claim(&record.facts))
            })
    }

    /// A damaged record does not say how its run is marked. What carries the task's id may be of
    /// it, or of another home: not certain enough to end it, but not to be passed over either.
    pub(super) fn refuse_if_blind(&self) -> Result<()> {
        match self.observed.condition {
            Condition::Unreadable => refuse_if_marked(self.home, self.id),
            _ => Ok(()),
        }
    }

    /// Puts a new supervisor in charge of a lost task and has it end every process of it.
    pub(super) fn adopt_and_stop(
        self,
        client: &Client,
        stop: StopSettings,
        deadline: Deadline,
    ) -> Result<()> {
        let facts = self.observed.record()?.facts.clone();
        self.want_if_possible(&facts, Verb::Stop(stop));
        Launch::prepare(self.launch_task())?
            .go(Errand::Adopt, client.supervisor(), &self.lock)?
            .wait(deadline)?;
        let Self {
            home,
            id,
            dir,
            lock,
            ..
        } = self;
        drop(lock);
        await_unsupervised(home, id, &dir, deadline)
    }
}

/// A task whose record cannot be read is not to be ended or removed while processes with its id are
/// alive.
pub(super) fn refuse_if_marked(home: &Home, id: &TaskId) -> Result<()> {
    let variable = format!("{ID_VARIABLE}={id}");
    let pids =
        process::all_with_environment(&variable).map_err(|error| cannot_look(home, id, error))?;
    if pids.is_empty() {
        return Ok(());
    }
    Err(Error::Store {
        action: "tell from its record which processes belong to",
        path: PathBuf::from(id.as_str()),
        problem: format!("the record is damaged, and processes with its id are alive: {pids:?}"),
        errno: None,
        hint: "Look at these processes and end those that are the task's.".to_owned(),
    })
}

fn cannot_look(home: &Home, id: &TaskId, error: std::io::Error) -> Error {
    home.error("look for the processes of", &format!("{TASKS}/{id}"), error)
}

/// Puts a supervisor in charge of a run that has begun, as was observed, and whose own supervisor was
/// killed before it could say so: it is on record then, and its logs are in their places.
pub(super) fn take_charge(
    client: &Client,
    task: LaunchTask<'_>,
    lock: &ShortLock,
    condition: Condition,
    deadline: Deadline,
) -> Result<Facts> {
    let errand = match condition {
        Condition::Unsupervised => Errand::Attend,
        _ => Errand::Adopt,
    };
    Launch::prepare(task)?
        .go(errand, client.supervisor(), lock)?
        .wait(deadline)
}

/// Wakes a supervisor for a wish, if it is still this one.
pub(super) fn wake(dir: &TaskDir, supervisor: i32, verb: Verb) {
    send_while(supervisor, &[verb.wake_signal()], || {
        SupervisorLock::holder(dir).is_ok_and(|holder| holder == Holder::Supervisor(supervisor))
    });
}

pub(super) fn holder(home: &Home, id: &TaskId, dir: &TaskDir) -> Result<Holder> {
    SupervisorLock::holder(dir).map_err(|error| lock_error(home, id, error))
}

fn successor(home: &Home, id: &TaskId, dir: &TaskDir) -> Result<Holder> {
    Candidacy::holder(dir).map_err(|error| lock_error(home, id, error))
}

fn lock_error(home: &Home, id: &TaskId, error: std::io::Error) -> Error {
    home.error("ask for the lock of", &format!("{TASKS}/{id}"), error)
}

pub(super) fn out_of_reach(id: &TaskId) -> Error {
    Error::Unsupported {
        message: format!(
            "the supervisor of {id} runs in another pid namespace (a container, mostly)"
        ),
        hint: "Change the task from within that namespace.".to_owned(),
    }
}
