//! Sums and maxima over the units of a cube.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::layout::UNITS;

/// The sum of the units' values, added in the order of a binary tree. Every unit gets it.
#[cube]
pub(super) fn cube_sum(value: f32) -> f32 {
    let mut sums = Shared::<[f32]>::new_slice(UNITS as usize);
    sums[UNIT_POS as usize] = value;
    let mut half = UNITS.runtime() / 2;
    while half > 0 {
        sync_cube();
        if UNIT_POS < half {
            let other = sums[(UNIT_POS + half) as usize];
            sums[UNIT_POS as usize] += other;
        }
        half /= 2;
    }
    sync_cube();
    sums[0]
}

/// The largest of the units' values. Every unit gets it.
#[cube]
pub(super) fn cube_max(value: f32) -> f32 {
    let mut values = Shared::<[f32]>::new_slice(UNITS as usize);
    values[UNIT_POS as usize] = value;
    let mut half = UNITS.runtime() / 2;
    while half > 0 {
        sync_cube();
        if UNIT_POS < half {
            let other = values[(UNIT_POS + half) as usize];
            if other > values[UNIT_POS as usize] {
                values[UNIT_POS as usize] = other;
            }
        }
        half /= 2;
    }
    sync_cube();
    values[0]
}
