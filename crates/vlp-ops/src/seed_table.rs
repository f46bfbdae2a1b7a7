//! Dropout seeds of a training step: from the random stream, or from a table on the device, which a recorded step reads, so
//! that each replay has other seeds.

use std::cell::{Cell, RefCell};

use burn::prelude::*;
use burn::tensor::IntDType;

use crate::random::sample_seed;

/// The seed of a dropout mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed {
    /// Added to the table's.
    pub(crate) value: [u32; 2],
    /// The row of this thread's table.
    pub(crate) row: Option<u32>,
}

struct Table {
    /// `[2 * rows]`, i32 without autodiff.
    #[cfg_attr(
        not(feature = "gpu"),
        allow(dead_code, reason = "a GPU's kernels read it")
    )]
    seeds: Tensor<1, Int>,
    rows: usize,
    taken: usize,
}

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
}

/// Number of dropout seeds that this thread has taken so far, to count those of a training step.
pub fn dropout_seed_count() -> usize {
    COUNT.get()
}

/// The next `count` seeds of the random stream, two numbers of 24 bits each: what as many dropout layers would take.
pub fn sample_dropout_seeds(count: usize) -> Vec<i32> {
    let seeds = (0..count).flat_map(|_| sample_seed());
    seeds.map(|seed| seed as i32).collect()
}

/// Runs `f`, whose dropout layers on a GPU take the rows of `seeds` in turn instead of numbers of the random stream. Also
/// returns how many rows they have asked for; if the table has fewer, the last one is taken several times.
///
/// # Shapes
/// - `seeds`: `[2 * rows]`, without autodiff, in the order of [`sample_dropout_seeds`]
///
/// # Panics
/// If there is no row.
pub fn with_dropout_seeds<R>(seeds: Tensor<1, Int>, f: impl FnOnce() -> R) -> (R, usize) {
    let rows = seeds.dims()[0] / 2;
    assert!(rows > 0, "a table of dropout seeds without a row");
    let guard = Guard(TABLE.replace(Some(Table {
        seeds: seeds.cast(IntDType::I32),
        rows,
        taken: 0,
    })));
    let result = f();
    let taken = TABLE.with_borrow(|table| table.as_ref().map_or(0, |table| table.taken));
    drop(guard);
    (result, taken)
}

/// Restores the previous table, even after a panic.
struct Guard(Option<Table>);

impl Drop for Guard {
    fn drop(&mut self) {
        TABLE.set(self.0.take());
    }
}

/// The seed of the next dropout layer.
pub(crate) fn next_seed() -> Seed {
    COUNT.set(COUNT.get() + 1);
    let row = TABLE.with_borrow_mut(|table| {
        let table = table.as_mut()?;
        table.taken += 1;
        Some(table.taken.min(table.rows).saturating_sub(1) as u32)
    });
    match row {
        Some(_) => Seed { value: [0; 2], row },
        None => Seed {
            value: sample_seed(),
            row,
        },
    }
}

/// The tensor to whose row the seed is added: this thread's table, or zeros.
#[cfg(feature = "gpu")]
pub(crate) fn table(seed: Seed, device: &Device) -> Tensor<1, Int> {
    let table = seed
        .row
        .and_then(|_| TABLE.with_borrow(|table| table.as_ref().map(|table| table.seeds.clone())));
    table.unwrap_or_else(|| crate::constant_ints(&[0, 0], &device.clone().inner()))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a table of dropout seeds without a row")]
    fn a_table_without_a_row_is_refused() {
        let half_a_row = Tensor::<1, Int>::from_ints([7], &Device::flex());
        with_dropout_seeds(half_a_row, || ());
    }
}
