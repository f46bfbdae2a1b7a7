//! [`attention`](crate::attention()) on the CPU.

use super::prelude::*;
use crate::DropoutMask;
use crate::cpu::attention::{self as kernels, AttentionShape, Inputs};
use crate::dispatch::takes_fast_path;

#[backend_extension(Flex, Autodiff)]
trait AttentionBackend: Backend {
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        dropout: Option<DropoutMask>,
        n_heads: usize,
    ) -> FloatTensor<Self>;
}

/// Whether the CPU fast path applies to tensors whose sizes match.
pub(crate) fn accepts(inputs: [&Tensor<3>; 3], bias: Option<&Tensor<4>>) -> bool {
    bias.is_none_or(takes_fast_path) && inputs.into_iter().all(takes_fast_path)
}

pub(crate) fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Option<Tensor<4>>,
    dropout: Option<DropoutMask>,
    n_heads: usize,
) -> Tensor<3> {
    let bias = OptionalTensor::into_dispatch(bias, &query.device());
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as AttentionBackend>::attend(
        query, key, value, bias, dropout, n_heads,
    ))
}

/// Arguments of the forward and the backward pass.
#[derive(Debug, Clone)]
struct Operands {
    query: Array,
    key: Array,
    value: Array,
    bias: OptionalTensor,
    dropout: Option<DropoutMask>,
    shape: AttentionShape,
}

impl Operands {
    fn new(
        [query, key, value, bias]: [&Array; 4],
        dropout: Option<DropoutMask>,
        n_heads: usize,
    ) -> Self {
        let [batch, queries, width] = query.shape().dims();
        let [_, keys, _]: [usize; 3] = key.shape().dims();
        let [bias_batch, _, bias_rows, _]: [usize; 4] = bias.shape().dims();
        Self {
            query: contiguous(query),
            key: contiguous(key),
            value: contiguous(value),
            bias: OptionalTensor::new(bias),
            dropout,
            shape: AttentionShape {
                batch,
                n_heads,
                queries,
                keys,
                width,
                bias: [bias_batch, bias_rows],
            },
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            query: as_slice(&self.query),
            key: as_slice(&self.key),
            value: as_slice(&self.value),
            bias: self.bias.values(),
            dropout: self.dropout,
        }
    }

    /// The output, and the values from which the backward pass recomputes the attention weights.
    fn forward(&self) -> (Array, Vec<f32>) {
        let (output, log_sum_exp) = kernels::forward(&self.shape, &self.inputs());
        (from_vec(output, self.query.shape()), log_sum_exp)
    }
}

impl AttentionBackend for Flex {
    fn attend(
        query: Array,
        key: Array,
        value: Array,
        bias: Array,
        dropout: Option<DropoutMask>,
        n_heads: usize,
    ) -> Array {
        let operands = Operands::new([&query, &key, &value, &bias], dropout, n_heads);
        operands.forward().0
    }
}

impl<C: CheckpointStrategy> AttentionBackend for Autodiff<Flex, C> {
    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        dropout: Option<DropoutMask>,
        n_heads: usize,
    ) -> FloatTensor<Self> {
        let arrays = [&query, &key, &value, &bias].map(|tensor| tensor.primitive());
        let operands = Operands::new(arrays, dropout, n_heads);
        let (output, log_sum_exp) = operands.forward();
        let inputs = [query.node(), key.node(), value.node()];
        let state = |output: &Array, _: &mut _| (operands, output.clone(), log_sum_exp);
        record::<C, _, _>(inputs, output, state, backward)
    }
}

fn backward(
    (operands, output, log_sum_exp): (Operands, Array, Vec<f32>),
    grad: Array,
    parents: &mut Parents<'_, 3>,
) {
    let grad = contiguous(&grad);
    let grads = kernels::backward(
        &operands.shape,
        &operands.inputs(),
        as_slice(&output),
        &log_sum_exp,
        as_slice(&grad),
    );
    let inputs = [&operands.query, &operands.key, &operands.value];
    for (i, (grad, input)) in grads.into_iter().zip(inputs).enumerate() {
        parents.add_grad(i, from_vec(grad, input.shape()));
    }
}
