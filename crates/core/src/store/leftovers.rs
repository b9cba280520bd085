//! What earlier runs and generations have left in a task's folder, once it tells nothing any more.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::hook::{CLAIM, hook_claim};
use super::work::{EXTENSION_FILE, WORK};
use super::{TaskDir, file};
use crate::task::TaskRecord;

/// What the run that has just been put on record takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// At most an earlier run of the same generation.
    Run,
    /// An earlier generation. Its successor still has the short lock: nobody else writes, but for
    /// the command, where that is the embedding program.
    Generation,
}

/// Takes it away: claims of hooks, and with a generation also what writers that were killed have
/// left aside. What stays by mistake is only litter.
pub(crate) fn sweep_leftovers(dir: &TaskDir, record: &TaskRecord, replaced: Replaced) {
    let is_new = replaced == Replaced::Generation;
    let may_have_claims = record.facts.run > 1 && record.spec.on_exit.is_some();
    if !is_new && !may_have_claims {
        return;
    }
    let own_claim = hook_claim(&record.facts);
    let is_left = |name: &CStr| {
        let name = name.to_bytes();
        let is_claim = name.starts_with(CLAIM.as_bytes()) && name != own_claim.as_bytes();
        is_claim || is_new && is_of_nobody(name, record)
    };
    for name in names(dir).into_iter().filter(|name| is_left(name)) {
        let _ = unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Asides of writers that are gone, and what only an earlier generation had.
fn is_of_nobody(name: &[u8], record: &TaskRecord) -> bool {
    let is_aside = [&b".new"[..], b".next"]
        .iter()
        .any(|end| name.ends_with(end));
    let is_awaited = name == file::AWAITED.as_bytes() && record.spec.after.is_none();
    let is_work = name.starts_with(WORK.as_bytes()) && !is_own_work(name, record);
    let is_extension =
        name.starts_with(EXTENSION_FILE.as_bytes()) && record.spec.extension.is_none();
    is_aside || is_awaited || is_work || is_extension || name == file::PANIC.as_bytes()
}

fn is_own_work(name: &[u8], record: &TaskRecord) -> bool {
    let of_generation = &name[WORK.len()..];
    of_generation.starts_with(record.facts.generation.as_str().as_bytes())
}

fn names(dir: &TaskDir) -> Vec<CString> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::openat(dir.as_fd(), ".", flags, Mode::empty()) else {
        return Vec::new();
    };
    let entries = folder.iter().flatten();
    entries.map(|entry| entry.file_name().to_owned()).collect()
}
