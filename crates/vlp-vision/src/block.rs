//! Basic and bottleneck residual blocks as in torchvision.

use burn::prelude::*;
use vlp_ops::init_weights;

use crate::conv::{ConvNorm, ConvSpec};

/// Two 3x3 convolutions (basic) or 1x1, 3x3, 1x1 (bottleneck) around a shortcut.
#[derive(Module, Debug)]
pub(crate) struct Block {
    layers: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

init_weights!(Block { layers, downsample });

/// Configuration of a [`Block`].
pub(crate) struct BlockSpec {
    pub(crate) bottleneck: bool,
    pub(crate) input: usize,
    /// Inner channels; a bottleneck has four times as many output channels.
    pub(crate) planes: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
}

impl BlockSpec {
    pub(crate) fn output(&self) -> usize {
        self.planes * if self.bottleneck { 4 } else { 1 }
    }

    pub(crate) fn init(&self, device: &Device) -> Block {
        let (output, planes, stride) = (self.output(), self.planes, self.stride);
        // In a bottleneck the 3x3 convolution has the stride (torchvision, "ResNet v1.5").
        let specs = if self.bottleneck {
            vec![
                ConvSpec::conv1x1(self.input, planes, 1),
                ConvSpec::conv3x3(planes, planes, stride, self.dilation),
                ConvSpec::conv1x1(planes, output, 1),
            ]
        } else {
            vec![
                ConvSpec::conv3x3(self.input, planes, stride, 1),
                ConvSpec::conv3x3(planes, planes, 1, 1),
            ]
        };
        let needs_projection = stride != 1 || self.input != output;
        Block {
            layers: specs.iter().map(|spec| spec.init(device)).collect(),
            downsample: needs_projection
                .then(|| ConvSpec::conv1x1(self.input, output, stride).init(device)),
        }
    }
}

impl Block {
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(layer) => layer.forward(x.clone()),
            None => x.clone(),
        };
        let last = self.layers.len() - 1;
        let mut y = x;
        for layer in &self.layers[..last] {
            y = layer.forward_relu(y);
        }
        self.layers[last].forward_residual(y, shortcut)
    }
}
