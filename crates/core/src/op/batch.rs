//! Doing the same to many tasks, a few at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `act` for every item, at most `limit` at once, and returns the results in input order.
///
/// Threads, because each call mostly sleeps in the kernel. The caller's own is one of them, and does
/// everything where none can be made.
pub fn in_parallel<I: Send, O: Send>(
    items: Vec<I>,
    limit: usize,
    act: impl Fn(I) -> O + Sync,
) -> Vec<O> {
    let workers = limit.clamp(1, items.len().max(1));
    if workers == 1 {
        return items.into_iter().map(act).collect();
    }
    let next = AtomicUsize::new(0);
    let slots: Vec<_> = items
        .into_iter()
        .map(|item| (Mutex::new(Some(item)), Mutex::new(None)))
        .collect();
    let work = || {
        while let Some((item, result)) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            let item = item.lock().ok().and_then(|mut item| item.take());
            let done = item.map(&act);
            if let Ok(mut result) = result.lock() {
                *result = done;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            let worker = std::thread::Builder::new();
            if worker.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    // A worker that panicked has ended the scope with its panic, so every slot is filled here.
    slots
        .into_iter()
        .filter_map(|(_, result)| result.into_inner().ok().flatten())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_input_order_and_no_more_than_the_limit_run_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = in_parallel((0..100).collect(), 7, |item: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(results, (0..100).map(|item| item * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= 7);
        assert!(in_parallel(Vec::<u8>::new(), 3, |item| item).is_empty());
    }
}
