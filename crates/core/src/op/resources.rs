//! What a living task uses, asked of the kernel by whoever wants to know.

use crate::process;
use crate::store::{Condition, Observed};
use crate::supervisor::{pids_below, pids_marked};
use crate::task::Resources;

/// The processes of a task; `None` as for [`resources`].
pub(super) fn pids_of(observed: &Observed) -> Option<Vec<i32>> {
    let facts = &observed.record().ok()?.facts;
    let main = facts.state.main().copied();
    match observed.condition {
        Condition::Supervised(supervisor) if !observed.status().is_terminal() => {
            let below = pids_below(supervisor, main, &facts.run_token);
            // What a lost supervisor has left is not below the one that looks after it now.
            let is_all = main.map_or(!below.is_empty(), |main| below.contains(&main.pid));
            Some(if is_all {
                below
            } else {
                pids_marked(main, &facts.run_token)
            })
        }
        Condition::Unsupervised | Condition::Changing => Some(pids_marked(main, &facts.run_token)),
        _ => None,
    }
}

/// What all processes of a task use together; `None` when it has ended, and where its processes are
/// out of sight (another pid namespace).
pub(super) fn resources(observed: &Observed) -> Option<Resources> {
    let pids = pids_of(observed)?;
    let mut sum = Resources::default();
    // Those that have ended since they were listed use nothing.
    let living: Vec<i32> = pids
        .into_iter()
        .filter(|&pid| {
            let Some(usage) = process::usage(pid) else {
                return false;
            };
            sum.cpu_ms += usage.cpu_ms;
            sum.memory_bytes += usage.memory_bytes;
            true
        })
        .collect();
    sum.processes = living.len();
    sum.ports = process::listening_ports(&living).map(|ports| ports.into_iter().collect());
    Some(sum)
}
