//! How the CPU's work is shared among threads.

#[cfg(feature = "flex")]
use std::sync::{Mutex, TryLockError};

/// Makes this thread one of those that share the work of every operation, as long as the process runs: to be called once,
/// first thing in `main`, by a program whose main thread runs the operations. Says whether it came in time, before the
/// first operation and outside of any pool of rayon's.
///
/// A thread that is none of them hands each operation over and sleeps until it is done: a tenth of a training step and more.
/// Between its operations the other threads wait awake, for a millisecond at most: waking one takes longer than many an
/// operation.
/// Without the feature `flex` there is nothing to do.
pub fn share_main_thread() -> bool {
    #[cfg(feature = "flex")]
    {
        // Rayon would keep a failed attempt as its pool.
        if rayon::current_thread_index().is_some() {
            return false;
        }
        // One more beside this one: what other threads hand over must not wait for it.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads().max(2));
        pool.use_current_thread().build_global().is_ok()
    }
    #[cfg(not(feature = "flex"))]
    true
}

/// As many as rayon takes by itself.
#[cfg(feature = "flex")]
fn threads() -> usize {
    let given = std::env::var("RAYON_NUM_THREADS").ok();
    let given = given.and_then(|count| count.parse().ok());
    given.filter(|count| *count > 0).unwrap_or_else(|| {
        let machine = std::thread::available_parallelism();
        machine.map_or(1, |count| count.get())
    })
}

/// Runs both at the same time, each on a thread of its own, with half of those that share the work of operations, rounded
/// up: what takes many operations, on few threads with nothing to wait for. While two are at work already, or inside of one
/// of them, operations of both are shared by all.
///
/// # Panics
/// Where one of them does.
pub fn side_by_side<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "flex")]
    return in_halves(first, second);
    #[cfg(not(feature = "flex"))]
    both(first, second)
}

#[cfg(feature = "flex")]
fn in_halves<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    static HALVES: Mutex<Option<[rayon::ThreadPool; 2]>> = Mutex::new(None);
    let mut halves = match HALVES.try_lock() {
        Ok(halves) => halves,
        // After a panic the pools are as good as before.
        Err(TryLockError::Poisoned(halves)) => halves.into_inner(),
        Err(TryLockError::WouldBlock) => return both(first, second),
    };
    let threads = rayon::current_num_threads().div_ceil(2);
    let fits = |pools: &[rayon::ThreadPool; 2]| pools[0].current_num_threads() == threads;
    if !halves.as_ref().is_some_and(fits) {
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        *halves = pool().and_then(|first| Ok([first, pool()?])).ok();
    }
    match &*halves {
        Some([one, other]) => both(|| one.install(first), || other.install(second)),
        None => both(first, second),
    }
}

fn both<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = scope.spawn(second);
        let (first, second) = (first.join(), second.join());
        (
            first.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            second.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    })
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Tests take turns: while one is at work, both of another share all threads.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn each_has_half_of_the_threads_and_the_order_is_kept() {
        let _turn = TURN.lock();
        for (threads, half) in [(1, 1), (2, 1), (5, 3), (6, 3)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let own = |number: i32| move || (number, rayon::current_num_threads());
            let both = pool
                .build()
                .unwrap()
                .install(|| side_by_side(own(1), own(2)));
            assert_eq!(both, ((1, half), (2, half)), "{threads}");
        }
    }

    #[test]
    fn one_inside_the_other_does_not_hang() {
        let _turn = TURN.lock();
        let inner = || side_by_side(|| side_by_side(|| 1, || 2), || 3);
        assert_eq!(side_by_side(inner, inner), (((1, 2), 3), ((1, 2), 3)));
    }

    /// Running statistics are kept by thread: two batches on one would be another result.
    #[test]
    fn each_has_a_thread_of_its_own() {
        let _turn = TURN.lock();
        let own = || std::thread::current().id();
        let apart = || {
            let (one, other) = side_by_side(own, own);
            one != other
        };
        let ((inside, beside), after) = (side_by_side(apart, apart), apart());
        assert!(inside && beside && after);
    }

    #[test]
    fn a_panic_goes_on_to_the_caller() {
        let _turn = TURN.lock();
        let caught = std::panic::catch_unwind(|| {
            side_by_side(|| 1, || std::panic::resume_unwind(Box::new("no")))
        });
        let caught: Result<(i32, ()), _> = caught;
        assert!(caught.is_err_and(|panic| panic.downcast_ref() == Some(&"no")));
        // And both still run afterwards.
        assert_eq!(side_by_side(|| 1, || 2), (1, 2));
    }
}
