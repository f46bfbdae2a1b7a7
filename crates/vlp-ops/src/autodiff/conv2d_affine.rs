//! [`conv2d_affine`](crate::conv2d_affine) on the CPU: the norm is an epilogue of the convolution instead of a separate
//! pass.

use super::affine::AffineBackend;
use super::conv2d::{self, ConvBackend, conv_shape, forward};
use super::prelude::*;
use crate::cpu::gemm::epilogue::Epilogue;
use crate::cpu::norm_relu::{self, ChannelGrad};
use crate::{Affine, Conv2dGeometry};

#[backend_extension(Flex, Autodiff)]
trait ConvAffineBackend: Backend {
    fn convolve_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Conv2dGeometry,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
}

pub(crate) fn conv2d_affine(
    x: Tensor<4>,
    weight: Tensor<4>,
    geometry: Conv2dGeometry,
    affine: Affine,
) -> Tensor<4> {
    let relu = affine.relu;
    let [scale, shift, shortcut] = affine.into_dispatch();
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as ConvAffineBackend>::convolve_affine(
        x, weight, geometry, scale, shift, shortcut, relu,
    ))
}

/// The output, with or without gradients to follow.
fn fused(
    [x, weight, scale, shift, shortcut]: [&Array; 5],
    geometry: Conv2dGeometry,
    relu: bool,
    training: bool,
) -> Array {
    let [scale, shift] = [scale, shift].map(contiguous);
    let shortcut = OptionalTensor::new(shortcut);
    let epilogue = Epilogue {
        scale: as_slice(&scale),
        shift: as_slice(&shift),
        shortcut: shortcut.values(),
        relu,
    };
    let shape = conv_shape(x, weight, geometry);
    forward(x, weight, &shape, training, Some(&epilogue))
}

impl ConvAffineBackend for Flex {
    fn convolve_affine(
        x: Array,
        weight: Array,
        geometry: Conv2dGeometry,
        scale: Array,
        shift: Array,
        shortcut: Array,
        relu: bool,
    ) -> Array {
        let arrays = [&x, &weight, &scale, &shift, &shortcut];
        fused(arrays, geometry, relu, false)
    }
}

impl<C: CheckpointStrategy> ConvAffineBackend for Autodiff<Flex, C> {
    fn convolve_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Conv2dGeometry,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        if scale.is_tracked() || shift.is_tracked() {
            // Their gradients need the output of the convolution itself.
            let y = Self::convolve(x, weight, geometry);
            return Self::channel_affine(y, scale, shift, shortcut, relu);
        }
        let inputs = [x.node(), weight.node(), shortcut.node()];
        let arrays = [&x, &weight, &scale, &shift, &shortcut].map(|tensor| tensor.primitive());
        let output = fused(arrays, geometry, relu, true);
        let shape = conv_shape(x.primitive(), weight.primitive(), geometry);
        record::<C, _, _>(
            inputs,
            output,
            |output, saver| State {
                conv: conv2d::State {
                    x: weight.is_tracked().then(|| saver.checkpoint(&x)),
                    weight: x.is_tracked().then(|| saver.checkpoint(&weight)),
                    shape,
                },
                scale: scale.primitive().clone(),
                output: relu.then(|| output.clone()),
            },
            backward,
        )
    }
}

#[derive(Debug, Clone)]
struct State {
    conv: conv2d::State,
    scale: Array,
    /// Behind a ReLU.
    output: Option<Array>,
}

fn backward(state: State, grad: Array, parents: &mut Parents<'_, 3>) {
    let scale = contiguous(&state.scale);
    let scale = as_slice(&scale);
    let channel_grad = |channel: usize, _| ChannelGrad {
        factor: scale[channel],
        statistics: None,
    };
    let output = state.output.as_ref();
    let with_shortcut = parents.is_tracked(2);
    let grads = norm_relu::backward(grad, output, None, with_shortcut, |_| 0.0, channel_grad);
    if let Some(grad) = grads.shortcut {
        parents.add_grad(2, grad);
    }
    conv2d::backward(state.conv, &grads.x, parents);
}
