//! `wait` until tasks are ready.
//!
//! That a task is ready is written into its record, and every change of a record is a change in its
//! folder, of which a [`FolderWatch`] tells. That its supervisor has gone changes nothing there: the
//! FIFO tells of it, as for a wait for the end.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use serde_json::json;

use super::logs::last_lines;
use super::wait::{Vigil, many_timed_out};
use crate::client::{find, not_found};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::log::{Change, FolderWatch};
use crate::request::{TaskAnswer, WaitAnswer, WaitManyAnswer, WaitMode, WaitOutcome};
use crate::store::{Home, Observed, Readiness};
use crate::task::{Task, TaskId};
use crate::wait::poll_timeout;

/// The net for filesystems that do not tell of changes.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same where nothing can tell.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(50);

/// Waits until tasks, all or any of them, are ready.
pub(super) fn wait_until_ready(
    home: &Home,
    ids: &[TaskId],
    single: bool,
    mode: WaitMode,
    deadline: Deadline,
) -> Result<WaitAnswer> {
    let mut waiting = Waiting {
        home,
        mode,
        watch: None,
        members: ids.iter().map(Member::new).collect(),
    };
    let mut is_watching = false;
    loop {
        waiting.look()?;
        if waiting.is_enough() {
            return waiting.answer(single);
        }
        if let Some(culprit) = waiting.hopeless() {
            let error = Error::not_running(
                format!("{culprit} ended before it was ready"),
                "details.task tells how it ended (reason, problem), details.logs hold its last lines.",
            );
            return Err(with_last_lines(home, culprit, error)?);
        }
        if deadline.has_passed() {
            return Err(waiting.timed_out(single)?);
        }
        if is_watching {
            waiting.sleep(deadline)?;
        } else {
            // Not before: closing an armed watch takes milliseconds.
            waiting.begin_to_watch();
            is_watching = true;
        }
    }
}

struct Waiting<'a> {
    home: &'a Home,
    mode: WaitMode,
    watch: Option<FolderWatch>,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    id: &'a TaskId,
    /// Something has happened to it since it was last looked at, perhaps.
    is_stale: bool,
    vigil: Option<Vigil>,
    found: Option<(Readiness, Observed)>,
}

impl<'a> Member<'a> {
    fn new(id: &'a TaskId) -> Self {
        Self {
            id,
            is_stale: true,
            vigil: None,
            found: None,
        }
    }

    fn is(&self, readiness: Readiness) -> bool {
        self.found
            .as_ref()
            .is_some_and(|found| found.0 == readiness)
    }
}

