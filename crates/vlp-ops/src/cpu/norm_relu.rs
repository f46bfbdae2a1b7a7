//! Norms in a residual network: one affine function per channel, shortcut and ReLU in one pass, and the gradient.

use burn::backend::TensorMetadata;

use super::nchw_strips::{ImageSlices, NchwShape, Strip};
use super::simd::sum2;
use super::tensor::{Array, as_slice, from_vec, into_writable};

/// ReLU if `relu`, else the identity. NaN stays NaN, as in burn.
#[inline(always)]
pub(crate) fn relu_if(relu: bool) -> impl Fn(f32) -> f32 {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    move |y| if y < floor { floor } else { y }
}

/// Sum of `f` over two planes: chunks in f32, added in f64.
#[inline(always)]
fn plane_sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    /// 256 values a lane.
    const CHUNK: usize = 4096;
    let mut total = 0.0;
    for (a, b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
        total += f64::from(sum2(a, b, &f));
    }
    total
}

/// The affine function that a norm applies to a channel: `(x - mean) * scale + shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelAffine {
    pub(crate) mean: f32,
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

/// Mean and biased variance of each channel of a strip.
#[inline(always)]
pub(crate) fn channel_moments(
    strip: &Strip,
    x: &[f32],
    values_per_channel: usize,
) -> Vec<(f32, f32)> {
    let scale = 1.0 / values_per_channel as f64;
    let sums = strip.channel_sums(
        #[inline(always)]
        |_, plane| plane_sum(&x[plane.clone()], &x[plane], |x, _| x),
    );
    let means: Vec<f32> = sums.iter().map(|sum| (sum * scale) as f32).collect();
    let squares = strip.channel_sums(
        #[inline(always)]
        |channel, plane| {
            let mean = means[channel];
            let square = |x: f32, _| (x - mean) * (x - mean);
            plane_sum(&x[plane.clone()], &x[plane], square)
        },
    );
    let variances = squares.iter().map(|sum| (sum * scale) as f32);
    means.iter().copied().zip(variances).collect()
}

/// Writes a strip: each channel's affine function of `x`, plus the shortcut, through ReLU if `relu`.
#[inline(always)]
pub(crate) fn write_strip(
    strip: &Strip,
    out: ImageSlices<'_>,
    x: &[f32],
    shortcut: Option<&[f32]>,
    relu: bool,
    affines: &[ChannelAffine],
) {
    let activation = relu_if(relu);
    for (image, out) in out.into_iter().enumerate() {
        let planes = out.chunks_exact_mut(strip.area()).zip(affines);
        for (channel, (out, affine)) in planes.enumerate() {
            let ChannelAffine { mean, scale, shift } = *affine;
            let plane = strip.plane(image, channel);
            let x = &x[plane.clone()];
            let affine = |x: f32| (x - mean) * scale + shift;
            match shortcut {
                None => map(out, x, x, |_, x, _| activation(affine(x))),
                Some(shortcut) => {
                    let add = |_, x, shortcut| activation(affine(x) + shortcut);
                    map(out, x, &shortcut[plane], add);
                }
            }
        }
    }
}

/// `out = f(out, a, b)`.
#[inline(always)]
fn map(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32, f32) -> f32) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = f(*out, *a, *b);
    }
}

/// How the gradient of a channel's input follows from `dy`, the gradient of its output (before ReLU and shortcut).
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChannelGrad {
    pub(crate) factor: f32,
    /// `[mean_dy, mean_dy_xhat]` where the norm takes its statistics from the batch: the gradient is then
    /// `factor * (dy - mean_dy - (x - mean) * mean_dy_xhat)`, else `factor * dy`.
    pub(crate) statistics: Option<[f32; 2]>,
}

/// Result of [`backward`].
pub(crate) struct NormGrads {
    pub(crate) x: Array,
    /// If requested.
    pub(crate) shortcut: Option<Array>,
    /// For each channel the sums of `dy` and of `dy * (x - mean)`; empty without `x`.
    pub(crate) sums: Vec<[f64; 2]>,
}

/// Gradients of the input and, if `with_shortcut`, of the shortcut.
///
/// `grad` is the gradient of the output; its buffer is reused unless it is shared. `output` is needed behind a ReLU, `x`
/// where sums are needed. `channel_grad` gets the channel and its sums.
pub(crate) fn backward(
    grad: Array,
    output: Option<&Array>,
    x: Option<&Array>,
    with_shortcut: bool,
    mean: impl Fn(usize) -> f32 + Sync,
    channel_grad: impl Fn(usize, [f64; 2]) -> ChannelGrad + Sync,
) -> NormGrads {
    let mut grad = into_writable(grad);
    let shape = NchwShape::of(&grad);
    let (output, x) = (output.map(as_slice), x.map(as_slice));
    // The gradient of x overwrites that of the output, unless the latter becomes the shortcut's.
    let mut separate = Vec::new();
    if with_shortcut {
        separate.resize(shape.channels * shape.values_per_channel(), 0.0);
    }
    let sums = shape.for_strips(
        grad.storage_mut::<f32>(),
        &mut separate,
        #[inline(always)]
        |strip, mut grads, separate| {
            let mut sums = vec![[0.0; 2]; strip.channels.len()];
            for (image, grad) in grads.iter_mut().enumerate() {
                for (channel, grad) in grad.chunks_exact_mut(shape.area).enumerate() {
                    let plane = strip.plane(image, channel);
                    if let Some(output) = output {
                        // NaN outputs let the gradient pass, as in burn.
                        let mask = |dy: f32, y: f32, _| if y <= 0.0 { 0.0 } else { dy };
                        map(grad, &output[plane.clone()], &output[plane.clone()], mask);
                    }
                    if let Some(x) = x {
                        let mean = mean(strip.channels.start + channel);
                        let sums = &mut sums[channel];
                        sums[0] += plane_sum(grad, grad, |dy, _| dy);
                        sums[1] += plane_sum(grad, &x[plane], |dy, x| dy * (x - mean));
                    }
                }
            }
            let channel_grads: Vec<ChannelGrad> = strip
                .channels
                .clone()
                .zip(&sums)
                .map(|(channel, sums)| channel_grad(channel, *sums))
                .collect();
            let mut separate = separate.into_iter();
            for (image, grad) in grads.into_iter().enumerate() {
                let out = match separate.next() {
                    Some(out) => {
                        out.copy_from_slice(grad);
                        out
                    }
                    None => grad,
                };
                let planes = out.chunks_exact_mut(shape.area).zip(&channel_grads);
                for (channel, (out, channel_grad)) in planes.enumerate() {
                    let ChannelGrad { factor, statistics } = *channel_grad;
                    match (statistics, x) {
                        (Some([mean_dy, mean_dy_xhat]), Some(x)) => {
                            let mean = mean(strip.channels.start + channel);
                            let x = &x[strip.plane(image, channel)];
                            map(out, x, x, |dy, x, _| {
                                factor * (dy - mean_dy - (x - mean) * mean_dy_xhat)
                            });
                        }
                        _ => {
                            for out in out {
                                *out *= factor;
                            }
                        }
                    }
                }
            }
            sums
        },
    );
    let sums = sums.into_iter().flatten().collect();
    let (x, shortcut) = match with_shortcut {
        true => (from_vec(separate, grad.shape()), Some(grad)),
        false => (grad, None),
    };
    NormGrads { x, shortcut, sums }
}
