//! Threads that stay awake between operations.
//!
//! A training step is hundreds of operations, most shorter than it takes to wake a thread that sleeps: 30 us on a virtual
//! machine. Rayon's threads fall asleep after about 10 us without work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread waits for the next operation before it may sleep: as long as OpenMP's do.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long it waits in all before it looks after what it may have left: rayon has a thread take this up inside of another
/// wait, whose end it does not see from here. The next operation asks again.
const LIMIT: Duration = Duration::from_millis(50);

/// Operations of one thread.
#[derive(Default)]
struct Caller {
    /// How many there were.
    operations: AtomicUsize,
    /// Threads that wait awake for the next one.
    waiting: AtomicUsize,
}

thread_local! {
    static CALLER: Arc<Caller> = Arc::default();
}

/// Says that an operation begins: keeps the other threads of this one's pool awake for the next ones. Does nothing
/// outside of a pool, whose threads then sleep anyway.
pub(crate) fn stay_awake() {
    let (Some(own), threads) = (rayon::current_thread_index(), rayon::current_num_threads()) else {
        return;
    };
    CALLER.with(|caller| {
        caller.operations.fetch_add(1, Ordering::Relaxed);
        if caller.waiting.load(Ordering::Relaxed) > 0 || threads == 1 {
            return;
        }
        caller.waiting.store(threads - 1, Ordering::Relaxed);
        let caller = Arc::clone(caller);
        rayon::spawn_broadcast(move |context| {
            if context.index() != own {
                wait(&caller);
                caller.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        });
    });
}

/// Takes work as it comes, until there has been neither work nor an operation for a while, or for long enough.
fn wait(caller: &Caller) {
    let start = Instant::now();
    let (mut seen, mut since) = (0, start);
    while since.elapsed() < PATIENCE && start.elapsed() < LIMIT {
        let operations = caller.operations.load(Ordering::Relaxed);
        if rayon::yield_now() == Some(Yield::Executed) || operations != seen {
            (seen, since) = (operations, Instant::now());
        } else {
            std::hint::spin_loop();
            // Others may need the core, those that load data for one.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rayon::prelude::*;

    use super::*;

    /// Threads of a pool that wait for this thread's operations.
    fn waiting() -> usize {
        CALLER.with(|caller| caller.waiting.load(Ordering::Relaxed))
    }

    #[test]
    fn threads_that_wait_take_work_and_sleep_at_last() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3);
        pool.build().unwrap().install(|| {
            // Those of one call may have slept again before they are counted.
            let seen = |()| {
                stay_awake();
                waiting() > 0
            };
            assert!(std::iter::repeat_n((), 1000).any(seen));
            for round in 0..3 {
                stay_awake();
                let sum: usize = (0..1000usize).into_par_iter().sum();
                assert_eq!(sum, 499_500);
                // Their patience ends, however long it takes on a busy machine.
                while round != 1 && waiting() > 0 {
                    std::thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn nobody_waits_beside_a_thread_alone_or_outside_of_a_pool() {
        stay_awake();
        assert_eq!(waiting(), 0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
        let alone = || {
            stay_awake();
            waiting()
        };
        assert_eq!(pool.build().unwrap().install(alone), 0);
    }
}
