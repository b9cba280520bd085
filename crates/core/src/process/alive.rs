//! The one answer to "is it alive?". A pid alone never is: pids are used again, and a zombie
//! still has one.

use super::{ProcessStat, os};
use crate::task::ProcessIdentity;

/// The living process that has this pid now; `None` when there is none or only a zombie.
pub(crate) fn identify(pid: i32) -> Option<ProcessIdentity> {
    living(pid, os::stat(pid)?)
}

/// The same, and the children of whatever has this pid.
pub(crate) fn identify_with_children(pid: i32) -> (Option<ProcessIdentity>, Vec<i32>) {
    let (stat, children) = os::stat_and_children(pid);
    (stat.and_then(|stat| living(pid, stat)), children)
}

fn living(pid: i32, stat: ProcessStat) -> Option<ProcessIdentity> {
    (!stat.zombie).then_some(ProcessIdentity {
        pid,
        start_time: stat.start_time,
    })
}

/// A child of ours. It may have ended already; its pid is not used again before we have reaped it.
pub(crate) fn identify_child(pid: i32) -> ProcessIdentity {
    let start_time = os::stat(pid).map_or(0, |stat| stat.start_time);
    ProcessIdentity { pid, start_time }
}

/// Whether exactly this process is alive.
pub(crate) fn is_alive(process: &ProcessIdentity) -> bool {
    identify(process.pid) == Some(*process)
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
        std::io::copy(&mut child.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
        while os::stat(pid).is_some_and(|stat| !stat.zombie) {
            std::thread::yield_now();
        }
        assert!(!is_alive(&identity));
        child.wait().unwrap();
        assert!(!is_alive(&identity));
    }
}
