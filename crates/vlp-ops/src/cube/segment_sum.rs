//! Sums of rows by segment, one kernel: the gradient of an embedding lookup, and what a dictionary counts.
//!
//! Needed as long as burn adds rows to a table of zeros by one thread for each column, one row after another.

use burn::tensor::{DType, Int, IntDType, Shape, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::MAX_CUBES;
use super::layout::{Rows, UNITS, buffer, element_count, empty_like, rows};
use super::list::{primitives_of, run};
use super::reduce::cube_sum;
use crate::capture::Value;

/// Whether the kernel takes so many rows: it counts in 32 bits, and has a cube for each segment.
pub(crate) fn takes(rows: usize, width: usize, segments: usize) -> bool {
    let is_counted = |rows: usize| u32::try_from(rows * width).is_ok();
    (1..=MAX_CUBES).contains(&segments) && rows * width > 0 && is_counted(rows.max(segments))
}

/// Sums of the rows of `data` by segment, added in the order of the rows; `None` for `data` that has a gradient, or is not f32
/// on a GPU.
///
/// # Shapes
/// - `data`: `[rows, width]`
/// - `ids`: `[rows]`, in `0..segments`
/// - output: `[segments, width]`
pub(crate) fn segment_sum(data: Tensor<2>, ids: Tensor<1, Int>, segments: usize) -> Option<Value> {
    let [rows, width] = data.dims();
    let data = Value::from(data);
    if !data.is_f32() || !takes(rows, width, segments) {
        return None;
    }
    let inputs = primitives_of([data, ids.cast(IntDType::I32).into()])?;
    let shape = Shape::from([segments, width]);
    let outputs = vec![(shape.clone(), DType::F32)];
    let results = run(
        "vlp_segment_sum",
        inputs.into(),
        outputs,
        move |inputs| match &inputs[..] {
            [data, ids] => vec![launch(data, ids, &shape)],
            _ => vec![],
        },
    );
    results.into_iter().next()
}

fn launch(data: &CubeTensor, ids: &CubeTensor, shape: &Shape) -> CubeTensor {
    let ids = into_contiguous(ids.clone());
    let (count, [segments, width]) = (element_count(&ids), shape.dims());
    let output = empty_like(data, shape.clone(), DType::F32);
    // SAFETY: there is a cube for each segment, whose units stay below `width`; rows stay below `count`.
    unsafe {
        kernel::launch_unchecked(
            &data.client,
            CubeCount::Static(segments as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            rows(data),
            buffer(&ids, count),
            buffer(&output, segments * width),
            count as u32,
            width as u32,
        );
    }
    output
}

/// A cube looks for the rows of its segment in blocks of as many rows as it has units; most blocks have none.
#[cube(launch_unchecked)]
fn kernel(data: Rows, ids: &[i32], output: &mut [f32], count: u32, width: u32) {
    let mut is_member = Shared::<[f32]>::new_slice(UNITS as usize);
    let segment = i32::cast_from(CUBE_POS_X);
    let start = CUBE_POS_X * width;
    let mut column = UNIT_POS;
    while column < width {
        output[(start + column) as usize] = 0.0;
        column += UNITS;
    }
    let mut block = 0u32;
    while block < count {
        let row = block + UNIT_POS;
        let mut member = 0.0f32;
        if row < count {
            if ids[row as usize] == segment {
                member = 1.0;
            }
        }
        is_member[UNIT_POS as usize] = member;
        if cube_sum(member) > 0.0 {
            let mut unit = 0u32;
            while unit < UNITS {
                if is_member[unit as usize] > 0.0 {
                    let row_start = (block + unit) * width;
                    column = UNIT_POS;
                    while column < width {
                        output[(start + column) as usize] += data.read(row_start + column);
                        column += UNITS;
                    }
                }
                unit += 1;
            }
        }
        // Before the next block is written over this one.
        sync_cube();
        block += UNITS;
    }
}
