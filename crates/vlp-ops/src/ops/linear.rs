//! Linear layers, and logits tied to an embedding matrix: one matmul with a bias, with all leading axes flattened into one.
//!
//! Needed as long as burn multiplies a batch of sequences by one matmul per sequence, copies transposed embedding
//! matrices, and sums one gradient matrix per sequence.

use burn::nn::Linear;
use burn::prelude::*;

use crate::matmul;

/// `x weight + bias` over the last axis.
///
/// # Shapes
/// - `x`: `[.., in]`
/// - `weight`: `[in, out]`
/// - `bias`: `[out]`
/// - output: `[.., out]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    cpu_path! {
        use crate::autodiff::linear::{self as cpu, WeightLayout::InOut};
        if cpu::accepts(&x, &weight, bias.as_ref(), InOut) {
            return cpu::linear(x, weight, bias, InOut);
        }
    }
    gpu_path! {
        use crate::custom_grad::matmul::matmul;
        use crate::precision::operand_type;
        if operand_type().is_some() {
            let (mut dims, [depth, columns]) = (x.dims(), weight.dims());
            let rows = x.shape().num_elements() / depth.max(1);
            if let Some(y) = matmul(&x.clone().reshape([rows, depth]), &weight) {
                let y = match bias {
                    Some(bias) => y + bias.unsqueeze(),
                    None => y,
                };
                dims[D - 1] = columns;
                return y.reshape(dims);
            }
        }
    }
    burn::tensor::module::linear(x, weight, bias)
}

/// [`linear`] with the parameters of burn's layer.
///
/// # Shapes
/// - `x`: `[.., in]`
/// - output: `[.., out]`
pub fn linear_layer<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    linear(x, layer.weight.val(), bias)
}

/// `states tableᵀ + bias`: the logits of an output layer whose weight is tied to the embedding matrix `table`.
///
/// # Shapes
/// - `states`: `[rows, d]`
/// - `table`: `[n, d]`
/// - `bias`: `[n]`
/// - output: `[rows, n]`
pub fn tied_logits(states: Tensor<2>, table: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    cpu_path! {
        use crate::autodiff::linear::{self as cpu, WeightLayout::OutIn};
        if cpu::accepts(&states, &table, bias.as_ref(), OutIn) {
            return cpu::linear(states, table, bias, OutIn);
        }
    }
    let logits = matmul(states, table.transpose());
    match bias {
        Some(bias) => logits + bias.unsqueeze(),
        None => logits,
    }
}
