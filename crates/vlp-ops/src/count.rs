//! Operations of the fast paths' matrix products and convolutions, counted for profiles.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static DONE: AtomicU64 = AtomicU64::new(0);

/// Counts from zero on, in the whole process, or stops: threads share one counter, which costs a little.
pub fn count_operations(on: bool) {
    DONE.store(0, Ordering::Relaxed);
    COUNTING.store(on, Ordering::Relaxed);
}

/// Floating-point operations since [`count_operations`]: a multiplication and an addition for each term of a matrix
/// product, of linear layers, tied scores, attention and convolutions, forward and backward. Convolutions count as sums
/// over all taps, also where they are computed in fewer operations. What burn computes by
/// itself is not among them, nor is element-wise work.
pub fn operations() -> u64 {
    DONE.load(Ordering::Relaxed)
}

/// Adds a product of `[rows, depth]` and `[depth, columns]`.
#[cfg(feature = "flex")]
pub(crate) fn count([rows, depth, columns]: [usize; 3]) {
    if COUNTING.load(Ordering::Relaxed) {
        DONE.fetch_add(2 * (rows * depth * columns) as u64, Ordering::Relaxed);
    }
}
