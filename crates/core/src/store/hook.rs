//! Who runs the hook of a task.

use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::TaskDir;
use crate::task::Facts;

/// The file that claims the hook of this end. A later run may end again, and has a claim of its own.
pub(crate) fn hook_claim(facts: &Facts) -> String {
    format!("{CLAIM}{}.{}", facts.generation, facts.run)
}

const CLAIM: &str = "on_exit.";

/// Takes away the claims of earlier runs and generations, whose ends are told by nothing any more.
/// What stays by mistake is only litter.
pub(crate) fn forget_earlier_claims(dir: &TaskDir, facts: &Facts) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::openat(dir.as_fd(), ".", flags, Mode::empty()) else {
        return;
    };
    let own = hook_claim(facts);
    for entry in folder.iter().flatten() {
        let name = entry.file_name();
        let is_claim = name.to_bytes().starts_with(CLAIM.as_bytes());
        if is_claim && name.to_bytes() != own.as_bytes() {
            let _ = unlinkat(dir, name, UnlinkatFlags::NoRemoveDir);
        }
    }
}
