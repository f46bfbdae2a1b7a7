//! Random numbers of a forward pass, recorded for its repetition: both passes drop the same values.

use std::cell::RefCell;

use burn::prelude::*;

/// A random sample of a forward pass.
#[derive(Debug, Clone)]
pub(crate) enum Sample {
    /// The seed of a dropout mask.
    Seed([u32; 2]),
    /// The values that a dropout mask keeps, sampled from the stream of a GPU.
    Mask(Box<Tensor<1, Bool>>),
}

/// Samples in the order in which a forward pass takes them.
pub(crate) type Samples = Vec<Sample>;

enum Tape {
    /// In the first pass: the samples so far.
    Recording(Samples),
    /// In the second pass: the samples to come, in reverse order.
    Replaying(Samples),
}

thread_local! {
    // Backward steps run on the thread that calls `backward`, and calls of `recompute` do not nest.
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Whether this thread runs a layer for the second time, to compute its gradients: side effects happened in the first pass.
pub fn is_recomputing() -> bool {
    TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Replaying(_))))
}

/// A dropout seed: that of `sample`, or in a second pass that of the first.
pub(crate) fn replay_seed(sample: impl FnOnce() -> [u32; 2]) -> [u32; 2] {
    match next_sample() {
        Some(Sample::Seed(seed)) => seed,
        _ => {
            let seed = sample();
            record_sample(|| Sample::Seed(seed));
            seed
        }
    }
}

/// A mask of kept values: that of `sample`, or in a second pass that of the first.
pub(crate) fn replay_mask(sample: impl FnOnce() -> Tensor<1, Bool>) -> Tensor<1, Bool> {
    match next_sample() {
        Some(Sample::Mask(mask)) => *mask,
        _ => {
            let mask = sample();
            record_sample(|| Sample::Mask(Box::new(mask.clone())));
            mask
        }
    }
}

fn next_sample() -> Option<Sample> {
    TAPE.with_borrow_mut(|tape| match tape {
        Some(Tape::Replaying(samples)) => samples.pop(),
        _ => None,
    })
}

fn record_sample(sample: impl FnOnce() -> Sample) {
    TAPE.with_borrow_mut(|tape| {
        if let Some(Tape::Recording(samples)) = tape {
            samples.push(sample());
        }
    });
}

/// Runs a first pass; also returns its samples.
pub(crate) fn record<R>(f: impl FnOnce() -> R) -> (R, Samples) {
    let mut guard = TapeGuard::enter(Tape::Recording(vec![]));
    let result = f();
    match guard.leave() {
        Some(Tape::Recording(samples)) => (result, samples),
        _ => (result, vec![]),
    }
}

/// Runs a second pass with the samples of the first.
pub(crate) fn replay<R>(mut samples: Samples, f: impl FnOnce() -> R) -> R {
    samples.reverse();
    let _guard = TapeGuard::enter(Tape::Replaying(samples));
    f()
}

/// Restores the previous tape, also after a panic.
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
        let device = Device::flex();
        let bits = |bits: [bool; 3]| Tensor::<1, Bool>::from_data(bits, &device);
        let pass = |a: [u32; 2], b: [bool; 3]| {
            let mask = || replay_mask(|| bits(b)).into_data();
            (replay_seed(|| a), mask(), is_recomputing())
        };
        let (first, samples) = record(|| pass([1, 2], [true, false, true]));
        let second = replay(samples, || pass([3, 4], [false; 3]));
        assert_eq!((first.0, &first.1), (second.0, &second.1));
        assert_eq!((first.2, second.2), (false, true));
        // Outside of both passes nothing is recorded.
        assert_eq!(pass([5, 6], [false; 3]).0, [5, 6]);
        assert!(!is_recomputing());
    }
}
