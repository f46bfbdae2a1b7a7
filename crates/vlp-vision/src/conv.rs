//! Convolution with batch norm.

use burn::module::RunningState;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::prelude::*;
use vlp_ops::{Affine, Conv2dGeometry, batch_norm, init_weights, is_recomputing};

use crate::folded_norm::FoldedNorm;

/// A square convolution without bias followed by a batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// Convolution with weight `[out, in, kernel, kernel]`.
    pub conv: Conv2d,
    /// Batch norm, frozen or trained.
    pub norm: BatchNorm,
    #[module(skip)]
    folded: FoldedNorm,
}

init_weights!(ConvNorm { conv, norm; folded });

/// Shape of a [`ConvNorm`].
#[derive(Debug, Clone, Copy)]
pub struct ConvSpec {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Height and width of the kernel, at least 1.
    pub kernel: usize,
    /// Stride of both axes.
    pub stride: usize,
    /// Dilation of both axes. At stride 1 the padding preserves the map's size if the kernel is odd.
    pub dilation: usize,
}

impl ConvSpec {
    /// A 1x1 convolution.
    pub fn conv1x1(input: usize, output: usize, stride: usize) -> Self {
        Self {
            input,
            output,
            kernel: 1,
            stride,
            dilation: 1,
        }
    }

    /// A 3x3 convolution.
    pub fn conv3x3(input: usize, output: usize, stride: usize, dilation: usize) -> Self {
        Self {
            input,
            output,
            kernel: 3,
            stride,
            dilation,
        }
    }

    /// Builds the layer.
    ///
    /// Its initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Panics
    /// If the kernel is 0.
    pub fn init(&self, device: &Device) -> ConvNorm {
        assert!(self.kernel > 0, "a kernel of 0 pixels");
        let padding = self.dilation * (self.kernel - 1) / 2;
        let conv = Conv2dConfig::new([self.input, self.output], [self.kernel, self.kernel])
            .with_stride([self.stride, self.stride])
            .with_dilation([self.dilation, self.dilation])
            .with_padding(PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .with_bias(false)
            .init(device);
        ConvNorm {
            conv,
            norm: BatchNormConfig::new(self.output).init(device),
            folded: FoldedNorm::default(),
        }
    }
}

impl ConvNorm {
    /// Convolution and norm.
    ///
    /// # Shapes
    /// - `x`: `[batch, in, height, width]`
    /// - output: `[batch, out, ceil(height / stride), ceil(width / stride)]`, if the kernel is odd
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_repeated(x, 1)
    }

    /// [`Self::forward`] of a batch that represents one in which each image occurs `repeats` times. Only the unbiased
    /// estimate of the running variance depends on `repeats`.
    ///
    /// # Shapes
    /// As [`Self::forward`].
    pub fn forward_repeated(&self, x: Tensor<4>, repeats: usize) -> Tensor<4> {
        self.forward_fused(x, repeats, None, false)
    }

    /// [`Self::forward`] and ReLU.
    pub(crate) fn forward_relu(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_fused(x, 1, None, true)
    }

    /// [`Self::forward`], plus `shortcut`, and ReLU.
    pub(crate) fn forward_residual(&self, x: Tensor<4>, shortcut: Tensor<4>) -> Tensor<4> {
        self.forward_fused(x, 1, Some(shortcut), true)
    }

    fn forward_fused(
        &self,
        x: Tensor<4>,
        repeats: usize,
        shortcut: Option<Tensor<4>>,
        relu: bool,
    ) -> Tensor<4> {
        let norm = &self.norm;
        let device = x.device();
        if device.is_autodiff() && norm.training.is_enabled() {
            let x = conv2d(&self.conv, x);
            return train_norm(norm, x, repeats, shortcut, relu);
        }
        let [scale, shift] = self.folded.scale_and_shift(norm, &device);
        let affine = Affine {
            scale,
            shift,
            shortcut,
            relu,
        };
        match geometry(&self.conv) {
            Some(geometry) => vlp_ops::conv2d_affine(x, self.conv.weight.val(), geometry, affine),
            None => vlp_ops::affine(self.conv.forward(x), affine),
        }
    }
}

/// Batch norm in training, plus the shortcut, with ReLU if `relu`. As in PyTorch, the output is normalized by the batch's
/// biased variance and the running variance takes the unbiased one.
fn train_norm(
    norm: &BatchNorm,
    x: Tensor<4>,
    repeats: usize,
    shortcut: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    let [n, _, h, w] = x.dims();
    let device = x.device();
    let (gamma, beta) = (norm.gamma.val(), norm.beta.val());
    let result = batch_norm(x, gamma, beta, norm.epsilon, shortcut, relu);
    let count = (repeats * n * h * w) as f64;
    if is_recomputing() {
        // The first forward pass has updated the running statistics already.
        return result.output;
    }
    // Reads once and writes once, so that batches on other threads never see a partial update.
    let update = |state: &RunningState<Tensor<1>>, batch: Tensor<1>| {
        let old = state
            .value_sync()
            .to_device(&device)
            .mul_scalar(1.0 - norm.momentum);
        state.update((old + batch.detach().mul_scalar(norm.momentum)).detach());
    };
    update(&norm.running_mean, result.mean);
    update(
        &norm.running_var,
        // The unbiased variance of a single value is undefined: it stays the biased one, 0.
        result.variance.mul_scalar(count / (count - 1.0).max(1.0)),
    );
    result.output
}

/// `conv.forward(x)`, computed by [`vlp_ops::conv2d`] if it supports the convolution.
///
/// # Shapes
/// - `x`: `[batch, in, height, width]`
/// - output: `[batch, out, rows, columns]`
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    match geometry(conv) {
        Some(geometry) => vlp_ops::conv2d(x, conv.weight.val(), geometry),
        None => conv.forward(x),
    }
}

/// The geometry of a convolution; `None` if it has groups, a bias or asymmetric padding.
fn geometry(conv: &Conv2d) -> Option<Conv2dGeometry> {
    match (&conv.padding, conv.groups, &conv.bias) {
        (PaddingConfig2d::Explicit(top, left, bottom, right), 1, None)
            if top == bottom && left == right =>
        {
            Some(Conv2dGeometry {
                stride: conv.stride,
                padding: [*top, *left],
                dilation: conv.dilation,
            })
        }
        _ => None,
    }
}
