//! Blocks that are computed again give the same maps, gradients and running statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use vlp_testing::{host, random};
use vlp_vision::{Depth, NormMode, ResNet, ResNetConfig, Stem};

/// Gradients by parameter, `None` for what stands still; then running statistics.
struct Seen<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    slopes: Vec<(String, Option<Vec<f64>>)>,
}

impl ModuleVisitor for Seen<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let value = match name.contains("running") {
            true => Some(host(param.val().inner())),
            false => param.val().grad(self.grads).map(host),
        };
        self.slopes.push((name, value));
    }
}

type Outcome = (Vec<f64>, Vec<(String, Option<Vec<f64>>)>);

fn step(trunk: &ResNet, pixels: Tensor<4>, weights: u64) -> Outcome {
    let map = trunk.forward(pixels).pop().unwrap();
    // As a projection reads the map: cells by channels.
    let [n, channels, h, w] = map.dims();
    let cells = map.clone().reshape([n, channels, h * w]).swap_dims(1, 2);
    let weights = random(cells.dims(), weights, &map.device());
    let grads = (cells * weights).sum().backward();
    let mut seen = Seen {
        grads: &grads,
        path: vec![],
        slopes: vec![],
    };
    trunk.visit(&mut seen);
    (host(map), seen.slopes)
}

#[test]
fn blocks_computed_again_are_the_same() {
    let device = Device::flex().autodiff();
    for (depth, norm, frozen_stages) in [
        (Depth::R10, NormMode::Trained, 0),
        (Depth::R26, NormMode::Frozen, 2),
    ] {
        let config = ResNetConfig {
            depth,
            width: 8,
            stem: Stem::Small,
            stages: 3,
            dilate_last: false,
            norm,
            frozen_stages,
        };
        let plain = config.init(&device).unwrap();
        // The same weights; running statistics of its own.
        let own = config.init(&device).unwrap().with_recompute(true);
        let again = own.load_record(plain.clone().into_record());
        for round in 0..2 {
            let pixels = random([4, 3, 32, 40], round, &device);
            let wanted = step(&plain, pixels.clone(), 7);
            let found = step(&again, pixels, 7);
            assert!(wanted.0 == found.0, "{depth:?}: maps");
            for (wanted, found) in wanted.1.iter().zip(&found.1) {
                assert!(wanted == found, "{depth:?}, round {round}: {}", wanted.0);
            }
        }
    }
}
