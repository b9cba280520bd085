//! The moment between the end on record and its event.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use crate::clock::Deadline;
use crate::store::{TaskDir, has_writer, open_live};
use crate::wait::poll_timeout;

/// An end is on record a moment before it is in the journal; then the supervisor lets go of the
/// FIFO.
pub(super) fn await_last_word(dir: &TaskDir) {
    let Some(live) = open_live(dir) else {
        return;
    };
    let patience = Deadline::after(Duration::from_secs(1));
    while has_writer(&live) && !patience.has_passed() {
        // Where poll(2) does not tell of the hang-up, has_writer does.
        let moment = Deadline::after(Duration::from_millis(5));
        let _ = poll(
            &mut [PollFd::new(live.as_fd(), PollFlags::POLLIN)],
            poll_timeout(moment),
        );
    }
}
