//! The kernels of layer norm.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::super::dropout::MaskArgs;
use super::super::layout::{Rows, UNITS, cube_number};
use super::super::reduce::cube_sum;

/// What is normalized: `x`, or `residual + dropout(x)`.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Input {
    x: Rows,
    residual: Rows,
    mask: MaskArgs,
}

#[cube]
impl Input {
    fn read(&self, index: u32, #[comptime] has_residual: bool) -> f32 {
        if comptime!(has_residual) {
            self.residual.read(index) + self.x.read(index) * self.mask.factor(index)
        } else {
            self.x.read(index)
        }
    }
}

#[cube(launch_unchecked)]
pub(super) fn forward_kernel(
    input: Input,
    gamma: &[f32],
    beta: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    scale: &mut [f32],
    count: u32,
    width: u32,
    epsilon: f32,
    #[comptime] has_residual: bool,
) {
    let row = cube_number();
    if row >= count {
        terminate!();
    }
    let start = row * width;
    let mut sum = 0.0f32;
    let mut column = UNIT_POS;
    while column < width {
        sum += input.read(start + column, has_residual);
        column += UNITS;
    }
    let row_mean = cube_sum(sum) / f32::cast_from(width);
    let mut squares = 0.0f32;
    column = UNIT_POS;
    while column < width {
        let centered = input.read(start + column, has_residual) - row_mean;
        squares += centered * centered;
        column += UNITS;
    }
    let variance = cube_sum(squares) / f32::cast_from(width);
    let row_scale = 1.0 / (variance + epsilon).sqrt();
    column = UNIT_POS;
    while column < width {
        let at = column as usize;
        let normalized = (input.read(start + column, has_residual) - row_mean) * row_scale;
        y[(start + column) as usize] = normalized * gamma[at] + beta[at];
        column += UNITS;
    }
    if UNIT_POS == 0 {
        mean[row as usize] = row_mean;
        scale[row as usize] = row_scale;
    }
}

/// `grad_input` is the gradient of what is normalized, and of the residual; `grad_x` is written where there is dropout.
#[cube(launch_unchecked)]
pub(super) fn grad_input_kernel(
    grad: Rows,
    input: Input,
    gamma: &[f32],
    mean: &[f32],
    scale: &[f32],
    grad_input: &mut [f32],
    grad_x: &mut [f32],
    count: u32,
    width: u32,
    #[comptime] has_residual: bool,
) {
    let row = cube_number();
    if row >= count {
        terminate!();
    }
    let start = row * width;
    let row_mean = mean[row as usize];
    let row_scale = scale[row as usize];
    let mut sum = 0.0f32;
    let mut products = 0.0f32;
    let mut column = UNIT_POS;
    while column < width {
        let dy = grad.read(start + column) * gamma[column as usize];
        sum += dy;
        products += dy * (input.read(start + column, has_residual) - row_mean) * row_scale;
        column += UNITS;
    }
    let mean_dy = cube_sum(sum) / f32::cast_from(width);
    let mean_dy_xhat = cube_sum(products) / f32::cast_from(width);
    column = UNIT_POS;
    while column < width {
        let dy = grad.read(start + column) * gamma[column as usize];
        let xhat = (input.read(start + column, has_residual) - row_mean) * row_scale;
        let value = (dy - mean_dy - xhat * mean_dy_xhat) * row_scale;
        let at = (start + column) as usize;
        grad_input[at] = value;
        if comptime!(has_residual) {
            grad_x[at] = value * input.mask.factor(start + column);
        }
        column += UNITS;
    }
}

/// Sums of the columns over the rows of each group.
#[cube(launch_unchecked)]
pub(super) fn column_kernel(
    grad: Rows,
    input: Input,
    mean: &[f32],
    scale: &[f32],
    grad_gamma: &mut [f32],
    grad_beta: &mut [f32],
    count: u32,
    width: u32,
    #[comptime] has_residual: bool,
) {
    let column = CUBE_POS_X * UNITS + UNIT_POS;
    if column < width {
        let mut gamma_sum = 0.0f32;
        let mut beta_sum = 0.0f32;
        let mut row = CUBE_POS_Y;
        while row < count {
            let dy = grad.read(row * width + column);
            let xhat = (input.read(row * width + column, has_residual) - mean[row as usize])
                * scale[row as usize];
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
pub(super) fn group_kernel(
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
