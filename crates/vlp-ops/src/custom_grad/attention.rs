//! [`attention`](crate::attention()) of one kernel, with a gradient of two.

use burn::backend::Cube;
use burn::prelude::*;

use super::with_gradient;
use crate::capture::Value;
use crate::composed::attention::Options;
use crate::cube::attention::{self as kernels, AttentionShape, Inputs};
use crate::cube::{primitive, primitives_of};
use crate::graph::autodiff_primitive;

/// Attention of `[query, key, value]`; `None` for tensors that are not f32 on a GPU, and for heads wider than 128.
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
    Some(with_gradient::<Cube, 3, 3>(y, nodes, move |grad| {
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        let grads = primitive(&grad)
            .and_then(|grad| kernels::attention_backward(grad, results, arguments))
            .expect("gradients on the output's device");
        grads.map(Value::into_dispatch)
    }))
}

/// `None` if the sizes do not match, or are too large.
fn shape([query, key, value]: &[Tensor<3>; 3], options: &Options) -> Option<AttentionShape> {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    let bias_fits = options.bias.as_ref().is_none_or(|bias| {
        let [b, h, q, k] = bias.dims();
        (b == 1 || b == batch) && h == 1 && (q == 1 || q == queries) && k == keys
    });
    let inputs_fit = key.dims() == [batch, keys, width] && value.dims() == key.dims();
    let shape = AttentionShape {
        batch,
        n_heads: options.n_heads,
        queries,
        keys,
        width,
    };
    (bias_fits && inputs_fit && shape.fits()).then_some(shape)
}
