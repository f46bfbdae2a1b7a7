//! What a second forward pass must draw and do as the first: dropout falls alike, statistics are counted once.

use std::cell::RefCell;

/// Seeds of dropout, in the order in which a forward pass asks for them.
pub(crate) type Seeds = Vec<[u32; 2]>;

#[cfg_attr(not(feature = "flex"), allow(dead_code))]
enum Tape {
    /// The first pass: seeds as drawn.
    Writing(Seeds),
    /// The second: seeds still to be given, last one first.
    Reading(Seeds),
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
pub(crate) fn draws(draw: impl FnOnce() -> [u32; 2]) -> [u32; 2] {
    let known = TAPE.with_borrow_mut(|tape| match tape {
        Some(Tape::Reading(seeds)) => seeds.pop(),
        _ => None,
    });
    known.unwrap_or_else(|| {
        let seed = draw();
        TAPE.with_borrow_mut(|tape| {
            if let Some(Tape::Writing(seeds)) = tape {
                seeds.push(seed);
            }
        });
        seed
    })
}

/// Runs a first pass; gives the seeds that it drew.
#[cfg(feature = "flex")]
pub(super) fn first<R>(f: impl FnOnce() -> R) -> (R, Seeds) {
    let mut kept = enter(Tape::Writing(vec![]));
    let result = f();
    match kept.leave() {
        Some(Tape::Writing(seeds)) => (result, seeds),
        _ => (result, vec![]),
    }
}

/// Runs a second pass with the seeds of the first.
#[cfg(feature = "flex")]
pub(super) fn second<R>(mut seeds: Seeds, f: impl FnOnce() -> R) -> R {
    seeds.reverse();
    let _kept = enter(Tape::Reading(seeds));
    f()
}

/// Puts the tape that was there back, after a panic too.
#[cfg(feature = "flex")]
struct Kept(Option<Option<Tape>>);

#[cfg(feature = "flex")]
fn enter(tape: Tape) -> Kept {
    Kept(Some(TAPE.replace(Some(tape))))
}

#[cfg(feature = "flex")]
impl Kept {
    /// The tape that was written, if this was not done before.
    fn leave(&mut self) -> Option<Tape> {
        self.0.take().and_then(|before| TAPE.replace(before))
    }
}

#[cfg(feature = "flex")]
impl Drop for Kept {
    fn drop(&mut self) {
        self.leave();
    }
}
