//! Control of an update on a GPU: the factor of the gradients, and whether the update takes place.
//!
//! Needed as long as burn tests for finite values with operations that a driver's fast-math optimizations may remove.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::layout::{UNITS, buffer, element_count, empty_like};
use super::list::{Primitive, run};
use super::reduce::cube_sum;
use crate::capture::Value;
use burn_cubecl::kernel::into_contiguous;

/// `[min(1, max_norm / (norm + 1e-6)), 1]`, or `[_, 0]` if a value is not finite; the norm is the last of `values`. The
/// factor is 1 where `max_norm` is 0.
pub(crate) fn control(values: Primitive, max_norm: f32) -> Option<Value> {
    let outputs = vec![(Shape::from([2]), DType::F32)];
    let results = run("vlp_control", vec![values], outputs, move |inputs| {
        let control = |values| {
            let values = into_contiguous(values);
            let count = element_count(&values);
            let control = empty_like(&values, Shape::from([2]), DType::F32);
            // SAFETY: units stay below `count`, the length of `values`; `control` has two values.
            unsafe {
                control_kernel::launch_unchecked(
                    &values.client,
                    CubeCount::Static(1, 1, 1),
                    CubeDim::new_1d(UNITS),
                    buffer(&values, count),
                    buffer(&control, 2),
                    count as u32,
                    max_norm,
                );
            }
            control
        };
        inputs.into_iter().map(control).collect()
    });
    results.into_iter().next()
}

#[cube(launch_unchecked)]
fn control_kernel(values: &[f32], control: &mut [f32], count: u32, max_norm: f32) {
    let mut not_finite = 0.0f32;
    let mut index = UNIT_POS;
    while index < count {
        // All bits of the exponent: infinity or NaN.
        let bits = u32::reinterpret(values[index as usize]);
        if (bits & 0x7f80_0000u32) == 0x7f80_0000u32 {
            not_finite = 1.0f32;
        }
        index += UNITS;
    }
    let not_finite = cube_sum(not_finite);
    if UNIT_POS == 0 {
        let mut factor = 1.0f32;
        if max_norm > 0.0 {
            let norm = values[(count - 1) as usize];
            factor = max_norm / (norm + 1e-6);
            if factor > 1.0 {
                factor = 1.0f32;
            }
        }
        let mut flag = 0.0f32;
        if not_finite == 0.0 {
            flag = 1.0f32;
        }
        control[0] = factor;
        control[1] = flag;
    }
}
