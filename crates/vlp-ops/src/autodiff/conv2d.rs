//! [`conv2d`](crate::conv2d()) on the CPU.

use burn::backend::autodiff::NodeId;

use super::prelude::*;
use crate::Conv2dGeometry;
use crate::cpu::conv::{self, ConvShape};
use crate::cpu::gemm::epilogue::Epilogue;

#[backend_extension(Flex, Autodiff)]
pub(super) trait ConvBackend: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Conv2dGeometry,
    ) -> FloatTensor<Self>;
}

pub(crate) fn conv2d(x: Tensor<4>, weight: Tensor<4>, geometry: Conv2dGeometry) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvBackend>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        geometry,
    ))
}

pub(super) fn conv_shape(x: &Array, weight: &Array, geometry: Conv2dGeometry) -> ConvShape {
    ConvShape::new(x.shape().dims(), weight.shape().dims(), geometry)
}

/// The output, with or without gradients to follow.
pub(super) fn forward(
    x: &Array,
    weight: &Array,
    shape: &ConvShape,
    training: bool,
    epilogue: Option<&Epilogue<'_>>,
) -> Array {
    conv::run(
        shape,
        conv::Operands::Forward {
            x: &contiguous(x),
            weight: &contiguous(weight),
            training,
            epilogue,
        },
    )
}

impl ConvBackend for Flex {
    fn convolve(x: Array, weight: Array, geometry: Conv2dGeometry) -> Array {
        let shape = conv_shape(&x, &weight, geometry);
        forward(&x, &weight, &shape, false, None)
    }
}

impl<C: CheckpointStrategy> ConvBackend for Autodiff<Flex, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Conv2dGeometry,
    ) -> FloatTensor<Self> {
        let shape = conv_shape(x.primitive(), weight.primitive(), geometry);
        let output = forward(x.primitive(), weight.primitive(), &shape, true, None);
        let inputs = [x.node(), weight.node()];
        record::<C, _, _>(
            inputs,
            output,
            |_, saver| State {
                x: weight.is_tracked().then(|| saver.checkpoint(&x)),
                weight: x.is_tracked().then(|| saver.checkpoint(&weight)),
                shape,
            },
            |state, grad, parents| backward(state, &grad, parents),
        )
    }
}

/// Inputs that a gradient needs.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) x: Option<NodeId>,
    pub(super) weight: Option<NodeId>,
    pub(super) shape: ConvShape,
}

/// Adds the gradients of parents 0, the input, and 1, the weight.
pub(super) fn backward<const N: usize>(state: State, grad: &Array, parents: &mut Parents<'_, N>) {
    let grad_output = &contiguous(grad);
    if let Some(weight) = state.weight.filter(|_| parents.is_tracked(0)) {
        let weight = &contiguous(&parents.saved(weight));
        let operands = conv::Operands::InputGrad {
            grad_output,
            weight,
        };
        parents.add_grad(0, conv::run(&state.shape, operands));
    }
    if let Some(x) = state.x.filter(|_| parents.is_tracked(1)) {
        let x = &contiguous(&parents.saved(x));
        let operands = conv::Operands::WeightGrad { grad_output, x };
        parents.add_grad(1, conv::run(&state.shape, operands));
    }
}
