//! Layer norm over rows by one kernel, and its gradient by two or three.
//!
//! Needed as long as burn composes layer norm and its gradient of reductions and element-wise operations.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{Rows, UNITS, buffer, element_count, empty_like, rows};
use super::list::{Primitive, run};
use super::reduce::cube_sum;
use crate::capture::Value;

/// Rows of which one unit sums a column.
const ROWS_PER_GROUP: usize = 32;
const MAX_GROUPS: usize = 128;

/// The output of `[x, gamma, beta]`, and of each row the mean and the reciprocal of the deviation.
pub(crate) fn layer_norm(inputs: [Primitive; 3], epsilon: f64) -> Option<[Value; 3]> {
    let (shape, width) = (inputs[0].shape(), inputs[1].shape().num_elements());
    let line = Shape::from([shape.num_elements() / width.max(1)]);
    let outputs = vec![
        (shape, DType::F32),
        (line.clone(), DType::F32),
        (line.clone(), DType::F32),
    ];
    let results = run("vlp_layer_norm", inputs.into(), outputs, move |inputs| {
        let [x, gamma, beta] = &inputs[..] else {
            return vec![];
        };
        let [gamma, beta] = [gamma, beta].map(|line| into_contiguous(line.clone()));
        let y = empty_like(x, x.shape(), DType::F32);
        let [mean, scale] = [0; 2].map(|_| empty_like(x, line.clone(), DType::F32));
        let count = element_count(&mean);
        // SAFETY: there is a cube for each row, whose units stay below `width`, the length of `gamma` and `beta`.
        unsafe {
            forward_kernel::launch_unchecked(
                &x.client,
                CubeCount::Static(count as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                rows(x),
                buffer(&gamma, width),
                buffer(&beta, width),
                buffer(&y, element_count(&y)),
                buffer(&mean, count),
                buffer(&scale, count),
                width as u32,
                epsilon as f32,
            );
        }
        vec![y, mean, scale]
    });
    results.try_into().ok()
}

/// Gradients of `[x, gamma, beta]` from `[grad, x, gamma, mean, scale]`.
pub(crate) fn layer_norm_backward(inputs: [Primitive; 5]) -> Option<[Value; 3]> {
    let (shape, line) = (inputs[1].shape(), inputs[2].shape());
    let outputs = vec![
        (shape, DType::F32),
        (line.clone(), DType::F32),
        (line, DType::F32),
    ];
    let results = run(
        "vlp_layer_norm_backward",
        inputs.into(),
        outputs,
        |inputs| match &inputs[..] {
            [grad, x, gamma, mean, scale] => backward([grad, x], gamma, [mean, scale]),
            _ => vec![],
        },
    );
    results.try_into().ok()
}

fn backward(
    [grad, x]: [&CubeTensor; 2],
    gamma: &CubeTensor,
    statistics: [&CubeTensor; 2],
) -> Vec<CubeTensor> {
    let gamma = into_contiguous(gamma.clone());
    let [mean, scale] = statistics.map(|line| into_contiguous(line.clone()));
    let (count, width) = (element_count(&mean), element_count(&gamma));
    let grad_x = empty_like(x, x.shape(), DType::F32);
    let client = &x.client;
    // SAFETY: there is a cube for each row, whose units stay below `width`, the length of `gamma`.
    unsafe {
        grad_x_kernel::launch_unchecked(
            client,
            CubeCount::Static(count as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            rows(grad),
            rows(x),
            buffer(&gamma, width),
            buffer(&mean, count),
            buffer(&scale, count),
            buffer(&grad_x, element_count(&grad_x)),
            width as u32,
        );
    }
    let groups = count.div_ceil(ROWS_PER_GROUP).clamp(1, MAX_GROUPS);
    let sums = |groups: usize| {
        let shape = match groups {
            1 => gamma.shape(),
            _ => Shape::from([groups, width]),
        };
        [0; 2].map(|_| empty_like(x, shape.clone(), DType::F32))
    };
    let cubes = width.div_ceil(UNITS as usize) as u32;
    let partials = sums(groups);
    // SAFETY: units stay below `width`, groups below the number of `groups`, and rows below that of rows.
    unsafe {
        column_kernel::launch_unchecked(
            client,
            CubeCount::Static(cubes, groups as u32, 1),
            CubeDim::new_1d(UNITS),
            rows(grad),
            rows(x),
            buffer(&mean, count),
            buffer(&scale, count),
            buffer(&partials[0], groups * width),
            buffer(&partials[1], groups * width),
            count as u32,
            width as u32,
        );
    }
    let [grad_gamma, grad_beta] = match groups {
        1 => partials,
        _ => {
            let totals = sums(1);
            // SAFETY: units stay below `width`, and rows below `groups`.
            unsafe {
                group_kernel::launch_unchecked(
                    client,
                    CubeCount::Static(cubes, 1, 1),
                    CubeDim::new_1d(UNITS),
                    buffer(&partials[0], groups * width),
                    buffer(&partials[1], groups * width),
                    buffer(&totals[0], width),
                    buffer(&totals[1], width),
                    groups as u32,
                    width as u32,
                );
            }
            totals
        }
    };
    vec![grad_x, grad_gamma, grad_beta]
}

#[cube(launch_unchecked)]
fn forward_kernel(
    x: Rows,
    gamma: &[f32],
    beta: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    scale: &mut [f32],
    width: u32,
    epsilon: f32,
) {
    let row = CUBE_POS_X;
    let start = row * width;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < width {
        sum += x.read(start + column);
        column += UNITS;
    }
    let row_mean = cube_sum(sum) / f32::cast_from(width);
    let mut squares = 0.0f32;
    column = UNIT_POS;
    while column < width {
        let centered = x.read(start + column) - row_mean;
        squares += centered * centered;
        column += UNITS;
    }
    let variance = cube_sum(squares) / f32::cast_from(width);
    let row_scale = 1.0 / (variance + epsilon).sqrt();
    column = UNIT_POS;
    while column < width {
        let at = column as usize;
        let normalized = (x.read(start + column) - row_mean) * row_scale;
        y[(start + column) as usize] = normalized * gamma[at] + beta[at];
        column += UNITS;
    }
    if UNIT_POS == 0 {
        mean[row as usize] = row_mean;
        scale[row as usize] = row_scale;
    }
}

#[cube(launch_unchecked)]
fn grad_x_kernel(
    grad: Rows,
    x: Rows,
    gamma: &[f32],
    mean: &[f32],
    scale: &[f32],
    grad_x: &mut [f32],
    width: u32,
) {
    let row = CUBE_POS_X;
    let start = row * width;
    let row_mean = mean[row as usize];
    let row_scale = scale[row as usize];
    let mut sum = 0.0f32;
    let mut products = 0.0f32;
    let mut column = UNIT_POS;
    while column < width {
        let dy = grad.read(start + column) * gamma[column as usize];
        sum += dy;
        products += dy * (x.read(start + column) - row_mean) * row_scale;
        column += UNITS;
    }
    let mean_dy = cube_sum(sum) / f32::cast_from(width);
    let mean_dy_xhat = cube_sum(products) / f32::cast_from(width);
    column = UNIT_POS;
    while column < width {
        let dy = grad.read(start + column) * gamma[column as usize];
        let xhat = (x.read(start + column) - row_mean) * row_scale;
        grad_x[(start + column) as usize] = (dy - mean_dy - xhat * mean_dy_xhat) * row_scale;
        column += UNITS;
    }
}

/// Sums of the columns over the rows of each group.
#[cube(launch_unchecked)]
fn column_kernel(
    grad: Rows,
    x: Rows,
    mean: &[f32],
    scale: &[f32],
    grad_gamma: &mut [f32],
    grad_beta: &mut [f32],
    count: u32,
    width: u32,
) {
    let column = CUBE_POS_X * UNITS + UNIT_POS;
    if column < width {
        let mut gamma_sum = 0.0f32;
        let mut beta_sum = 0.0f32;
        let mut row = CUBE_POS_Y;
        while row < count {
            let dy = grad.read(row * width + column);
            let xhat = (x.read(row * width + column) - mean[row as usize]) * scale[row as usize];
            gamma_sum += dy * xhat;
            beta_sum += dy;
            row += CUBE_COUNT_Y;
        }
        let at = (CUBE_POS_Y * width + column) as usize;
        grad_gamma[at] = gamma_sum;
        grad_beta[at] = beta_sum;
    }
}

/// Sums of the groups' sums.
#[cube(launch_unchecked)]
fn group_kernel(
    gamma_sums: &[f32],
    beta_sums: &[f32],
    grad_gamma: &mut [f32],
    grad_beta: &mut [f32],
    groups: u32,
    width: u32,
) {
    let column = CUBE_POS_X * UNITS + UNIT_POS;
    if column < width {
        let mut gamma_sum = 0.0f32;
        let mut beta_sum = 0.0f32;
        let mut group = 0u32;
        while group < groups {
            gamma_sum += gamma_sums[(group * width + column) as usize];
            beta_sum += beta_sums[(group * width + column) as usize];
            group += 1;
        }
        grad_gamma[column as usize] = gamma_sum;
        grad_beta[column as usize] = beta_sum;
    }
}
