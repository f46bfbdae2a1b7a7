//! Thread pools: the global one, and two of half its size.

use std::sync::{Mutex, TryLockError};

use crate::two_threads::run_on_two_threads;

/// See [`join_thread_pool`](crate::join_thread_pool).
pub(crate) fn join_pool() -> bool {
    // Rayon would keep a failed attempt as its pool.
    if rayon::current_thread_index().is_some() {
        return false;
    }
    // At least one thread besides this one: work of other threads must not wait for it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(default_threads().max(2));
    pool.use_current_thread().build_global().is_ok()
}

/// As many as rayon uses by default.
fn default_threads() -> usize {
    let variable = std::env::var("RAYON_NUM_THREADS").ok();
    let count = variable.and_then(|count| count.parse().ok());
    count.filter(|count| *count > 0).unwrap_or_else(|| {
        let available = std::thread::available_parallelism();
        available.map_or(1, |count| count.get())
    })
}

/// See [`run_concurrently`](crate::run_concurrently).
pub(crate) fn run_in_half_pools<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    static POOLS: Mutex<Option<[rayon::ThreadPool; 2]>> = Mutex::new(None);
    let mut pools = match POOLS.try_lock() {
        Ok(pools) => pools,
        // A panic does not damage the pools.
        Err(TryLockError::Poisoned(pools)) => pools.into_inner(),
        Err(TryLockError::WouldBlock) => return run_on_two_threads(first, second),
    };
    let threads = rayon::current_num_threads().div_ceil(2);
    let fits = |pools: &[rayon::ThreadPool; 2]| pools[0].current_num_threads() == threads;
    if !pools.as_ref().is_some_and(fits) {
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        *pools = pool().and_then(|first| Ok([first, pool()?])).ok();
    }
    match &*pools {
        Some([a, b]) => run_on_two_threads(|| a.install(first), || b.install(second)),
        None => run_on_two_threads(first, second),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::run_concurrently;

    /// Tests take turns: while one uses the half pools, another would share all threads.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn each_closure_has_half_of_the_threads_and_results_keep_their_order() {
        let _turn = TURN.lock();
        for (threads, half) in [(1, 1), (2, 1), (5, 3), (6, 3)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let closure = |number: i32| move || (number, rayon::current_num_threads());
            let results = pool
                .build()
                .unwrap()
                .install(|| run_concurrently(closure(1), closure(2)));
            assert_eq!(results, ((1, half), (2, half)), "{threads}");
        }
    }

    #[test]
    fn nested_calls_do_not_hang() {
        let _turn = TURN.lock();
        let inner = || run_concurrently(|| run_concurrently(|| 1, || 2), || 3);
        let expected = (((1, 2), 3), ((1, 2), 3));
        assert_eq!(run_concurrently(inner, inner), expected);
    }

    /// Running statistics are kept per thread: two batches on one thread would give another result.
    #[test]
    fn each_closure_has_its_own_thread() {
        let _turn = TURN.lock();
        let thread = || std::thread::current().id();
        let differ = || {
            let (first, second) = run_concurrently(thread, thread);
            first != second
        };
        let ((first, second), after) = (run_concurrently(differ, differ), differ());
        assert!(first && second && after);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let _turn = TURN.lock();
        let result = std::panic::catch_unwind(|| {
            run_concurrently(|| 1, || std::panic::resume_unwind(Box::new("no")))
        });
        let result: Result<(i32, ()), _> = result;
        assert!(result.is_err_and(|panic| panic.downcast_ref() == Some(&"no")));
        // And both still run afterwards.
        assert_eq!(run_concurrently(|| 1, || 2), (1, 2));
    }
}