impl Waiting<'_> {
    /// Looks at all that is pending once more, this time with a watch.
    fn begin_to_watch(&mut self) {
        self.watch = FolderWatch::new().ok();
        for member in &mut self.members {
            member.is_stale = member.is(Readiness::NotYet);
        }
    }

    /// Looks at each that may have changed. One that was ready stays so, one that is over does too.
    fn look(&mut self) -> Result<()> {
        for (number, member) in self.members.iter_mut().enumerate() {
            if !std::mem::take(&mut member.is_stale) {
                continue;
            }
            // Watched first: what happens behind this look is told. A watch that has been there
            // may be of a folder that was replaced.
            let watched = self.watch.as_mut().map(|watch| {
                let dir = self.home.task_dir(member.id)?;
                let dir = dir.ok_or_else(|| not_found(member.id))?;
                Ok::<_, Error>(watch.add_task(&dir, number).is_ok())
            });
            if !watched.transpose()?.unwrap_or(false) {
                self.watch = None;
            }
            let (observed, vigil) = Vigil::keep(self.home, member.id)?;
            let readiness = observed.readiness();
            member.vigil = vigil.filter(|_| readiness == Readiness::NotYet);
            member.found = Some((readiness, observed));
            if readiness != Readiness::NotYet
                && let Some(watch) = &mut self.watch
            {
                watch.remove(number);
            }
        }
        Ok(())
    }

    fn count(&self, readiness: Readiness) -> usize {
        let members = self.members.iter();
        members.filter(|member| member.is(readiness)).count()
    }

    fn is_enough(&self) -> bool {
        match self.mode {
            WaitMode::All => self.count(Readiness::Ready) == self.members.len(),
            WaitMode::Any => self.count(Readiness::Ready) > 0,
        }
    }

    /// Who is to blame that nothing more can be waited for.
    fn hopeless(&self) -> Option<&TaskId> {
        let over = self.count(Readiness::Over);
        let is_hopeless = match self.mode {
            WaitMode::All => over > 0,
            WaitMode::Any => over == self.members.len(),
        };
        let mut members = self.members.iter().filter(|_| is_hopeless);
        members
            .find(|member| member.is(Readiness::Over))
            .map(|member| member.id)
    }

    /// Sleeps until a member has to be looked at, or the deadline has passed.
    fn sleep(&mut self, deadline: Deadline) -> Result<()> {
        let pending = || self.members.iter().filter(|it| it.is(Readiness::NotYet));
        let fd_of = |member: &Member<'_>| member.vigil.as_ref().is_some_and(|it| it.fd.is_some());
        let blind = self.watch.is_none() || !pending().all(fd_of);
        let net = if blind { LOOK_AGAIN_SOON } else { LOOK_AGAIN };
        let net = Deadline::after(net);
        let watch = self.watch.as_ref().map(AsFd::as_fd);
        let vigils = pending().filter_map(|it| it.vigil.as_ref()?.fd.as_ref());
        let fds = watch.into_iter().chain(vigils.map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, poll_timeout(deadline.sooner(net))) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::Internal {
                    message: format!("poll: {errno}"),
                });
            }
        }
        let told: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        drop(fds);
        let mut told = told.into_iter();
        let watch_told = self.watch.is_some() && told.next() == Some(true);
        for member in self
            .members
            .iter_mut()
            .filter(|it| it.is(Readiness::NotYet))
        {
            let has_fd = fd_of(member);
            member.is_stale = net.has_passed() || has_fd && told.next() == Some(true);
        }
        if watch_told && let Some(watch) = &mut self.watch {
            for (number, change) in watch.drain() {
                // How its log grows does not matter.
                if change == Change::Lines {
                    continue;
                }
                for (at, member) in self.members.iter_mut().enumerate() {
                    let is_meant = number.is_none_or(|number| number == at);
                    member.is_stale |= is_meant && member.is(Readiness::NotYet);
                }
            }
        }
        Ok(())
    }

    fn pending(&self) -> Vec<TaskId> {
        let pending = self.members.iter().filter(|it| !it.is(Readiness::Ready));
        pending.map(|member| member.id.clone()).collect()
    }

    fn ready(&self) -> Vec<Task> {
        let found = self.members.iter().filter_map(|it| it.found.as_ref());
        let ready = found.filter(|(readiness, _)| *readiness == Readiness::Ready);
        ready.map(|(_, observed)| observed.task()).collect()
    }

    fn answer(&self, single: bool) -> Result<WaitAnswer> {
        if single && let Some((_, observed)) = &self.members[0].found {
            return Ok(WaitAnswer::One {
                answer: Box::new(TaskAnswer::of(observed.task())),
                logs: last_lines(self.home, observed)?,
                r#match: None,
            });
        }
        let pending = self.pending();
        let outcome = if pending.is_empty() {
            WaitOutcome::Reached
        } else {
            WaitOutcome::Partial
        };
        Ok(WaitAnswer::Many(WaitManyAnswer {
            outcome,
            tasks: self.ready(),
            pending,
            matches: None,
        }))
    }

    fn timed_out(&self, single: bool) -> Result<Error> {
        if !single {
            let ready = self.ready();
            return Ok(many_timed_out(
                self.home,
                &ready,
                &self.pending(),
                "got ready",
            ));
        }
        let id = self.members[0].id;
        let error = Error::timed_out(format!("{id} has not got ready in the time to wait"));
        with_last_lines(self.home, id, error)
    }
}

/// The task as it is now, with what it wrote last and where to read on.
fn with_last_lines(home: &Home, id: &TaskId, error: Error) -> Result<Error> {
    let observed = find(home, id)?;
    let logs = last_lines(home, &observed)?;
    let cursor = logs.cursor.clone();
    Ok(error
        .with_task(&observed.task())
        .with("logs", json!(logs))
        .with("cursor", cursor))
}
