//! Dropout seeds of a forward pass, recorded for its recomputation: both passes drop the same values.

use std::cell::RefCell;

use crate::seed_table::Seed;

/// Seeds of dropout masks in the order in which a forward pass takes them.
pub(crate) type Samples = Vec<Seed>;

enum Tape {
    /// In the first pass: the seeds taken so far.
    Recording(Samples),
    /// In the second pass: the remaining seeds, in reverse order.
    Replaying(Samples),
}

thread_local! {
    // Backward steps run on the thread that calls `backward`, and calls of `recompute` do not nest.
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Whether this thread is recomputing a layer in the backward pass, whose side effects have happened in the first pass.
pub fn is_recomputing() -> bool {
    TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Replaying(_))))
}

/// A dropout seed: a new one from `sample`, or in a second pass the one of the first pass.
pub(crate) fn replay_seed(sample: impl FnOnce() -> Seed) -> Seed {
    let replayed = TAPE.with_borrow_mut(|tape| match tape {
        Some(Tape::Replaying(samples)) => samples.pop(),
        _ => None,
    });
    if let Some(seed) = replayed {
        return seed;
    }
    let seed = sample();
    TAPE.with_borrow_mut(|tape| {
        if let Some(Tape::Recording(samples)) = tape {
            samples.push(seed);
        }
    });
    seed
}

/// Runs a first pass; also returns its seeds.
pub(crate) fn record<R>(f: impl FnOnce() -> R) -> (R, Samples) {
    let mut guard = TapeGuard::enter(Tape::Recording(vec![]));
    let result = f();
    match guard.leave() {
        Some(Tape::Recording(samples)) => (result, samples),
        _ => (result, vec![]),
    }
}

/// Runs a second pass with the seeds of the first.
pub(crate) fn replay<R>(mut samples: Samples, f: impl FnOnce() -> R) -> R {
    samples.reverse();
    let _guard = TapeGuard::enter(Tape::Replaying(samples));
    f()
}

/// Restores the previous tape, even after a panic.
struct TapeGuard(Option<Option<Tape>>);

impl TapeGuard {
    fn enter(tape: Tape) -> Self {
        Self(Some(TAPE.replace(Some(tape))))
    }

    /// Restores the previous tape and returns the current one; `None` at a second call.
    fn leave(&mut self) -> Option<Tape> {
        self.0.take().and_then(|previous| TAPE.replace(previous))
    }
}

impl Drop for TapeGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn second_pass_gets_the_samples_of_the_first() {
        let seed = |value: [u32; 2]| Seed { value, row: None };
        let pass = |a: [u32; 2], b: [u32; 2]| {
            let seeds = [replay_seed(|| seed(a)), replay_seed(|| seed(b))];
            (seeds.map(|seed| seed.value), is_recomputing())
        };
        let (first, samples) = record(|| pass([1, 2], [7, 8]));
        let second = replay(samples, || pass([3, 4], [9, 9]));
        assert_eq!(first.0, second.0);
        assert_eq!((first.1, second.1), (false, true));
        // Outside of both passes nothing is recorded.
        assert_eq!(pass([5, 6], [0, 1]).0, [[5, 6], [0, 1]]);
        assert!(!is_recomputing());
    }
}
