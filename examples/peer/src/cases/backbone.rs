//! A ResNet's forward pass.

use std::convert::Infallible;
use std::path::Path;

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::capture::{Captured, Value};
use vlp_vision::resnet::{Depth, ResNet, ResNetConfig};

use super::{Case, graphs};
use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::module;
use crate::output::{Output, Outputs};

struct Backbone {
    backbone: ResNet,
    captured: Option<Captured<(), Infallible>>,
    pixels: Value,
}

pub(super) fn load(
    weights: &Path,
    inputs: &Arrays,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    let backbone = ResNetConfig::new(Depth::R50).init(device)?;
    let (shape, pixels) = inputs.get::<f32, 4>("pixels")?;
    let backbone = module::fill(backbone, weights)?;
    let captured_backbone = backbone.clone();
    let forward = move |(): &(), values: &[Value]| {
        let mut maps = captured_backbone.forward(values[0].tensor());
        Ok(maps.pop().map(Value::from).into_iter().collect())
    };
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), device);
    Ok(Box::new(Backbone {
        backbone,
        captured: captures.then(|| Captured::new("backbone", device, forward)),
        pixels: pixels.into(),
    }))
}

impl Case for Backbone {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let last: Option<Tensor<4>> = match &mut self.captured {
            Some(captured) => {
                let Ok(maps) = captured.call(&(), std::slice::from_ref(&self.pixels));
                maps.last().map(Value::tensor)
            }
            None => self.backbone.forward(self.pixels.tensor()).pop(),
        };
        let last = last.map(|map| ("map".into(), Output::tensor(map)));
        Ok(last.into_iter().collect())
    }

    fn graphs(&self) -> serde_json::Value {
        graphs(self.captured.iter().map(Captured::report))
    }

    #[cfg(feature = "ledger")]
    fn parts(&self) -> crate::ledger::Parts {
        crate::ledger::parts(&self.backbone)
    }
}
