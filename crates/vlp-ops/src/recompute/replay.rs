//! What a second forward pass must draw and do as the first: dropout falls alike, statistics are counted once.

use std::cell::RefCell;

use burn::prelude::*;
use burn::tensor::Distribution;

use crate::route::on_cpu;

/// Seeds of dropout, in the order in which a forward pass asks for them.
pub(crate) type Seeds = Vec<[u32; 2]>;

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

/// What a second pass needs to draw what the first drew.
pub(super) enum Draws {
    /// Seeds of dropout, in order: other threads may draw from the device's stream meanwhile.
    Seeds(Seeds),
    /// Seed of the stream itself: a GPU's dropout draws from it value by value.
    Stream(u64),
}

/// Runs a first pass; gives what it drew.
pub(super) fn first<R>(device: &Device, f: impl FnOnce() -> R) -> (R, Draws) {
    if on_cpu(device) {
        let mut kept = enter(Tape::Writing(vec![]));
        let result = f();
        return match kept.leave() {
            Some(Tape::Writing(seeds)) => (result, Draws::Seeds(seeds)),
            _ => (result, Draws::Seeds(vec![])),
        };
    }
    let [during, after] = seeds(device);
    device.seed(during);
    let result = f();
    device.seed(after);
    (result, Draws::Stream(during))
}

/// Runs a second pass with what the first drew.
pub(super) fn second<R>(device: &Device, draws: Draws, f: impl FnOnce() -> R) -> R {
    let seeds = match draws {
        Draws::Seeds(mut seeds) => {
            seeds.reverse();
            seeds
        }
        Draws::Stream(seed) => {
            device.seed(seed);
            vec![]
        }
    };
    let _kept = enter(Tape::Reading(seeds));
    f()
}

/// Two seeds from the device's stream.
fn seeds(device: &Device) -> [u64; 2] {
    let whole = Distribution::Uniform(0.0, f64::from(1u32 << 24));
    let drawn = Tensor::<1>::random([2], whole, &device.clone().inner()).into_data();
    let mut seeds = [0; 2];
    for (seed, value) in seeds.iter_mut().zip(drawn.iter::<f32>()) {
        *seed = value as u64;
    }
    seeds
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
