//! [`attention`](crate::attention()) of one kernel, with a gradient of two.

use burn::prelude::*;

use super::with_kernel_gradient;
use crate::composed::attention::Options;
use crate::cube::attention::{self as kernels, AttentionShape, Inputs};
use crate::cube::{primitive, primitives_of};
use crate::graph::autodiff_primitive;

/// Attention of `[query, key, value]` whose sizes match; `None` for tensors that are not f32 on a GPU, and for heads wider than
/// 128.
pub(crate) fn attention(inputs: &[Tensor<3>; 3], options: &Options) -> Option<Tensor<3>> {
    let [query, key, value] = inputs.each_ref().map(primitive);
    let arguments = Inputs {
        qkv: [query?, key?, value?],
        bias: match &options.bias {
            Some(bias) => Some(primitive(bias)?),
            None => None,
        },
        dropout: match options.dropout {
            Some(mask) => Some(mask.on_gpu(&inputs[0].device())?),
            None => None,
        },
        shape: shape(inputs, options)?,
    };
    let [output, log_sum_exp] = kernels::attention(arguments.clone())?;
    let y: Tensor<3> = output.tensor();
    if !inputs.iter().any(Tensor::is_autodiff) {
        return Some(y);
    }
    let [query, key, value] = inputs.each_ref().map(autodiff_primitive);
    let nodes = [query?, key?, value?];
    let results = primitives_of([output, log_sum_exp])?;
    Some(with_kernel_gradient(y, nodes, move |grad| {
        kernels::attention_backward(grad, results, arguments)
    }))
}

/// `None` if the sizes are too large.
fn shape(inputs: &[Tensor<3>; 3], options: &Options) -> Option<AttentionShape> {
    let is_counted = |bias: &Tensor<4>| u32::try_from(bias.shape().num_elements()).is_ok();
    if !options.bias.as_ref().is_none_or(is_counted) {
        return None;
    }
    let ([batch, queries, width], [_, keys, _]) = (inputs[0].dims(), inputs[1].dims());
    let shape = AttentionShape {
        batch,
        n_heads: options.n_heads,
        queries,
        keys,
        width,
    };
    shape.fits().then_some(shape)
}
