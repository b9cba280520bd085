//! The part of a stream that has not happened yet.
//!
//! Everything waits in one poll(2): for changes in task folders (inotify or kqueue), for the ends of
//! tasks (their FIFOs, see `wait.rs`), and for the reader to go away. Each round first takes in what
//! was told, then looks: what is written in between is told again.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::super::history::Begin;
use super::super::list::is_selected;
use super::{Member, Stale, Stream};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::event::Outlet;
use crate::log::{Change, FolderWatch};
use crate::store::{LOGS, TaskDir, observe_among_others};
use crate::task::TaskId;
use crate::wait::poll_timeout;

/// The net for filesystems that do not tell of changes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same where nothing can tell.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(50);
/// The number of the folder with all logs.
const ALL_LOGS: usize = usize::MAX >> 4;

impl Stream<'_> {
    /// Gives what there is, then what happens.
    pub(super) fn follow(
        &mut self,
        deadline: Deadline,
        output: Option<BorrowedFd<'_>>,
        outlet: &mut Outlet<'_>,
    ) -> Result<ControlFlow<()>> {
        self.watch = FolderWatch::new().ok();
        self.watch_for_others();
        // Those that came between the selection and the watch.
        self.look_for_others = self.plan.is_open_ended();
        loop {
            if self.look_again(outlet)?.is_break()
                || self.give(outlet)?.is_break()
                || outlet.flush().is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
            if self.is_over() || deadline.has_passed() {
                return Ok(ControlFlow::Continue(()));
            }
            // What was there at first is given in any case. What comes may come faster than it
            // can be given, and each round would take longer than the one before.
            outlet.set_deadline(deadline);
            if self.sleep(deadline, output)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Each start puts a new log into the folder of logs, whether its id is new or not.
    fn watch_for_others(&mut self) {
        if self.plan.is_open_ended()
            && let Ok(logs) = TaskDir::open_at(self.plan.home.as_fd(), LOGS)
            && let Some(watch) = &mut self.watch
            && watch.add_folder(logs.as_fd(), ALL_LOGS).is_err()
        {
            // Nothing can tell: then everybody is looked at now and then.
            self.watch = None;
        }
    }

    fn is_over(&self) -> bool {
        let has_ended = |member: &Member<'_>| member.is_over || member.history.terminal_given;
        !self.plan.is_open_ended() && self.members.values().all(has_ended)
    }

    /// Looks at everything that may have changed, until nothing has while we looked: between two
    /// looks at one log an event may have happened that its lines come after. Several tasks that
    /// write without a pause leave no such moment, and nothing would ever be given.
    fn look_again(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        const LOOKS: usize = 4;
        for look in 1..=LOOKS {
            if self.take_in(outlet)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let mut stale = self
                .members
                .iter_mut()
                .filter(|(_, member)| member.stale != Stale::Nothing && !member.is_over)
                .peekable();
            if stale.peek().is_none() {
                return Ok(ControlFlow::Continue(()));
            }
            let mut left_out = Vec::new();
            for (&number, member) in stale {
                if look == LOOKS {
                    // Nobody looks at what is told meanwhile: a look at everything needs no such help.
                    member.stale = Stale::All;
                }
                if let Some(watch) = &mut self.watch
                    && member.stale == Stale::All
                {
                    // Watched before it is looked at.
                    let _ = watch.add_task(&member.history.dir, number);
                }
                match member.look_again(self.plan.home) {
                    Err(error) if self.plan.does_without(&error) => left_out.push(number),
                    looked => looked?,
                }
            }
            left_out
                .into_iter()
                .for_each(|number| self.leave_out(number));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes in what was told. Tasks that come to match join in, with their snapshot.
    fn take_in(&mut self, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let told = match &mut self.watch {
            Some(watch) => watch.drain(),
            None => Vec::new(),
        };
        if std::mem::take(&mut self.look_for_others) && self.admit(None, outlet)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for (number, change) in told {
            let stale = match change {
                Change::Entry(name) => {
                    if self.admit(name.as_deref(), outlet)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    continue;
                }
                Change::Lines => Stale::Lines,
                Change::Any => Stale::All,
            };
            match number {
                Some(number) => {
                    if let Some(member) = self.members.get_mut(&number) {
                        member.stale = member.stale.max(stale);
                    }
                }
                None => self.doubt_all(),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn doubt_all(&mut self) {
        for member in self.members.values_mut() {
            member.stale = Stale::All;
        }
    }

    /// Lets the task join whose log has appeared; without a name, whoever is not there yet.
    fn admit(&mut self, log: Option<&str>, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let ids = match log {
            Some(log) => {
                let id = log
                    .strip_suffix(".log")
                    .and_then(|id| TaskId::parse(id).ok());
                id.into_iter().collect()
            }
            None => self.plan.home.task_ids()?,
        };
        for id in ids {
            let Some(observed) = observe_among_others(self.plan.home, &id)? else {
                continue;
            };
            let record = observed.record().ok();
            let generation = record.map(|record| &record.facts.generation);
            let is_there = self.histories().any(|history| {
                history.id == id && generation.is_none_or(|now| now == history.generation())
            });
            if is_there || !is_selected(&observed.task(), self.plan.selection) {
                continue;
            }
            if self.dismiss(&id, outlet)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.join_late(&id, outlet)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds a task and tells of it; of one that cannot be read, once.
    fn join_late(&mut self, id: &TaskId, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let is_news = !self.unreadable.contains(id);
        let number = self.join(id, Begin::Whole)?;
        let Some((number, member)) = number.and_then(|at| Some((at, self.members.get(&at)?)))
        else {
            return match self.unreadable.contains(id) && is_news {
                true => self.tell_unreadable(id, outlet),
                false => Ok(ControlFlow::Continue(())),
            };
        };
        match self.plan.greeting.tell(&member.history, outlet) {
            Err(error) if self.plan.does_without(&error) => {
                self.leave_out(number);
                Ok(ControlFlow::Continue(()))
            }
            told => told,
        }
    }

    /// Lets go of an earlier start of the same id, once what is left of its log has been given.
    fn dismiss(&mut self, id: &TaskId, outlet: &mut Outlet<'_>) -> Result<ControlFlow<()>> {
        let is_gone =
            |(&number, member): (&usize, &Member<'_>)| (member.history.id == *id).then_some(number);
        let gone: Vec<usize> = self.members.iter().filter_map(is_gone).collect();
        for number in gone {
            if let Some(watch) = &mut self.watch {
                watch.remove(number);
            }
            if let Some(mut member) = self.members.remove(&number)
                && member.history.refresh().is_ok_and(|goes_on| !goes_on)
                && member.history.give_all(outlet)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Sleeps until something may have happened; breaks when nobody reads `output` any more.
    fn sleep(
        &mut self,
        deadline: Deadline,
        output: Option<BorrowedFd<'_>>,
    ) -> Result<ControlFlow<()>> {
        let is_blind = |member: &Member<'_>| {
            let vigil = member.vigil.as_ref();
            !member.is_over && vigil.is_some_and(|vigil| vigil.fd.is_none())
        };
        let blind = self.watch.is_none() || self.members.values().any(is_blind);
        let net = Deadline::after(if blind { LOOK_AGAIN_SOON } else { LOOK_AGAIN });
        let mut until = deadline.sooner(net);
        for member in self.members.values_mut() {
            member.history.rest();
            if let Some((_, quiet)) = member.quiet
                && member.history.has_unread()
            {
                until = until.sooner(quiet);
            }
        }
        // Asked for nothing, poll(2) still tells that a pipe has lost its reader.
        let output = output.map(|fd| PollFd::new(fd, PollFlags::empty()));
        let listens_to_output = output.is_some();
        let watch = self.watch.as_ref().map(AsFd::as_fd);
        let vigils = self.members.values().filter_map(|member| {
            let fd = member.vigil.as_ref()?.fd.as_ref()?;
            Some(fd.as_fd())
        });
        let told = watch.into_iter().chain(vigils);
        let told = told.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let mut fds: Vec<_> = output.into_iter().chain(told).collect();
        match poll(&mut fds, poll_timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::Internal {
                    message: format!("poll: {errno}"),
                });
            }
        }
        let told = |fd: &PollFd<'_>| fd.revents().is_some_and(|told| !told.is_empty());
        if listens_to_output && told(&fds[0]) {
            return Ok(ControlFlow::Break(()));
        }
        let others = usize::from(listens_to_output) + usize::from(self.watch.is_some());
        let fired: Vec<bool> = fds[others..].iter().map(told).collect();
        self.wake(&fired);
        if net.has_passed() {
            self.doubt_all();
            self.look_for_others = self.watch.is_none() && self.plan.is_open_ended();
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Notes whose vigil has fired and whose unfinished line has been waited with for long enough.
    fn wake(&mut self, fired: &[bool]) {
        let mut fired = fired.iter();
        for member in self.members.values_mut() {
            let has_vigil = member.vigil.as_ref().is_some_and(|it| it.fd.is_some());
            if has_vigil && fired.next() == Some(&true) {
                member.stale = Stale::All;
            }
            if member.quiet.is_some_and(|(_, quiet)| quiet.has_passed()) {
                member.stale = member.stale.max(Stale::Lines);
            }
        }
    }
}
