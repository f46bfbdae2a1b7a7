//! [`attention`](crate::attention()) of one kernel, with a gradient of two. In bf16 its operands are rounded, as those of products
//! are, and stored at half the size.

use burn::prelude::*;

use super::with_kernel_gradient;
use crate::composed::attention::Options;
use crate::cube::attention::{self as kernels, AttentionShape, Inputs};
use crate::cube::dropout::Mask;
use crate::cube::{Primitive, primitive, primitives_of};
use crate::graph::autodiff_primitive;
use crate::{from_activation_precision, to_activation_precision};

/// Attention of `[query, key, value]` whose sizes match; `None` for tensors that are not f32 on a GPU, and for heads wider than
/// 128.
pub(crate) fn attention(inputs: &[Tensor<3>; 3], options: &Options) -> Option<Tensor<3>> {
    if inputs.iter().any(|x| primitive(x).is_none()) {
        return None;
    }
    let stored = (inputs.each_ref()).map(|x| to_activation_precision(x.clone().without_autodiff()));
    let options = KernelOptions {
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
    let [output, log_sum_exp] = kernels::attention(options.clone().with(stored.clone())?)?;
    let output = to_activation_precision(output.tensor());
    let y = from_activation_precision(output.clone());
    if !inputs.iter().any(Tensor::is_autodiff) {
        return Some(y);
    }
    let [query, key, value] = inputs.each_ref().map(autodiff_primitive);
    let nodes = [query?, key?, value?];
    let [log_sum_exp] = primitives_of([log_sum_exp])?;
    // What is stored is moved into the kernels: a tensor that is dropped after them is an operation more for burn's fusion.
    Some(with_kernel_gradient(y, nodes, move |grad| {
        let results = [in_f32(output)?, log_sum_exp];
        kernels::attention_backward(grad, results, options.with(stored)?)
    }))
}

/// What the kernels need besides query, key and value.
#[derive(Clone)]
struct KernelOptions {
    bias: Option<Primitive>,
    /// The mask, and the table of its seed.
    dropout: Option<(Mask, Primitive)>,
    shape: AttentionShape,
}

impl KernelOptions {
    fn with(self, stored: [Tensor<3>; 3]) -> Option<Inputs> {
        let [query, key, value] = stored.map(in_f32);
        Some(Inputs {
            qkv: [query?, key?, value?],
            bias: self.bias,
            dropout: self.dropout,
            shape: self.shape,
        })
    }
}

/// A stored tensor as the kernels read it.
fn in_f32(stored: Tensor<3>) -> Option<Primitive> {
    primitive(&from_activation_precision(stored))
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
