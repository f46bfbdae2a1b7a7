//! Log-probability of one class per row, without a matrix of log-probabilities, and its gradient: one kernel each.
//!
//! Needed as long as burn composes them from a log-softmax and a gather.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;

use super::layout::{Rows, UNITS, buffer, cubes, element_count, empty_like, rows};
use super::list::{Primitive, run};
use super::reduce::{cube_max, cube_sum};
use crate::capture::Value;

/// Of `[logits, classes]` the log-probability of each row's class, and the logarithm of the row's sum of exponentials.
pub(crate) fn log_prob(inputs: [Primitive; 2]) -> Option<[Value; 2]> {
    let line = inputs[1].shape();
    let outputs = vec![(line.clone(), DType::F32), (line, DType::F32)];
    let results = run("vlp_log_prob", inputs.into(), outputs, |inputs| {
        let [logits, classes] = &inputs[..] else {
            return vec![];
        };
        let classes = into_contiguous(classes.clone());
        let count = element_count(&classes);
        let outputs = [0; 2].map(|_| empty_like(logits, Shape::from([count]), DType::F32));
        // SAFETY: there is a cube for each row, whose units and class stay below its length.
        unsafe {
            forward_kernel::launch_unchecked(
                &logits.client,
                CubeCount::Static(count as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                rows(logits),
                buffer(&classes, count),
                buffer(&outputs[0], count),
                buffer(&outputs[1], count),
                (element_count(logits) / count.max(1)) as u32,
            );
        }
        outputs.into()
    });
    results.try_into().ok()
}

/// The gradient of the logits from `[grad, logits, classes, log_sum_exp]`.
pub(crate) fn log_prob_backward(inputs: [Primitive; 4]) -> Option<Value> {
    let outputs = vec![(inputs[1].shape(), DType::F32)];
    let results = run("vlp_log_prob_backward", inputs.into(), outputs, |inputs| {
        let [grad, logits, classes, log_sum_exp] = &inputs[..] else {
            return vec![];
        };
        let lines = [grad, classes, log_sum_exp].map(|line| into_contiguous(line.clone()));
        let count = element_count(&lines[1]);
        let [grad, classes, log_sum_exp] = lines.each_ref().map(|line| buffer(line, count));
        let output = empty_like(logits, logits.shape(), DType::F32);
        let width = element_count(logits) / count.max(1);
        // SAFETY: there are cubes for each row, whose units stay below its length.
        unsafe {
            backward_kernel::launch_unchecked(
                &logits.client,
                CubeCount::Static(cubes(width) as u32, count as u32, 1),
                CubeDim::new_1d(UNITS),
                grad,
                rows(logits),
                classes,
                log_sum_exp,
                buffer(&output, element_count(logits)),
                width as u32,
            );
        }
        vec![output]
    });
    results.into_iter().next()
}

#[cube(launch_unchecked)]
fn forward_kernel(
    logits: Rows,
    classes: &[i32],
    output: &mut [f32],
    log_sum_exp: &mut [f32],
    width: u32,
) {
    let row = CUBE_POS_X;
    let start = row * width;
    // Units beyond the row's end start with its first value.
    let mut max = logits.read(start);
    let mut column = UNIT_POS;
    while column < width {
        let value = logits.read(start + column);
        if value > max {
            max = value;
        }
        column += UNITS;
    }
    let max = cube_max(max);
    let mut sum = 0.0f32;
    column = UNIT_POS;
    while column < width {
        sum += (logits.read(start + column) - max).exp();
        column += UNITS;
    }
    let sum = cube_sum(sum);
    if UNIT_POS == 0 {
        let row_sum = max + sum.ln();
        let mut class = u32::cast_from(classes[row as usize]);
        if class >= width {
            class = width - 1;
        }
        log_sum_exp[row as usize] = row_sum;
        output[row as usize] = logits.read(start + class) - row_sum;
    }
}

#[cube(launch_unchecked)]
fn backward_kernel(
    grad: &[f32],
    logits: Rows,
    classes: &[i32],
    log_sum_exp: &[f32],
    output: &mut [f32],
    width: u32,
) {
    let row = CUBE_POS_Y as usize;
    let start = CUBE_POS_Y * width;
    let row_grad = grad[row];
    let row_sum = log_sum_exp[row];
    let mut class = u32::cast_from(classes[row]);
    if class >= width {
        class = width - 1;
    }
    let mut column = CUBE_POS_X * UNITS + UNIT_POS;
    while column < width {
        let mut value = -row_grad * (logits.read(start + column) - row_sum).exp();
        if column == class {
            value += row_grad;
        }
        output[(start + column) as usize] = value;
        column += CUBE_COUNT_X * UNITS;
    }
}
