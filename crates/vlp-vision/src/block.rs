//! The residual block, basic or bottleneck, as torchvision builds it.

use burn::prelude::*;

use crate::conv::{ConvNorm, ConvSpec};

/// Two 3x3 convolutions (basic) or 1x1, 3x3, 1x1 (bottleneck) around a shortcut.
#[derive(Module, Debug)]
pub(crate) struct Block {
    layers: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

/// What a [`Block`] is built from.
pub(crate) struct BlockSpec {
    pub(crate) bottleneck: bool,
    pub(crate) input: usize,
    /// Inner width; a bottleneck's output is four times as wide.
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
        // The stride sits on the 3x3 of a bottleneck (torchvision, "ResNet v1.5").
        let specs = if self.bottleneck {
            vec![
                ConvSpec::pointwise(self.input, planes, 1),
                ConvSpec::three(planes, planes, stride, self.dilation),
                ConvSpec::pointwise(planes, output, 1),
            ]
        } else {
            vec![
                ConvSpec::three(self.input, planes, stride, 1),
                ConvSpec::three(planes, planes, 1, 1),
            ]
        };
        let shortcut = stride != 1 || self.input != output;
        Block {
            layers: specs.iter().map(|spec| spec.init(device)).collect(),
            downsample: shortcut
                .then(|| ConvSpec::pointwise(self.input, output, stride).init(device)),
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
        self.layers[last].forward_joined(y, shortcut)
    }
}
