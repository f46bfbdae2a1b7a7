//! A trained batch norm (Ioffe & Szegedy 2015) with what follows it in a residual network: shortcut and ReLU.
//!
//! Needed as long as burn's CPU backend runs each of the three as passes of its own on one thread.

use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;

/// What [`batch_norm`] gives.
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// `[batch, channels, h, w]`.
    pub output: Tensor<4>,
    /// Of the batch, `[channels]`, without gradient.
    pub mean: Tensor<1>,
    /// Of the batch, biased, `[channels]`, without gradient.
    pub variance: Tensor<1>,
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` with the mean and the biased variance of each channel of the
/// batch, plus the shortcut, through ReLU where `rectify`; `x` and the shortcut `[batch, channels, h, w]`, `gamma` and
/// `beta` `[channels]`.
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    shortcut: Option<Tensor<4>>,
    rectify: bool,
) -> BatchNormOutput {
    #[cfg(feature = "flex")]
    {
        use crate::route::fast;
        let [_, channels, _, _] = x.dims();
        let same = shortcut
            .as_ref()
            .is_none_or(|s| s.dims() == x.dims() && fast(s));
        let fits = gamma.dims() == [channels] && beta.dims() == [channels];
        if same && fits && fast(&x) && fast(&gamma) && fast(&beta) {
            return fast::batch_norm(x, gamma, beta, epsilon, shortcut, rectify);
        }
    }
    let normed = batch_norm_train(x, gamma, beta, epsilon);
    let y = match shortcut {
        Some(shortcut) => normed.output + shortcut,
        None => normed.output,
    };
    BatchNormOutput {
        output: if rectify { relu(y) } else { y },
        mean: normed.mean,
        variance: normed.variance,
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use super::BatchNormOutput;
    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, values};
    use crate::maps::Maps;
    use crate::residual::{Line, Slope, plane_sum, pull, write};

    #[backend_extension(Flex, Autodiff)]
    trait BatchNormBackend: Backend {
        #[allow(clippy::type_complexity)]
        fn channel_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            epsilon: f64,
            rectify: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn batch_norm(
        x: Tensor<4>,
        gamma: Tensor<1>,
        beta: Tensor<1>,
        epsilon: f64,
        shortcut: Option<Tensor<4>>,
        rectify: bool,
    ) -> BatchNormOutput {
        // The extension takes no optional tensors: an empty one stands for none.
        let shortcut = shortcut.unwrap_or_else(|| Tensor::empty([0; 4], &x.device()));
        let (x, shortcut) = (x.into_dispatch(), shortcut.into_dispatch());
        let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
        let (output, mean, variance) = <Dispatch as BatchNormBackend>::channel_norm(
            x, gamma, beta, shortcut, epsilon, rectify,
        );
        BatchNormOutput {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        }
    }

    /// `1 / sqrt(variance + epsilon)`.
    fn scale(variance: f32, epsilon: f64) -> f32 {
        (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
    }

    impl BatchNormBackend for Flex {
        fn channel_norm(
            x: Array,
            gamma: Array,
            beta: Array,
            shortcut: Array,
            epsilon: f64,
            rectify: bool,
        ) -> (Array, Array, Array) {
            let maps = Maps::of(&x);
            let [x, gamma, beta, shortcut] = [x, gamma, beta, shortcut].map(|t| dense(&t));
            let (source, gain, offset) = (values(&x), values(&gamma), values(&beta));
            let shortcut = Some(values(&shortcut)).filter(|s| !s.is_empty());
            let share = 1.0 / maps.count() as f64;
            let (out, moments) = maps.made(
                #[inline(always)]
                |strip, out| {
                    let sums = strip.sums(
                        #[inline(always)]
                        |_, at| plane_sum(&source[at.clone()], &source[at], |x, _| x),
                    );
                    let means: Vec<f32> = sums.iter().map(|sum| (sum * share) as f32).collect();
                    let squares = strip.sums(
                        #[inline(always)]
                        |channel, at| {
                            let mean = means[channel];
                            let square = |x: f32, _| (x - mean) * (x - mean);
                            plane_sum(&source[at.clone()], &source[at], square)
                        },
                    );
                    let variances = squares.iter().map(|sum| (sum * share) as f32);
                    let moments: Vec<(f32, f32)> = means.iter().copied().zip(variances).collect();
                    let channels = strip.channels.clone().zip(&moments);
                    let lines: Vec<Line> = channels
                        .map(|(channel, (mean, variance))| Line {
                            mean: *mean,
                            scale: gain[channel] * scale(*variance, epsilon),
                            shift: offset[channel],
                        })
                        .collect();
                    write(&strip, out, source, shortcut, rectify, &lines);
                    moments
                },
            );
            let (mean, variance) = moments.into_iter().flatten().unzip();
            let per_channel = |values| array(values, [maps.channels]);
            (
                array(out, x.shape()),
                per_channel(mean),
                per_channel(variance),
            )
        }
    }

    #[derive(Debug)]
    struct ChannelNorm;

    /// What the gradient needs.
    #[derive(Debug, Clone)]
    struct Kept {
        x: Array,
        gamma: Array,
        mean: Array,
        variance: Array,
        epsilon: f64,
        /// Only behind ReLU.
        output: Option<Array>,
    }

    impl Backward<Flex, 4> for ChannelNorm {
        type State = Kept;

        fn backward(self, ops: Ops<Kept, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node);
            let [to_x, to_gamma, to_beta, to_shortcut] =
                ops.parents.map(|node| node.map(|node| node.id));
            let kept = ops.state;
            let (x, gamma) = (dense(&kept.x), dense(&kept.gamma));
            let (gain, means) = (values(&gamma), values(&kept.mean));
            let variances = values(&kept.variance);
            let share = 1.0 / Maps::of(&x).count() as f64;
            let slope = |channel: usize, [sum, product]: [f64; 2]| {
                let scale = scale(variances[channel], kept.epsilon);
                let tilt = product * share * f64::from(scale).powi(2);
                Slope {
                    factor: gain[channel] * scale,
                    statistics: Some([(sum * share) as f32, tilt as f32]),
                }
            };
            let pulled = pull(
                grad,
                kept.output.as_ref(),
                Some(&x),
                to_shortcut.is_some(),
                |channel| means[channel],
                slope,
            );
            let sums = pulled.sums.iter().zip(variances);
            let (to_gain, to_offset): (Vec<f32>, Vec<f32>) = sums
                .map(|([sum, product], variance)| {
                    let scale = f64::from(scale(*variance, kept.epsilon));
                    ((product * scale) as f32, *sum as f32)
                })
                .unzip();
            let channels = [means.len()];
            if let Some(node) = to_x {
                grads.register::<Flex>(node, pulled.x);
            }
            if let Some(node) = to_gamma {
                grads.register::<Flex>(node, array(to_gain, channels));
            }
            if let Some(node) = to_beta {
                grads.register::<Flex>(node, array(to_offset, channels));
            }
            if let (Some(node), Some(grad)) = (to_shortcut, pulled.shortcut) {
                grads.register::<Flex>(node, grad);
            }
        }
    }

    impl<C: CheckpointStrategy> BatchNormBackend for Autodiff<Flex, C> {
        fn channel_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            epsilon: f64,
            rectify: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let nodes = [x.node(), gamma.node(), beta.node(), shortcut.node()];
            let [x, gamma, beta, shortcut] =
                [&x, &gamma, &beta, &shortcut].map(|t| t.primitive().clone());
            let (output, mean, variance) =
                Flex::channel_norm(x.clone(), gamma.clone(), beta, shortcut, epsilon, rectify);
            let kept = Kept {
                x,
                gamma,
                mean: mean.clone(),
                variance: variance.clone(),
                epsilon,
                output: rectify.then(|| output.clone()),
            };
            let output = match ChannelNorm.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(kept, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            };
            (
                output,
                Self::FloatTensorPrimitive::new(mean),
                Self::FloatTensorPrimitive::new(variance),
            )
        }
    }
}
