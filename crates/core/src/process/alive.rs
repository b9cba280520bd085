//! The one answer to "is it alive?". A pid alone never is: pids are used again, and a zombie
//! still has one.

use std::io;

use super::{ProcessStat, os};
use crate::task::ProcessIdentity;

/// The living process that has this pid now; `None` when there is none or only a zombie, and when
/// we cannot look: whoever signals has to be certain.
pub(crate) fn identify(pid: i32) -> Option<ProcessIdentity> {
    look(pid).ok().flatten()
}

fn look(pid: i32) -> io::Result<Option<ProcessIdentity>> {
    Ok(os::stat(pid)?.and_then(|stat| living(pid, stat)))
}

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Living {
    pub identity: ProcessIdentity,
    pub parent: i32,
    /// Whether it has begun a session.
    pub leads_session: bool,
}

/// The living process that has this pid now, and the children of whatever has it.
pub(crate) fn living_with_children(pid: i32) -> io::Result<(Option<Living>, Vec<i32>)> {
    let (stat, children) = os::stat_and_children(pid)?;
    let living = stat.and_then(|stat| {
        Some(Living {
            identity: living(pid, stat)?,
            parent: stat.parent,
            leads_session: stat.session == pid,
        })
    });
    Ok((living, children))
}

fn living(pid: i32, stat: ProcessStat) -> Option<ProcessIdentity> {
    (!stat.zombie).then_some(ProcessIdentity {
        pid,
        start_time: stat.start_time,
    })
}

/// Whether no process has this pid, or only a zombie, for certain.
pub(crate) fn has_ended(pid: i32) -> bool {
    look(pid).is_ok_and(|found| found.is_none())
}

/// Parent and session of a process; `None` when there is no such process, or we cannot look.
pub(crate) fn parent_and_session(pid: i32) -> Option<(i32, i32)> {
    let stat = os::stat(pid).ok().flatten()?;
    Some((stat.parent, stat.session))
}

/// A child of ours. It may have ended already; its pid is not used again before we have reaped it.
pub(crate) fn identify_child(pid: i32) -> ProcessIdentity {
    let stat = os::stat(pid).ok().flatten();
    let start_time = stat.map_or(0, |stat| stat.start_time);
    ProcessIdentity { pid, start_time }
}

/// Whether exactly this process is alive, for certain.
pub(crate) fn is_alive(process: &ProcessIdentity) -> bool {
    identify(process.pid) == Some(*process)
}

/// Whether exactly this process may be alive: nobody is gone because we could not look (without
/// descriptors, say).
pub(crate) fn may_be_alive(process: &ProcessIdentity) -> bool {
    look(process.pid).map_or(true, |found| found == Some(*process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn own() -> ProcessIdentity {
        identify(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let me = own();
        assert!(is_alive(&me));
        let earlier = ProcessIdentity {
            start_time: me.start_time - 1,
            ..me
        };
        assert!(!is_alive(&earlier));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = identify(pid).unwrap();
        drop(child.stdin.take());
        // Its end of the pipe closes when it exits; from then on it is a zombie until waited for.
        io::copy(&mut child.stdout.take().unwrap(), &mut io::sink()).unwrap();
        while os::stat(pid).unwrap().is_some_and(|stat| !stat.zombie) {
            std::thread::yield_now();
        }
        assert!(!is_alive(&identity));
        child.wait().unwrap();
        assert!(!is_alive(&identity));
    }
}
