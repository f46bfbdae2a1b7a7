//! [`batch_norm`](crate::batch_norm()) on the CPU.

use super::prelude::*;
use crate::BatchNormOutput;
use crate::cpu::nchw_strips::NchwShape;
use crate::cpu::norm_relu::{self, ChannelAffine, ChannelGrad, channel_moments, write_strip};

#[backend_extension(Flex, Autodiff)]
trait BatchNormBackend: Backend {
    #[allow(clippy::type_complexity)]
    fn channel_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

pub(crate) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    shortcut: Option<Tensor<4>>,
    relu: bool,
) -> BatchNormOutput {
    let shortcut = OptionalTensor::into_dispatch(shortcut, &x.device());
    let (x, gamma, beta) = (
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    );
    let (output, mean, variance) =
        <Dispatch as BatchNormBackend>::channel_norm(x, gamma, beta, shortcut, epsilon, relu);
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// `1 / sqrt(variance + epsilon)`.
fn inverse_deviation(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}

impl BatchNormBackend for Flex {
    fn channel_norm(
        x: Array,
        gamma: Array,
        beta: Array,
        shortcut: Array,
        epsilon: f64,
        relu: bool,
    ) -> (Array, Array, Array) {
        let shape = NchwShape::of(&x);
        let [x, gamma, beta] = [x, gamma, beta].map(|array| contiguous(&array));
        let shortcut = OptionalTensor::new(&shortcut);
        let (input, gammas, betas) = (as_slice(&x), as_slice(&gamma), as_slice(&beta));
        let shortcut = shortcut.values();
        let (output, moments) = shape.alloc_strips(
            #[inline(always)]
            |strip, out| {
                let moments = channel_moments(&strip, input, shape.values_per_channel());
                let channels = strip.channels.clone().zip(&moments);
                let affines: Vec<_> = channels
                    .map(|(channel, (mean, variance))| ChannelAffine {
                        mean: *mean,
                        scale: gammas[channel] * inverse_deviation(*variance, epsilon),
                        shift: betas[channel],
                    })
                    .collect();
                write_strip(&strip, out, input, shortcut, relu, &affines);
                moments
            },
        );
        let (mean, variance) = moments.into_iter().flatten().unzip();
        let per_channel = |values| from_vec(values, [shape.channels]);
        (
            from_vec(output, x.shape()),
            per_channel(mean),
            per_channel(variance),
        )
    }
}

impl<C: CheckpointStrategy> BatchNormBackend for Autodiff<Flex, C> {
    fn channel_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [x.node(), gamma.node(), beta.node(), shortcut.node()];
        let [x, gamma, beta, shortcut] =
            [&x, &gamma, &beta, &shortcut].map(|tensor| tensor.primitive().clone());
        let (output, mean, variance) =
            Flex::channel_norm(x.clone(), gamma.clone(), beta, shortcut, epsilon, relu);
        let state = |output: &Array, _: &mut _| State {
            x,
            gamma,
            mean: mean.clone(),
            variance: variance.clone(),
            epsilon,
            output: relu.then(|| output.clone()),
        };
        (
            record::<C, _, _>(inputs, output, state, backward),
            Self::FloatTensorPrimitive::new(mean),
            Self::FloatTensorPrimitive::new(variance),
        )
    }
}

#[derive(Debug, Clone)]
struct State {
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    epsilon: f64,
    /// Behind a ReLU.
    output: Option<Array>,
}

fn backward(state: State, grad: Array, parents: &mut Parents<'_, 4>) {
    let (x, gamma) = (contiguous(&state.x), contiguous(&state.gamma));
    let (gammas, means) = (as_slice(&gamma), as_slice(&state.mean));
    let variances = as_slice(&state.variance);
    let scale_of_sum = 1.0 / NchwShape::of(&x).values_per_channel() as f64;
    let channel_grad = |channel: usize, [sum_dy, sum_dy_x]: [f64; 2]| {
        let scale = inverse_deviation(variances[channel], state.epsilon);
        let mean_dy_xhat = sum_dy_x * scale_of_sum * f64::from(scale).powi(2);
        ChannelGrad {
            factor: gammas[channel] * scale,
            statistics: Some([(sum_dy * scale_of_sum) as f32, mean_dy_xhat as f32]),
        }
    };
    let grads = norm_relu::backward(
        grad,
        state.output.as_ref(),
        Some(&x),
        parents.is_tracked(3),
        |channel| means[channel],
        channel_grad,
    );
    let sums = grads.sums.iter().zip(variances);
    let (grad_gamma, grad_beta): (Vec<f32>, Vec<f32>) = sums
        .map(|([sum_dy, sum_dy_x], variance)| {
            let scale = f64::from(inverse_deviation(*variance, state.epsilon));
            ((sum_dy_x * scale) as f32, *sum_dy as f32)
        })
        .unzip();
    let channels = [means.len()];
    parents.add_grad(0, grads.x);
    parents.add_grad(1, from_vec(grad_gamma, channels));
    parents.add_grad(2, from_vec(grad_beta, channels));
    if let Some(grad) = grads.shortcut {
        parents.add_grad(3, grad);
    }
}
