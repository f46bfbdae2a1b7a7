//! [`affine`](crate::affine()) on the CPU.

use super::prelude::*;
use crate::Affine;
use crate::cpu::nchw_strips::NchwShape;
use crate::cpu::norm_relu::{self, ChannelAffine, ChannelGrad, write_strip};
use crate::dispatch::takes_fast_path;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait AffineBackend: Backend {
    fn channel_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
}

pub(crate) fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    let relu = affine.relu;
    let [scale, shift, shortcut] = affine.into_dispatch();
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as AffineBackend>::channel_affine(
        x, scale, shift, shortcut, relu,
    ))
}

impl Affine {
    /// Whether the fast path applies to an input of this shape.
    pub(crate) fn takes_fast_path(&self, shape: [usize; 4]) -> bool {
        let per_channel = |line: &Tensor<1>| line.dims() == [shape[1]] && takes_fast_path(line);
        let shortcut = self.shortcut.as_ref();
        per_channel(&self.scale)
            && per_channel(&self.shift)
            && shortcut.is_none_or(|shortcut| shortcut.dims() == shape && takes_fast_path(shortcut))
    }

    /// Scale, shift and shortcut.
    pub(crate) fn into_dispatch(self) -> [FloatTensor<Dispatch>; 3] {
        let device = self.scale.device();
        [
            self.scale.into_dispatch(),
            self.shift.into_dispatch(),
            OptionalTensor::into_dispatch(self.shortcut, &device),
        ]
    }
}

impl AffineBackend for Flex {
    fn channel_affine(x: Array, scale: Array, shift: Array, shortcut: Array, relu: bool) -> Array {
        let [x, scale, shift] = [x, scale, shift].map(|array| contiguous(&array));
        let shortcut = OptionalTensor::new(&shortcut);
        let (input, scales, shifts) = (as_slice(&x), as_slice(&scale), as_slice(&shift));
        let shortcut = shortcut.values();
        let (output, _) = NchwShape::of(&x).alloc_strips(
            #[inline(always)]
            |strip, out| {
                let affine = |channel: usize| ChannelAffine {
                    mean: 0.0,
                    scale: scales[channel],
                    shift: shifts[channel],
                };
                let affines: Vec<_> = strip.channels.clone().map(affine).collect();
                write_strip(&strip, out, input, shortcut, relu, &affines);
            },
        );
        from_vec(output, x.shape())
    }
}

impl<C: CheckpointStrategy> AffineBackend for Autodiff<Flex, C> {
    fn channel_affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let inputs = [x.node(), scale.node(), shift.node(), shortcut.node()];
        let needs_x = scale.is_tracked() || shift.is_tracked();
        let [x, scale, shift, shortcut] =
            [&x, &scale, &shift, &shortcut].map(|tensor| tensor.primitive().clone());
        let output = Flex::channel_affine(x.clone(), scale.clone(), shift, shortcut, relu);
        record::<C, _, _>(
            inputs,
            output,
            |output, _| State {
                x: needs_x.then_some(x),
                scale,
                output: relu.then(|| output.clone()),
            },
            backward,
        )
    }
}

#[derive(Debug, Clone)]
struct State {
    /// If the scale or the shift is trained.
    x: Option<Array>,
    scale: Array,
    /// Behind a ReLU.
    output: Option<Array>,
}

fn backward(state: State, grad: Array, parents: &mut Parents<'_, 4>) {
    let (x, scale) = (state.x.as_ref().map(contiguous), contiguous(&state.scale));
    let scales = as_slice(&scale);
    let channel_grad = |channel: usize, _| ChannelGrad {
        factor: scales[channel],
        statistics: None,
    };
    let output = state.output.as_ref();
    let with_shortcut = parents.is_tracked(3);
    let grads = norm_relu::backward(
        grad,
        output,
        x.as_ref(),
        with_shortcut,
        |_| 0.0,
        channel_grad,
    );
    let channel_sums = |index: usize| {
        let sums = grads.sums.iter().map(|sums| sums[index] as f32).collect();
        from_vec(sums, [scales.len()])
    };
    for (parent, sum) in [(1, 1), (2, 0)] {
        if parents.is_tracked(parent) {
            parents.add_grad(parent, channel_sums(sum));
        }
    }
    parents.add_grad(0, grads.x);
    if let Some(grad) = grads.shortcut {
        parents.add_grad(3, grad);
    }
}
