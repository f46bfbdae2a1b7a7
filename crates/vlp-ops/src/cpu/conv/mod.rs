//! Convolution of images and its gradients: [`plan`] chooses an algorithm, [`run`] runs it.
//!
//! Sources: Lavin & Gray (2015) for Winograd's algorithm; im2col as in Caffe (Jia et al. 2014).

mod algorithm;
mod amx;
mod col2im;
mod direct;
mod exclusion;
mod im2col;
mod im2col_gemm;
mod output_rows;
mod padded;
mod plan;
mod pointwise;
mod reduce_partials;
mod shape;
mod strided_input_grad;
#[cfg(test)]
mod tests;
mod weight_grad;
mod weight_view;
mod winograd;

pub(crate) use exclusion::{excludable, exclude, uses_of_excluded};
pub(crate) use shape::ConvShape;

use super::gemm::epilogue::Epilogue;
use super::tensor::{Array, as_slice, from_vec};
use crate::precision::matmul_precision;
use algorithm::{Algorithm, Pass};
use plan::{Available, plan, plan_part};
use strided_input_grad::Parts;
use weight_view::WeightView;

/// What is computed, of contiguous tensors.
pub(crate) enum Operands<'a> {
    /// The output.
    Forward {
        x: &'a Array,
        weight: &'a Array,
        /// Whether gradients will follow.
        training: bool,
        epilogue: Option<&'a Epilogue<'a>>,
    },
    /// The gradient of the input.
    InputGrad {
        grad_output: &'a Array,
        weight: &'a Array,
    },
    /// The gradient of the weight.
    WeightGrad {
        grad_output: &'a Array,
        x: &'a Array,
    },
}

impl Operands<'_> {
    fn pass(&self) -> Pass {
        match self {
            Self::Forward { training: true, .. } => Pass::Training,
            Self::Forward { .. } => Pass::Inference,
            Self::InputGrad { .. } => Pass::InputGrad,
            Self::WeightGrad { .. } => Pass::WeightGrad,
        }
    }
}

/// Names of the algorithms that [`run`] uses now: for the output without and with gradients, and for the gradients of
/// input and weight.
pub(crate) fn algorithm_names(shape: &ConvShape) -> [&'static str; 4] {
    let (precision, available) = (matmul_precision(), Available::current());
    let passes = [
        Pass::Inference,
        Pass::Training,
        Pass::InputGrad,
        Pass::WeightGrad,
    ];
    passes.map(|pass| plan(shape, pass, precision, available).name())
}

/// Runs a convolution, or computes one of its gradients.
pub(crate) fn run(shape: &ConvShape, operands: Operands<'_>) -> Array {
    let pass = operands.pass();
    let (precision, available) = (matmul_precision(), Available::current());
    let algorithm = plan(shape, pass, precision, available);
    if available.excluded.is_some() {
        let all = Available {
            excluded: None,
            ..available
        };
        if plan(shape, pass, precision, all) != algorithm {
            exclusion::count_use();
        }
    }
    match operands {
        Operands::Forward {
            x,
            weight,
            epilogue,
            ..
        } => {
            let taps: Vec<usize> = (0..shape.taps()).collect();
            let weight = WeightView::new(shape, as_slice(weight), &taps);
            let convolution = Convolution {
                shape,
                x: as_slice(x),
                weight,
                k_chunk: k_chunk(shape, pass, algorithm),
                epilogue,
            };
            from_vec(convolution.run(algorithm), shape.output_dims())
        }
        Operands::InputGrad {
            grad_output,
            weight,
        } => {
            let (grad_output, weight) = (as_slice(grad_output), as_slice(weight));
            let convolve = |shape: &ConvShape, taps: &[usize], weight_shape, algorithm| {
                let convolution = Convolution {
                    shape,
                    x: grad_output,
                    weight: WeightView::transposed(weight_shape, weight, taps),
                    // No ReLU is applied to a gradient, so sums may have any length.
                    k_chunk: None,
                    epilogue: None,
                };
                convolution.run(algorithm)
            };
            let grad = match (algorithm, shape.transposed(), Parts::new(shape)) {
                (Algorithm::Pointwise, ..) => pointwise::input_grad(shape, grad_output, weight),
                (Algorithm::StridedParts, _, Some(parts)) => parts.input_grad(|part, taps| {
                    let algorithm = plan_part(part, precision, available);
                    convolve(part, taps, shape, algorithm.unwrap_or(Algorithm::Im2col))
                }),
                (Algorithm::Col2im, ..) | (_, None, _) => {
                    col2im::input_grad(shape, grad_output, weight)
                }
                (algorithm, Some(transposed), _) => {
                    let taps: Vec<usize> = (0..shape.taps()).rev().collect();
                    convolve(&transposed, &taps, shape, algorithm)
                }
            };
            from_vec(grad, shape.input_dims())
        }
        Operands::WeightGrad { grad_output, x } => {
            let (grad_output, x) = (as_slice(grad_output), as_slice(x));
            let grad = match algorithm {
                Algorithm::Amx => amx::weight_grad(shape, grad_output, x),
                Algorithm::Winograd => winograd::weight_grad(shape, grad_output, x),
                Algorithm::Pointwise => weight_grad::pointwise_weight_grad(shape, grad_output, x),
                _ => weight_grad::weight_grad(shape, grad_output, x),
            };
            from_vec(grad, shape.weight_dims())
        }
    }
}

/// Terms that are summed before they are added to the total, where rounding matters.
fn k_chunk(shape: &ConvShape, pass: Pass, algorithm: Algorithm) -> Option<usize> {
    match (pass, algorithm) {
        (Pass::Training, Algorithm::Pointwise) | (_, Algorithm::Im2col) => {
            Some(im2col_gemm::k_chunk(shape))
        }
        (Pass::Inference, Algorithm::Winograd) => Some(winograd::INFERENCE_K_CHUNK),
        _ => None,
    }
}

/// A convolution, or one that computes a gradient of another.
struct Convolution<'a> {
    shape: &'a ConvShape,
    /// `[images, in, rows, columns]`.
    x: &'a [f32],
    weight: WeightView<'a>,
    k_chunk: Option<usize>,
    epilogue: Option<&'a Epilogue<'a>>,
}

impl Convolution<'_> {
    /// The output `[images, out, rows, columns]`, with the epilogue applied.
    fn run(&self, algorithm: Algorithm) -> Vec<f32> {
        let Self {
            shape,
            x,
            weight,
            k_chunk,
            epilogue,
        } = *self;
        match algorithm {
            Algorithm::Amx => amx::convolve(shape, x, weight, epilogue),
            Algorithm::Winograd => winograd::convolve(shape, x, weight, k_chunk, epilogue),
            Algorithm::Direct => direct::convolve(shape, x, weight, epilogue),
            Algorithm::Pointwise => {
                pointwise::convolve(shape, x, weight.one_tap(), k_chunk, epilogue)
            }
            Algorithm::Im2col | Algorithm::Col2im | Algorithm::StridedParts => {
                let copy;
                let weight = match weight.as_matrix() {
                    Some(matrix) => matrix,
                    None => {
                        copy = weight.contiguous_copy(shape);
                        super::matrix::Matrix::row_major(&copy, shape.depth())
                    }
                };
                im2col_gemm::convolve(shape, x, weight, k_chunk, epilogue)
            }
        }
    }
}
