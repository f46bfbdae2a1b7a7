//! Keeps the pool's threads awake between operations.
//!
//! A training step consists of hundreds of operations, most of them shorter than it takes to wake a sleeping thread: 30 us
//! on a virtual machine. Rayon's threads fall asleep after about 10 us without work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread spins for the next operation before it may sleep; OpenMP runtimes use the same.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long a thread spins in all. Rayon may have started the spinning inside another wait of the same thread, whose end
/// cannot be seen from here. The next operation starts a new spin.
const LIMIT: Duration = Duration::from_millis(50);

/// A thread that runs operations.
#[derive(Default)]
struct Caller {
    /// Operations so far.
    operations: AtomicUsize,
    /// Threads that spin for the next one.
    spinning: AtomicUsize,
}

thread_local! {
    static CALLER: Arc<Caller> = Arc::default();
}

/// Called at the start of an operation: keeps the other threads of the caller's pool awake for the next ones. Does nothing
/// outside a pool, whose threads sleep in that case anyway.
pub(crate) fn keep_pool_awake() {
    let (Some(index), threads) = (rayon::current_thread_index(), rayon::current_num_threads())
    else {
        return;
    };
    CALLER.with(|caller| {
        caller.operations.fetch_add(1, Ordering::Relaxed);
        if caller.spinning.load(Ordering::Relaxed) > 0 || threads == 1 {
            return;
        }
        // A broadcast leaves a job for this thread, too. It runs the previous one now: a thread that never waits for work, such as
        // the main thread next to two halves of a batch, would collect a job for each step.
        rayon::yield_local();
        caller.spinning.store(threads - 1, Ordering::Relaxed);
        let caller = Arc::clone(caller);
        rayon::spawn_broadcast(move |context| {
            if context.index() != index {
                spin(&caller);
                caller.spinning.fetch_sub(1, Ordering::Relaxed);
            }
        });
    });
}

/// Runs work as it comes, until there has been neither work nor an operation for [`PATIENCE`], or for [`LIMIT`] in all.
fn spin(caller: &Caller) {
    let start = Instant::now();
    let (mut operations, mut last_work) = (0, start);
    while last_work.elapsed() < PATIENCE && start.elapsed() < LIMIT {
        let current = caller.operations.load(Ordering::Relaxed);
        if rayon::yield_now() == Some(Yield::Executed) || current != operations {
            (operations, last_work) = (current, Instant::now());
        } else {
            std::hint::spin_loop();
            // Threads outside the pool may need the core, such as those that load data.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rayon::prelude::*;

    use super::*;

    /// Threads that spin for this thread's operations.
    fn spinning() -> usize {
        CALLER.with(|caller| caller.spinning.load(Ordering::Relaxed))
    }

    #[test]
    fn spinning_threads_run_work_and_sleep_in_the_end() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3);
        pool.build().unwrap().install(|| {
            // The threads of one call may be asleep again before they are counted.
            let starts_spinning = |()| {
                keep_pool_awake();
                spinning() > 0
            };
            assert!(std::iter::repeat_n((), 1000).any(starts_spinning));
            for round in 0..3 {
                keep_pool_awake();
                let sum: usize = (0..1000usize).into_par_iter().sum();
                assert_eq!(sum, 499_500);
                // The spinning ends, however long it takes on a busy machine.
                while round != 1 && spinning() > 0 {
                    std::thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn a_thread_that_never_waits_for_work_collects_no_jobs() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        pool.build().unwrap().install(|| {
            for _ in 0..50 {
                keep_pool_awake();
                while spinning() > 0 {
                    std::thread::yield_now();
                }
            }
            // Each job has a reference, of which the last broadcast leaves one.
            let jobs = CALLER.with(Arc::strong_count) - 1;
            assert!(jobs <= 2, "{jobs} jobs");
        });
    }

    #[test]
    fn nothing_spins_for_a_pool_of_one_thread_or_outside_a_pool() {
        keep_pool_awake();
        assert_eq!(spinning(), 0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
        let spinning_in_pool = || {
            keep_pool_awake();
            spinning()
        };
        assert_eq!(pool.build().unwrap().install(spinning_in_pool), 0);
    }
}
