//! How far padding moves a picture's own cells: zero pixels are not zero after the first norm.
#![allow(clippy::print_stdout)]

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use vlp_vision::{Depth, ResNetConfig, VisionError};

const PICTURE: usize = 160;
const BATCH: [usize; 2] = [224, 256];

/// Gains, shifts and statistics as a trained trunk has them: away from one and zero.
struct Scatter;

impl ModuleMapper for Scatter {
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
    let trunk = ResNetConfig::new(Depth::R50)
        .init(&device)?
        .map(&mut Scatter);
    let picture = Tensor::<4>::random(
        [1, 3, PICTURE, PICTURE],
        Distribution::Normal(0.0, 1.0),
        &device,
    );
    let zeros = TensorData::zeros::<f32, _>([1, 3, BATCH[0], BATCH[1]]);
    let padded = Tensor::<4>::from_data(zeros, &device)
        .slice_assign(s![.., .., 0..PICTURE, 0..PICTURE], picture.clone());
    let alone = trunk.forward(picture);
    for (stage, (own, padded)) in alone.into_iter().zip(trunk.forward(padded)).enumerate() {
        let [_, _, h, w] = own.dims();
        let difference = padded.slice(s![.., .., 0..h, 0..w]) - own.clone();
        let norm = |t: Tensor<4>| t.square().sum().sqrt().into_scalar::<f32>();
        println!(
            "stage {}: {h} x {w} valid cells move by {:.1} % of their norm",
            stage + 1,
            100.0 * norm(difference) / norm(own)
        );
    }
    Ok(())
}
