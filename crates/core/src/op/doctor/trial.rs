//! Trying what tasks need, in the home and with nothing left behind.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use crate::store::Home;

/// A name in the home that only we use, gone when this is dropped.
struct Scratch<'a> {
    home: &'a Home,
    name: String,
}

impl<'a> Scratch<'a> {
    fn new(home: &'a Home) -> Self {
        Self {
            home,
            name: format!(".doctor.{}", crate::random::hex16()),
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(self.home, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

pub(super) fn record_lock_works(home: &Home) -> io::Result<()> {
    let scratch = Scratch::new(home);
    let file = crate::store::create_new(home.as_fd(), &scratch.name)?;
    crate::store::try_record_lock(&file)
}

pub(super) fn fifo_works(home: &Home) -> io::Result<()> {
    let scratch = Scratch::new(home);
    Ok(crate::store::make_fifo(home.as_fd(), &scratch.name)?)
}

pub(super) fn hard_link_works(home: &Home) -> io::Result<()> {
    let (from, to) = (Scratch::new(home), Scratch::new(home));
    crate::store::create_new(home.as_fd(), &from.name)?;
    Ok(linkat(
        home,
        from.name.as_str(),
        home,
        to.name.as_str(),
        AtFlags::empty(),
    )?)
}

/// A supervisor is told of writes through the name that a log has in its task's folder.
pub(super) fn writes_are_told(home: &Home) -> io::Result<()> {
    hard_link_works(home)?;
    // In a folder of our own: a write by somebody else would send us a signal that we do not heed.
    let scratch = Scratch::new(home);
    let name = scratch.name.as_str();
    mkdirat(home, name, Mode::S_IRWXU)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let told = openat(home, name, flags, Mode::empty())
        .and_then(|folder| crate::supervisor::kernel_tells(folder.as_fd()));
    unlinkat(home, name, UnlinkatFlags::RemoveDir)?;
    Ok(told?)
}

pub(super) fn log_can_be_capped(home: &Home) -> io::Result<()> {
    const SIZE: usize = 256 << 10;
    let scratch = Scratch::new(home);
    let mut file = crate::store::create_new(home.as_fd(), &scratch.name)?;
    file.write_all(&vec![b'\n'; SIZE])?;
    crate::supervisor::punch_hole(&file, &(0..SIZE as u64 / 2))
}
