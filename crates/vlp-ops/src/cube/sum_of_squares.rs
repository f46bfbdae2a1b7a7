//! The sum of the squares of many tensors by few kernels, in a fixed order.
//!
//! Needed as long as burn sums one tensor at a time, and adds atomically.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{
    Rows, UNITS, buffer, cube_count, cubes, element_count, empty_like, rows, tensors_per_launch,
};
use super::list::{Primitive, run};
use super::reduce::cube_sum;
use crate::capture::Value;

/// The sum `[1]`; `None` without tensors.
pub(crate) fn sum_of_squares(tensors: Vec<Primitive>) -> Option<Value> {
    let outputs = vec![(Shape::from([1]), DType::F32)];
    let results = run("vlp_sum_of_squares", tensors, outputs, |tensors| {
        launch(tensors).into_iter().collect()
    });
    results.into_iter().next()
}

fn launch(mut tensors: Vec<CubeTensor>) -> Option<CubeTensor> {
    // Tensors of one launch get the same number of cubes, so their sizes should be similar.
    tensors.sort_by_key(|tensor| std::cmp::Reverse(element_count(tensor)));
    let first = tensors.first()?;
    let client = first.client.clone();
    let cubes_of = |tensor: &CubeTensor| cubes(element_count(tensor));
    let all: usize = tensors.iter().map(cubes_of).sum();
    let partials = empty_like(first, Shape::from([all]), DType::F32);
    let total = empty_like(first, Shape::from([1]), DType::F32);
    let mut offset = 0;
    for tensors in tensors.chunks(tensors_per_launch(&client, 1)) {
        let lengths = tensors.iter().map(element_count);
        let arg = |tensor: &CubeTensor| {
            let (count, cubes, start) = (element_count(tensor), cubes_of(tensor), offset);
            offset += cubes;
            SquaresLaunch::new(rows(tensor), count as u32, cubes as u32, start as u32)
        };
        // SAFETY: units stay below `count`, the tensor's length; `partials` has a value for every cube of a tensor.
        unsafe {
            squares_kernel::launch_unchecked(
                &client,
                cube_count(lengths),
                CubeDim::new_1d(UNITS),
                tensors.iter().map(arg).collect(),
                buffer(&partials, all),
            );
        }
    }
    // SAFETY: units stay below the length of `partials`, which is passed.
    unsafe {
        total_kernel::launch_unchecked(
            &client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(UNITS),
            buffer(&partials, all),
            buffer(&total, 1),
            all as u32,
        );
    }
    Some(total)
}

#[derive(CubeType, CubeLaunch)]
struct Squares {
    rows: Rows,
    count: u32,
    /// Cubes that work on it.
    cubes: u32,
    /// Index of their first sum.
    start: u32,
}

#[cube(launch_unchecked)]
fn squares_kernel(tensors: Sequence<Squares>, partials: &mut [f32]) {
    let mut sum = 0.0f32;
    let mut position = 0u32;
    let mut has_work = false;
    let count = tensors.len().comptime();
    #[unroll]
    for i in 0..count {
        if CUBE_POS_Y == i as u32 {
            let tensor = tensors.index(i);
            has_work = CUBE_POS_X < tensor.cubes;
            position = tensor.start + CUBE_POS_X;
            if has_work {
                let mut index = CUBE_POS_X * UNITS + UNIT_POS;
                while index < tensor.count {
                    let value = tensor.rows.read(index);
                    sum += value * value;
                    index += tensor.cubes * UNITS;
                }
            }
        }
    }
    let total = cube_sum(sum);
    if has_work && UNIT_POS == 0 {
        partials[position as usize] = total;
    }
}

#[cube(launch_unchecked)]
fn total_kernel(partials: &[f32], total: &mut [f32], count: u32) {
    let mut sum = 0.0f32;
    let mut index = UNIT_POS;
    while index < count {
        sum += partials[index as usize];
        index += UNITS;
    }
    let sum = cube_sum(sum);
    if UNIT_POS == 0 {
        total[0] = sum;
    }
}
