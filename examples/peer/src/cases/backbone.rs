//! A ResNet's forward pass.

use std::path::Path;

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_vision::resnet::{Depth, ResNet, ResNetConfig};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::module;
use crate::output::{Output, Outputs};

struct Backbone {
    backbone: ResNet,
    pixels: Tensor<4>,
}

pub(super) fn load(
    weights: &Path,
    inputs: &Arrays,
    device: &Device,
) -> Result<Box<dyn Case>, PeerError> {
    let backbone = ResNetConfig::new(Depth::R50).init(device)?;
    let (shape, pixels) = inputs.get::<f32, 4>("pixels")?;
    Ok(Box::new(Backbone {
        backbone: module::fill(backbone, weights)?,
        pixels: Tensor::from_data(TensorData::new(pixels, shape), device),
    }))
}

impl Case for Backbone {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let maps = self.backbone.forward(self.pixels.clone());
        let last = maps.into_iter().next_back();
        let last = last.map(|map| ("map".into(), Output::tensor(map)));
        Ok(last.into_iter().collect())
    }
}
