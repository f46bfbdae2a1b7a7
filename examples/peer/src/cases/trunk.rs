//! A ResNet's forward pass.

use std::path::Path;

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_vision::resnet::{Depth, ResNet, ResNetConfig};

use super::Case;
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::figures::{Figure, Figures};
use crate::module;

struct Trunk {
    trunk: ResNet,
    pixels: Tensor<4>,
}

pub(super) fn load(
    weights: &Path,
    inputs: &Arrays,
    device: &Device,
) -> Result<Box<dyn Case>, PeerError> {
    let trunk = ResNetConfig::new(Depth::R50).init(device)?;
    let (shape, pixels) = inputs.get::<f32, 4>("pixels")?;
    Ok(Box::new(Trunk {
        trunk: module::fill(trunk, weights)?,
        pixels: Tensor::from_data(TensorData::new(pixels, shape), device),
    }))
}

impl Case for Trunk {
    fn run(&mut self) -> Result<Figures, PeerError> {
        let maps = self.trunk.forward(self.pixels.clone());
        let last = maps.into_iter().next_back();
        let last = last.map(|map| ("map".into(), Figure::tensor(map)));
        Ok(last.into_iter().collect())
    }
}
