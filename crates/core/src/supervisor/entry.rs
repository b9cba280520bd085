//! How this program becomes a supervisor.

use std::ffi::OsStr;
use std::path::Path;

use super::detach::{HandedOver, detach, leave_note};
use super::handshake::{Answer, SpawnFailure, tell};
use super::launch::errno_of;
use super::probe::ask;
use super::run::Supervisor;
use super::{ENTRY, Errand, PROBE};
use crate::error::SpawnStep;
use crate::process::{Arena, Arguments};

/// Makes this process a supervisor, or a health probe of one, if that is what it was executed for;
/// it then never returns.
///
/// Every program that embeds this crate and starts tasks with [`super::Program::Current`] calls
/// it first thing in `main`, before threads, allocations or arguments of its own.
pub fn take_over() {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(OsStr::new(ENTRY)) {
        let (folder, errand) = (arguments.next(), arguments.next());
        become_supervisor(folder.as_deref(), errand.as_deref());
    }
    if first.as_deref() == Some(OsStr::new(PROBE)) {
        std::process::exit(ask());
    }
}

/// The same for a program with an `entry!`, before anything is allocated.
pub fn take_over_with(arguments: Arguments<'_>) {
    if arguments.get(1) == Some(OsStr::new(ENTRY)) {
        become_supervisor(arguments.get(2), arguments.get(3));
    }
    if arguments.get(1) == Some(OsStr::new(PROBE)) {
        std::process::exit(ask());
    }
}

fn become_supervisor(folder: Option<&OsStr>, errand: Option<&OsStr>) -> ! {
    Arena::reuse();
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
    // Looked at where it is: a second copy would stay on the stack for as long as the task lives.
    let mut begun = Supervisor::begin(folder, errand, live, short_lock, &mut handshake);
    match &mut begun {
        Ok(Some(supervisor)) => match supervisor.see_through() {
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
                errno_of(error),
            );
            tell(
                &mut handshake,
                &Answer::Failed(failure.explained(error.to_string())),
            );
            1
        }
    }
}
