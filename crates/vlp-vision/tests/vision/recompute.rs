//! Recomputed blocks give the same feature maps, gradients and running statistics.

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_testing::{random, to_cpu};
use vlp_vision::{Depth, NormMode, ResNet, ResNetConfig, Stem};

/// Running statistics, and gradients of the other parameters, `None` for frozen ones.
type Values = Vec<(String, Option<Vec<f64>>)>;

struct Collect<'a> {
    grads: &'a Gradients,
    values: Values,
}

impl ParamVisitor for Collect<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let values = match path.contains("running") {
            true => Some(to_cpu(param.val().inner())),
            false => param.val().grad(self.grads).map(to_cpu),
        };
        self.values.push((path.into(), values));
    }
}

fn forward_backward(backbone: &ResNet, pixels: Tensor<4>) -> (Vec<f64>, Values) {
    let map = backbone.forward(pixels).pop().unwrap();
    // Transposed as for a projection: positions by channels.
    let [n, channels, h, w] = map.dims();
    let features = map.clone().reshape([n, channels, h * w]).swap_dims(1, 2);
    let weights = random(features.dims(), 7, &map.device());
    let grads = (features * weights).sum().backward();
    let mut collect = Collect {
        grads: &grads,
        values: vec![],
    };
    visit_params(backbone, &mut collect);
    (to_cpu(map), collect.values)
}

#[test]
fn recomputed_blocks_equal_stored_blocks() {
    let device = Device::flex().autodiff();
    for (depth, norm, frozen_stages) in [
        (Depth::R10, NormMode::Trained, 0),
        (Depth::R26, NormMode::Frozen, 2),
    ] {
        let config = ResNetConfig::new(depth)
            .with_width(8)
            .with_stem(Stem::Small)
            .with_stages(3)
            .with_dilate_last(false)
            .with_norm(norm)
            .with_frozen_stages(frozen_stages);
        let storing = config.init(&device).unwrap();
        // The same weights, but not the same running statistics.
        let recomputing = config.init(&device).unwrap().with_recompute(true);
        let recomputing = recomputing.load_record(storing.clone().into_record());
        for round in 0..2 {
            let pixels = random([4, 3, 32, 40], round, &device);
            let (expected_map, expected) = forward_backward(&storing, pixels.clone());
            let (map, actual) = forward_backward(&recomputing, pixels);
            assert!(expected_map == map, "{depth:?}: feature maps");
            for (expected, actual) in expected.iter().zip(&actual) {
                assert!(
                    expected == actual,
                    "{depth:?}, round {round}: {}",
                    expected.0
                );
            }
        }
    }
}
