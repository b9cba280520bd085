//! Small pieces that everything which waits needs.

use nix::poll::PollTimeout;

use crate::clock::Deadline;

/// What poll(2) takes: whole milliseconds, rounded up, so that a loop around it does not spin
/// through the last fraction of one.
pub(crate) fn poll_timeout(deadline: Deadline) -> PollTimeout {
    let Some(left) = deadline.remaining() else {
        return PollTimeout::NONE;
    };
    let millis = left.as_nanos().div_ceil(1_000_000);
    // A day at a time where it is longer: callers loop.
    PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
}
