//! Dropout by the hash of each value's index, the CPU's mask: it is computed again wherever it is needed, and never stored.
//!
//! Needed as long as burn draws masks from a stream of the device, a kernel for the numbers and one for the mask.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::hash::hash;
use super::layout::{Rows, UNITS, buffer, cubes, element_count, empty_like, rows};
use super::list::{Primitive, run};
use crate::capture::Value;

/// Which values are kept, and what they are multiplied by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    /// Added to the seed in a row of the table.
    pub(crate) seed: [u32; 2],
    pub(crate) row: u32,
    /// The 24 random bits of a value that is kept are not below.
    pub(crate) threshold: f32,
    pub(crate) kept_factor: f32,
}

impl Mask {
    /// Drops nothing.
    pub(super) const NONE: Self = Self {
        seed: [0; 2],
        row: 0,
        threshold: 0.0,
        kept_factor: 1.0,
    };

    /// `table` has two numbers in each row.
    pub(super) fn args(self, table: &CubeTensor) -> MaskArgsLaunch {
        let [seed0, seed1] = self.seed;
        MaskArgsLaunch::new(
            buffer(table, element_count(table)),
            self.row,
            seed0,
            seed1,
            self.threshold,
            self.kept_factor,
        )
    }
}

/// [`Mask`] in a kernel.
#[derive(CubeType, CubeLaunch)]
pub(super) struct MaskArgs {
    table: Box<[u32]>,
    row: u32,
    seed0: u32,
    seed1: u32,
    threshold: f32,
    kept_factor: f32,
}

#[cube]
impl MaskArgs {
    /// What value number `index` of the tensor is multiplied by.
    pub(super) fn factor(&self, index: u32) -> f32 {
        let seed0 = self.seed0 + self.table[(2 * self.row) as usize];
        let seed1 = self.seed1 + self.table[(2 * self.row + 1) as usize];
        let random = f32::cast_from(hash(seed0, seed1, index) >> 8);
        let mut factor = 0.0f32;
        if random >= self.threshold {
            factor = self.kept_factor;
        }
        factor
    }
}

/// `x` times the factors of the mask, whose seed is in a table.
pub(crate) fn apply_mask(x: Primitive, (mask, table): (Mask, Primitive)) -> Option<Value> {
    let outputs = vec![(x.shape(), x.dtype())];
    let results = run(
        "vlp_dropout",
        vec![x, table],
        outputs,
        move |inputs| match &inputs[..] {
            [x, table] => vec![launch(x, mask, table)],
            _ => vec![],
        },
    );
    results.into_iter().next()
}

fn launch(x: &CubeTensor, mask: Mask, table: &CubeTensor) -> CubeTensor {
    let output = empty_like(x, x.shape(), x.dtype);
    let count = element_count(x);
    // SAFETY: units stay below `count`, the length of both tensors; the table has the mask's row.
    unsafe {
        dropout_kernel::launch_unchecked(
            &x.client,
            CubeCount::Static(cubes(count) as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            rows(x),
            buffer(&output, count),
            count as u32,
            mask.args(table),
        );
    }
    output
}

#[cube(launch_unchecked)]
fn dropout_kernel(x: Rows, output: &mut [f32], count: u32, mask: MaskArgs) {
    let mut index = CUBE_POS_X * UNITS + UNIT_POS;
    while index < count {
        output[index as usize] = x.read(index) * mask.factor(index);
        index += CUBE_COUNT_X * UNITS;
    }
}
