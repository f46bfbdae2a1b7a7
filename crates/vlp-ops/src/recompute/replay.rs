//! What a second forward pass must draw and do as the first: dropout falls alike, statistics are counted once.

use std::cell::RefCell;

use burn::prelude::*;

/// What a forward pass drew for dropout.
#[derive(Debug, Clone)]
pub(super) enum Draw {
    /// A seed, from which what falls follows.
    Seed([u32; 2]),
    /// What stays, as a GPU's stream drew it.
    Stays(Box<Tensor<1, Bool>>),
}

/// Draws in the order in which a forward pass asks for them.
pub(super) type Draws = Vec<Draw>;

enum Tape {
    /// The first pass: draws as they were made.
    Writing(Draws),
    /// The second: draws still to be given, last one first.
    Reading(Draws),
}

thread_local! {
    // Backward steps run on the thread that calls for them, and inner passes do not nest.
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Whether this thread computes a layer a second time for its gradients: side effects have happened.
pub fn recomputing() -> bool {
    TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Reading(_))))
}

/// A seed of dropout: `draw`'s, or in a second pass the one of the first.
pub(crate) fn seed(draw: impl FnOnce() -> [u32; 2]) -> [u32; 2] {
    match known() {
        Some(Draw::Seed(seed)) => seed,
        _ => {
            let seed = draw();
            note(|| Draw::Seed(seed));
            seed
        }
    }
}

/// What stays in a tensor with as many values: `draw`'s, or in a second pass what stayed in the first.
pub(crate) fn stays(draw: impl FnOnce() -> Tensor<1, Bool>) -> Tensor<1, Bool> {
    match known() {
        Some(Draw::Stays(stays)) => *stays,
        _ => {
            let stays = draw();
            note(|| Draw::Stays(Box::new(stays.clone())));
            stays
        }
    }
}

fn known() -> Option<Draw> {
    TAPE.with_borrow_mut(|tape| match tape {
        Some(Tape::Reading(draws)) => draws.pop(),
        _ => None,
    })
}

fn note(draw: impl FnOnce() -> Draw) {
    TAPE.with_borrow_mut(|tape| {
        if let Some(Tape::Writing(draws)) = tape {
            draws.push(draw());
        }
    });
}

/// Runs a first pass; gives what it drew.
pub(super) fn first<R>(f: impl FnOnce() -> R) -> (R, Draws) {
    let mut kept = enter(Tape::Writing(vec![]));
    let result = f();
    match kept.leave() {
        Some(Tape::Writing(draws)) => (result, draws),
        _ => (result, vec![]),
    }
}

/// Runs a second pass with the draws of the first.
pub(super) fn second<R>(mut draws: Draws, f: impl FnOnce() -> R) -> R {
    draws.reverse();
    let _kept = enter(Tape::Reading(draws));
    f()
}

/// Puts the tape that was there back, after a panic too.
struct Kept(Option<Option<Tape>>);

fn enter(tape: Tape) -> Kept {
    Kept(Some(TAPE.replace(Some(tape))))
}

impl Kept {
    /// The tape that was written, if this was not done before.
    fn leave(&mut self) -> Option<Tape> {
        self.0.take().and_then(|before| TAPE.replace(before))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_second_pass_gets_what_the_first_drew() {
        let device = Device::flex();
        let bits = |bits: [bool; 3]| Tensor::<1, Bool>::from_data(bits, &device);
        let pass = |a: [u32; 2], b: [bool; 3]| {
            let mask = || stays(|| bits(b)).into_data();
            (seed(|| a), mask(), recomputing())
        };
        let (one, draws) = first(|| pass([1, 2], [true, false, true]));
        let two = second(draws, || pass([3, 4], [false; 3]));
        assert_eq!((one.0, &one.1), (two.0, &two.1));
        assert_eq!((one.2, two.2), (false, true));
        // Outside nothing is kept.
        assert_eq!(pass([5, 6], [false; 3]).0, [5, 6]);
        assert!(!recomputing());
    }
}
