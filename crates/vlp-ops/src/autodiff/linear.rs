//! [`linear`](crate::linear()) and [`tied_logits`](crate::tied_logits) on the CPU.

use burn::backend::autodiff::NodeId;

use super::prelude::*;
use crate::cpu::gemm::parallel::ParallelGemm;
use crate::cpu::matrix::Matrix;
use crate::cpu::sums::column_sums;
use crate::dispatch::takes_fast_path;

#[backend_extension(Flex, Autodiff)]
trait LinearBackend: Backend {
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layout: WeightLayout,
    ) -> FloatTensor<Self>;
}

/// How the weight is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightLayout {
    /// `[in, out]`.
    InOut,
    /// `[out, in]`: an embedding matrix.
    OutIn,
}

impl WeightLayout {
    /// `[in, out]` of a weight with these dimensions.
    fn in_out(self, [first, second]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::InOut => [first, second],
            Self::OutIn => [second, first],
        }
    }

    /// The weight as `[in, out]`.
    fn matrix(self, weight: &Array) -> Matrix<'_> {
        let [_, width] = weight.shape().dims();
        let weight = Matrix::row_major(as_slice(weight), width);
        match self {
            Self::InOut => weight,
            Self::OutIn => weight.transposed(),
        }
    }
}

pub(crate) fn accepts<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    layout: WeightLayout,
) -> bool {
    let [input, output] = layout.in_out(weight.dims());
    let bias_fits = bias.is_none_or(|bias| bias.dims() == [output] && takes_fast_path(bias));
    D > 0 && x.dims()[D - 1] == input && bias_fits && takes_fast_path(x) && takes_fast_path(weight)
}

pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    layout: WeightLayout,
) -> Tensor<D> {
    let bias = OptionalTensor::into_dispatch(bias, &x.device());
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let output = <Dispatch as LinearBackend>::linear_rows(x, weight, bias, layout);
    Tensor::from_dispatch(output)
}

impl LinearBackend for Flex {
    fn linear_rows(x: Array, weight: Array, bias: Array, layout: WeightLayout) -> Array {
        let [input, output] = layout.in_out(weight.shape().dims());
        let mut shape = x.shape();
        let rows = shape.num_elements() / input;
        let last = shape.rank() - 1;
        shape[last] = output;
        let (x, weight) = (contiguous(&x), contiguous(&weight));
        let bias = OptionalTensor::new(&bias);
        let gemm = ParallelGemm {
            shape: [rows, input, output],
            left: Matrix::row_major(as_slice(&x), input),
            right: layout.matrix(&weight),
            bias: bias.values(),
            k_chunk: None,
            epilogue: None,
        };
        from_vec(gemm.run(), shape)
    }
}

impl<C: CheckpointStrategy> LinearBackend for Autodiff<Flex, C> {
    fn linear_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layout: WeightLayout,
    ) -> FloatTensor<Self> {
        let arrays = [&x, &weight, &bias].map(|tensor| tensor.primitive().clone());
        let [x_array, weight_array, bias_array] = arrays;
        let output = Flex::linear_rows(x_array, weight_array, bias_array, layout);
        let inputs = [x.node(), weight.node(), bias.node()];
        record::<C, _, _>(
            inputs,
            output,
            |_, saver| State {
                x: weight.is_tracked().then(|| saver.checkpoint(&x)),
                weight: x.is_tracked().then(|| saver.checkpoint(&weight)),
                layout,
            },
            backward,
        )
    }
}

/// Inputs that a gradient needs.
#[derive(Debug, Clone)]
struct State {
    x: Option<NodeId>,
    weight: Option<NodeId>,
    layout: WeightLayout,
}

fn backward(state: State, grad: Array, parents: &mut Parents<'_, 3>) {
    let grad = contiguous(&grad);
    let mut shape = grad.shape();
    let grad_output = as_slice(&grad);
    let last = shape.rank() - 1;
    let output = shape[last];
    let rows = grad_output.len() / output;
    let grad_matrix = Matrix::row_major(grad_output, output);
    if let Some(weight) = state.weight.filter(|_| parents.is_tracked(0)) {
        let weight = contiguous(&parents.saved(weight));
        let input = weight.shape().num_elements() / output;
        let gemm = ParallelGemm {
            shape: [rows, output, input],
            left: grad_matrix,
            right: state.layout.matrix(&weight).transposed(),
            bias: None,
            k_chunk: None,
            epilogue: None,
        };
        shape[last] = input;
        parents.add_grad(0, from_vec(gemm.run(), shape));
    }
    if let Some(x) = state.x.filter(|_| parents.is_tracked(1)) {
        let x = contiguous(&parents.saved(x));
        let input = as_slice(&x).len() / rows;
        let x = Matrix::row_major(as_slice(&x), input);
        let (shape, left, right) = match state.layout {
            WeightLayout::InOut => ([input, rows, output], x.transposed(), grad_matrix),
            WeightLayout::OutIn => ([output, rows, input], grad_matrix.transposed(), x),
        };
        let gemm = ParallelGemm {
            shape,
            left,
            right,
            bias: None,
            k_chunk: None,
            epilogue: None,
        };
        parents.add_grad(1, from_vec(gemm.run(), [shape[0], shape[2]]));
    }
    if parents.is_tracked(2) {
        parents.add_grad(2, from_vec(column_sums(grad_output, output), [output]));
    }
}
