//! Small pieces that everything which waits needs.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

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

/// Waits in a thread for what knows no time limit, which is how it is with locks. When the time is
/// over (`None`) the thread is left behind: it ends with the process, or lets go at once of what it
/// gets after all.
pub(crate) fn wait_in_thread<T: Send + 'static>(
    deadline: Deadline,
    wait: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<Option<T>> {
    // No channel: what it keeps for each thread is more than the C library has room for, which costs
    // every process a page, this one thread or not.
    let answer = Arc::new((Mutex::new(None), Condvar::new()));
    let told = Arc::clone(&answer);
    std::thread::Builder::new().spawn(move || {
        let waited = wait();
        *told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waited);
        told.1.notify_one();
    })?;
    let (received, news) = &*answer;
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    while received.is_none() && !deadline.has_passed() {
        received = match deadline.remaining() {
            Some(left) => {
                let woken = news.wait_timeout(received, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => news.wait(received).unwrap_or_else(PoisonError::into_inner),
        };
    }
    received.take().transpose()
}
