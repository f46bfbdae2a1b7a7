//! How much padding changes the grid features of an image: zero pixels are not zero after the first norm.
#![allow(clippy::print_stdout)]

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use vlp_vision::{Depth, ResNetConfig, VisionError};

const IMAGE: usize = 160;
const BATCH: [usize; 2] = [224, 256];

/// Moves scale, shift and statistics of norms away from one and zero, as in a trained backbone.
struct PerturbNorms;

impl ModuleMapper for PerturbNorms {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match D {
            1 => param.map(|old| {
                let noise = Distribution::Uniform(-0.2, 0.2);
                old.clone() + Tensor::random(old.shape(), noise, &old.device())
            }),
            _ => param,
        }
    }
}

fn main() -> Result<(), VisionError> {
    let device = Device::flex();
    device.seed(1);
    let backbone = ResNetConfig::new(Depth::R50)
        .init(&device)?
        .map(&mut PerturbNorms);
    let image = Tensor::<4>::random(
        [1, 3, IMAGE, IMAGE],
        Distribution::Normal(0.0, 1.0),
        &device,
    );
    let zeros = TensorData::zeros::<f32, _>([1, 3, BATCH[0], BATCH[1]]);
    let padded = Tensor::<4>::from_data(zeros, &device)
        .slice_assign(s![.., .., 0..IMAGE, 0..IMAGE], image.clone());
    let maps = backbone.forward(image);
    for (stage, (map, padded)) in maps.into_iter().zip(backbone.forward(padded)).enumerate() {
        let [_, _, h, w] = map.dims();
        let difference = padded.slice(s![.., .., 0..h, 0..w]) - map.clone();
        let norm = |t: Tensor<4>| t.square().sum().sqrt().into_scalar::<f32>();
        println!(
            "stage {}: {h} x {w} valid grid features change by {:.1} % of their norm",
            stage + 1,
            100.0 * norm(difference) / norm(map)
        );
    }
    Ok(())
}
