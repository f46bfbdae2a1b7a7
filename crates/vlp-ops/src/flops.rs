//! Counts floating-point operations for profiles.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static COUNTING: AtomicBool = AtomicBool::new(false);
static FLOPS: AtomicU64 = AtomicU64::new(0);

/// Resets the counter and starts counting in the whole process, or stops it. All threads share one counter, which costs a
/// little time.
pub fn count_flops(on: bool) {
    FLOPS.store(0, Ordering::Relaxed);
    COUNTING.store(on, Ordering::Relaxed);
}

/// Floating-point operations of the CPU fast paths since [`count_flops`]: one multiplication and one addition for each term
/// of a matrix multiplication, in linear layers, tied logits, attention and convolutions, forward and backward.
///
/// A convolution counts as the sum over all taps, even if it is computed with fewer operations (Winograd). Operations that
/// burn computes itself and element-wise operations are not counted.
pub fn flops() -> u64 {
    FLOPS.load(Ordering::Relaxed)
}

/// Counts a multiplication of `[rows, depth]` by `[depth, columns]`.
#[cfg(feature = "flex")]
pub(crate) fn count_matmul([rows, depth, columns]: [usize; 3]) {
    if COUNTING.load(Ordering::Relaxed) {
        FLOPS.fetch_add(2 * (rows * depth * columns) as u64, Ordering::Relaxed);
    }
}
