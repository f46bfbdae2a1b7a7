//! How the CPU's work is distributed over threads.

use std::cell::Cell;

/// Makes the calling thread a member of the thread pool that runs every operation, for as long as the process runs. A
/// program whose main thread calls the operations calls this function once, at the very start of `main`.
///
/// Returns whether the thread has joined: the call must come before the first operation, and outside of any rayon pool.
/// Without the feature `flex` there is nothing to do, and it returns true.
///
/// A thread outside the pool hands each operation to it and sleeps until the operation is done, which costs a tenth of
/// a training step or more. Between operations the pool's other threads spin for up to a millisecond, since waking a
/// thread takes longer than many operations.
pub fn join_thread_pool() -> bool {
    cpu_path! {
        return crate::cpu::threads::join_pool();
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    true
}

/// Number of threads that the CPU's operations run on; 1 without the feature `flex`.
pub fn thread_count() -> usize {
    cpu_path! {
        return rayon::current_num_threads();
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    1
}

/// Runs both closures at the same time, each on its own thread and with half of the pool's threads, rounded up. This is
/// faster for many small operations, which cannot keep all threads busy. While two closures are already running, or inside
/// one of them, the operations of both share all threads.
///
/// # Panics
/// If one of the closures panics.
pub fn run_concurrently<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    cpu_path! {
        return crate::cpu::threads::run_in_half_pools(first, second);
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    crate::two_threads::run_on_two_threads(first, second)
}

thread_local! {
    static MICRO_BATCH: Cell<(usize, usize)> = const { Cell::new((0, 1)) };
}

/// Runs the forward and backward pass of micro-batch `index` of the `count` whose gradients are summed into one step.
pub fn with_micro_batch<T>(index: usize, count: usize, run: impl FnOnce() -> T) -> T {
    let before = MICRO_BATCH.replace((index, count));
    let output = run();
    MICRO_BATCH.set(before);
    output
}

/// The micro-batch that this thread runs, and how many the step has; `(0, 1)` outside of [`with_micro_batch`].
pub fn micro_batch() -> (usize, usize) {
    MICRO_BATCH.get()
}
