//! Layer norm over rows by one kernel, and its gradient by two or three: of a tensor, or of a residual connection with
//! dropout.
//!
//! Needed as long as burn composes layer norm and its gradient of reductions and element-wise operations.

mod kernels;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::dropout::Mask;
use super::layout::{UNITS, buffer, cube_grid, element_count, empty_like, rows};
use super::list::{Primitive, Spec, run};
use crate::capture::Value;
use kernels::{InputLaunch, column_kernel, forward_kernel, grad_input_kernel, group_kernel};

/// Rows of which one unit sums a column.
const ROWS_PER_GROUP: usize = 32;
const MAX_GROUPS: usize = 128;

/// What is normalized: `x`, or `residual + dropout(x)`.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) x: Primitive,
    /// With the mask, and the table of its seed.
    pub(crate) residual: Option<(Primitive, (Mask, Primitive))>,
}

impl Input {
    /// The tensors, followed by `others`; and the mask.
    fn into_list<const N: usize>(self, others: [Primitive; N]) -> (Vec<Primitive>, Option<Mask>) {
        let (residual, mask) = self.residual.unzip();
        let (mask, table) = mask.unzip();
        let tensors = [self.x].into_iter().chain(residual).chain(table);
        (tensors.chain(others).collect(), mask)
    }
}

/// What [`Input::into_list`] made a list of, on the device.
struct Tensors<'a, const N: usize> {
    x: &'a CubeTensor,
    /// With the mask, and the table of its seed.
    residual: Option<(&'a CubeTensor, Mask, &'a CubeTensor)>,
    others: &'a [CubeTensor; N],
}

impl<'a, const N: usize> Tensors<'a, N> {
    fn new(list: &'a [CubeTensor], mask: Option<Mask>) -> Option<Self> {
        let (x, rest) = list.split_first()?;
        let (residual, others) = match mask {
            Some(mask) => match rest {
                [residual, table, others @ ..] => (Some((residual, mask, table)), others),
                _ => return None,
            },
            None => (None, rest),
        };
        let others = others.try_into().ok()?;
        Some(Self {
            x,
            residual,
            others,
        })
    }

    /// The argument of the kernels; without a residual they read neither the second tensor nor the table, which are any.
    fn input(&self) -> InputLaunch {
        let any = self.others.last().unwrap_or(self.x);
        let (residual, mask, table) = self.residual.unwrap_or((any, Mask::NONE, any));
        InputLaunch::new(rows(self.x), rows(residual), mask.args(table))
    }
}

fn f32(shape: &Shape) -> Spec {
    (shape.clone(), DType::F32)
}

/// The output for `gamma` and `beta`, and of each row the mean and the reciprocal of the deviation.
pub(crate) fn layer_norm(
    input: Input,
    [gamma, beta]: [Primitive; 2],
    epsilon: f64,
) -> Option<[Value; 3]> {
    let (shape, width) = (input.x.shape(), gamma.shape().num_elements());
    let line = Shape::from([shape.num_elements() / width.max(1)]);
    let outputs = vec![f32(&shape), f32(&line), f32(&line)];
    let (inputs, mask) = input.into_list([gamma, beta]);
    let results = run("vlp_layer_norm", inputs, outputs, move |inputs| {
        let tensors = Tensors::new(&inputs, mask);
        tensors.map_or(vec![], |tensors| forward(&tensors, &line, epsilon))
    });
    results.try_into().ok()
}

fn forward(tensors: &Tensors<'_, 2>, line: &Shape, epsilon: f64) -> Vec<CubeTensor> {
    let x = tensors.x;
    let [gamma, beta] = tensors
        .others
        .each_ref()
        .map(|line| into_contiguous(line.clone()));
    let width = element_count(&gamma);
    let y = empty_like(x, x.shape(), DType::F32);
    let [mean, scale] = [0; 2].map(|_| empty_like(x, line.clone(), DType::F32));
    let count = element_count(&mean);
    // SAFETY: a cube has a row below `count`, whose units stay below `width`, the length of `gamma` and `beta`; the
    // residual has the shape of `x`.
    unsafe {
        forward_kernel::launch_unchecked(
            &x.client,
            cube_grid(count),
            CubeDim::new_1d(UNITS),
            tensors.input(),
            buffer(&gamma, width),
            buffer(&beta, width),
            buffer(&y, element_count(&y)),
            buffer(&mean, count),
            buffer(&scale, count),
            count as u32,
            width as u32,
            epsilon as f32,
            tensors.residual.is_some(),
        );
    }
    vec![y, mean, scale]
}

/// Gradients of the layer norm's inputs.
pub(crate) struct InputGrads {
    /// Of what was normalized, and so of the residual.
    pub(crate) input: Value,
    /// Of `x` behind dropout; `None` if `x` is what was normalized.
    pub(crate) x: Option<Value>,
    pub(crate) gamma: Value,
    pub(crate) beta: Value,
}

/// Gradients from that of the output, and from what [`layer_norm`] gave for the rows.
pub(crate) fn layer_norm_backward(
    grad: Primitive,
    input: Input,
    gamma: Primitive,
    [mean, scale]: [Primitive; 2],
) -> Option<InputGrads> {
    let (shape, line) = (f32(&input.x.shape()), f32(&gamma.shape()));
    let has_residual = input.residual.is_some();
    let x = has_residual.then(|| shape.clone());
    let outputs = [line.clone(), line, shape].into_iter().chain(x).collect();
    let (inputs, mask) = input.into_list([grad, gamma, mean, scale]);
    let results = run("vlp_layer_norm_backward", inputs, outputs, move |inputs| {
        Tensors::new(&inputs, mask).map_or(vec![], |tensors| backward(&tensors))
    });
    let mut results = results.into_iter();
    let (gamma, beta, input) = (results.next()?, results.next()?, results.next()?);
    Some(InputGrads {
        input,
        x: results.next(),
        gamma,
        beta,
    })
}

/// Gradients of `gamma`, `beta`, what was normalized, and `x` where it is not that.
fn backward(tensors: &Tensors<'_, 4>) -> Vec<CubeTensor> {
    let (x, has_residual) = (tensors.x, tensors.residual.is_some());
    let [grad, gamma, mean, scale] = tensors.others;
    let [gamma, mean, scale] = [gamma, mean, scale].map(|line| into_contiguous(line.clone()));
    let (count, width) = (element_count(&mean), element_count(&gamma));
    let grad_input = empty_like(x, x.shape(), DType::F32);
    let grad_x = has_residual.then(|| empty_like(x, x.shape(), DType::F32));
    let client = &x.client;
    // Without a residual the kernel does not write it, and no tensor may be bound twice.
    let written = (grad_x.clone()).unwrap_or_else(|| empty_like(x, Shape::from([1]), DType::F32));
    // SAFETY: a cube has a row below `count`, whose units stay below `width`, the length of `gamma`.
    unsafe {
        grad_input_kernel::launch_unchecked(
            client,
            cube_grid(count),
            CubeDim::new_1d(UNITS),
            rows(grad),
            tensors.input(),
            buffer(&gamma, width),
            buffer(&mean, count),
            buffer(&scale, count),
            buffer(&grad_input, element_count(&grad_input)),
            buffer(&written, element_count(&written)),
            count as u32,
            width as u32,
            has_residual,
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
            tensors.input(),
            buffer(&mean, count),
            buffer(&scale, count),
            buffer(&partials[0], groups * width),
            buffer(&partials[1], groups * width),
            count as u32,
            width as u32,
            has_residual,
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
    [grad_gamma, grad_beta, grad_input]
        .into_iter()
        .chain(grad_x)
        .collect()
}
