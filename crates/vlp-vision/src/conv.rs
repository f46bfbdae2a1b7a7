//! Convolution as the backbone uses it, with its norm.

use burn::module::RunningState;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::*;
use vlp_ops::{Affine, Window, batch_norm, recomputing};

/// A square convolution without bias followed by a batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution; weight `[out, in, kernel, kernel]`.
    pub conv: Conv2d,
    /// Its norm, frozen or trained.
    pub norm: BatchNorm,
}

/// Shape of a [`ConvNorm`].
#[derive(Debug, Clone, Copy)]
pub struct ConvSpec {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride along both axes.
    pub stride: usize,
    /// Dilation along both axes; padding keeps the map's size at stride 1.
    pub dilation: usize,
}

impl ConvSpec {
    /// A 1x1 convolution.
    pub fn pointwise(input: usize, output: usize, stride: usize) -> Self {
        Self {
            input,
            output,
            kernel: 1,
            stride,
            dilation: 1,
        }
    }

    /// A 3x3 convolution.
    pub fn three(input: usize, output: usize, stride: usize, dilation: usize) -> Self {
        Self {
            input,
            output,
            kernel: 3,
            stride,
            dilation,
        }
    }

    /// Builds the layer.
    pub fn init(&self, device: &Device) -> ConvNorm {
        let pad = self.dilation * (self.kernel - 1) / 2;
        let conv = Conv2dConfig::new([self.input, self.output], [self.kernel, self.kernel])
            .with_stride([self.stride, self.stride])
            .with_dilation([self.dilation, self.dilation])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(false)
            .init(device);
        ConvNorm {
            conv,
            norm: BatchNormConfig::new(self.output).init(device),
        }
    }
}

impl ConvNorm {
    /// `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_copies(x, 1)
    }

    /// As [`Self::forward`], then ReLU.
    pub(crate) fn forward_relu(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(x, 1, None, true)
    }

    /// As [`Self::forward`], plus the shortcut, then ReLU.
    pub(crate) fn forward_joined(&self, x: Tensor<4>, shortcut: Tensor<4>) -> Tensor<4> {
        self.forward_with(x, 1, Some(shortcut), true)
    }

    /// As [`Self::forward`] of a batch that stands for `copies` times itself: only the estimate of the running
    /// variance depends on it.
    pub fn forward_copies(&self, x: Tensor<4>, copies: usize) -> Tensor<4> {
        self.forward_with(x, copies, None, false)
    }

    fn forward_with(
        &self,
        x: Tensor<4>,
        copies: usize,
        shortcut: Option<Tensor<4>>,
        rectify: bool,
    ) -> Tensor<4> {
        let norm = &self.norm;
        let device = x.device();
        if device.is_autodiff() && norm.training.is_enabled() {
            let x = conv2d(&self.conv, x);
            return train_norm(norm, x, copies, shortcut, rectify);
        }
        // One scale and one shift a channel in torchvision's order (`FrozenBatchNorm2d`): rounded as pre-trained
        // weights have seen it.
        let mean = norm.running_mean.value().to_device(&device);
        let variance = norm.running_var.value().to_device(&device);
        let scale = norm.gamma.val() * variance.add_scalar(norm.epsilon).sqrt().recip();
        let shift = norm.beta.val() - mean * scale.clone();
        let after = Affine {
            scale,
            shift,
            shortcut,
            relu: rectify,
        };
        match window(&self.conv) {
            Some(window) => vlp_ops::conv2d_affine(x, self.conv.weight.val(), window, after),
            None => vlp_ops::affine(self.conv.forward(x), after),
        }
    }
}

/// `norm.forward(x)` in training, plus the shortcut, through ReLU where `rectify`, with running variances estimated as
/// PyTorch does: the output is normalised by the batch's biased variance, the running variance takes the unbiased one.
fn train_norm(
    norm: &BatchNorm,
    x: Tensor<4>,
    copies: usize,
    shortcut: Option<Tensor<4>>,
    rectify: bool,
) -> Tensor<4> {
    let [n, _, h, w] = x.dims();
    let device = x.device();
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let result = batch_norm(x, gamma, beta, norm.epsilon, shortcut, rectify);
    let count = (copies * n * h * w) as f64;
    if recomputing() {
        // The first pass has counted this batch.
        return result.output;
    }
    // Read, then written once: batches on other threads never see half an update.
    let follow = |state: &RunningState<Tensor<1>>, batch: Tensor<1>| {
        let old = state
            .value_sync()
            .to_device(&device)
            .mul_scalar(1.0 - norm.momentum);
        state.update((old + batch.detach().mul_scalar(norm.momentum)).detach());
    };
    follow(&norm.running_mean, result.mean);
    follow(
        &norm.running_var,
        // Of one value the unbiased variance is unknown: it stays the biased one, 0.
        result.variance.mul_scalar(count / (count - 1.0).max(1.0)),
    );
    result.output
}

/// `conv.forward(x)`, by the fast operation where it holds.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    match window(conv) {
        Some(window) => vlp_ops::conv2d(x, conv.weight.val(), window),
        None => conv.forward(x),
    }
}

/// How the convolution's window moves, where it has no groups, no bias, and padding alike on opposite sides.
fn window(conv: &Conv2d) -> Option<Window> {
    match (&conv.padding, conv.groups, &conv.bias) {
        (PaddingConfig2d::Explicit(top, left, bottom, right), 1, None)
            if top == bottom && left == right =>
        {
            Some(Window {
                stride: conv.stride,
                padding: [*top, *left],
                dilation: conv.dilation,
            })
        }
        _ => None,
    }
}
