//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code
)]

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_objectives::Losses;
use vlp_objectives::detection::{DetectionOutput, DetectionTarget, TargetObject};

/// Values in -1..1 that do not repeat, equal in every run.
pub fn noise(count: usize, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| {
            let mut z = (i + 1 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

pub fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let values = noise(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

pub fn scalar(tensor: Tensor<1>) -> f64 {
    host(tensor)[0]
}

/// Names with unweighted values.
pub fn terms(losses: &Losses) -> Vec<(String, f64)> {
    losses
        .terms
        .iter()
        .map(|(name, _, value)| (name.clone(), scalar(value.clone())))
        .collect()
}

pub const CLASSES: usize = 5;
pub const ATTRIBUTES: usize = 4;
pub const QUERIES: usize = 7;

/// Random predictions of two layers.
pub fn predictions(batch: usize, seed: u64, device: &Device) -> DetectionOutput {
    let shape = |width| [2, batch, QUERIES, width];
    DetectionOutput {
        logits: random(shape(CLASSES + 1), seed, device).mul_scalar(3.0),
        attributes: Some(random(shape(ATTRIBUTES), seed + 1, device).mul_scalar(3.0)),
        boxes: random(shape(4), seed + 2, device)
            .mul_scalar(0.2)
            .add_scalar(0.4),
    }
}

/// A picture with `count` random objects, every third of them without attributes.
pub fn picture(count: usize, seed: u64) -> DetectionTarget {
    let values = noise(count * 8, seed + 1000);
    let pick = |value: f64, of: usize| ((value + 1.0) / 2.0 * of as f64) as usize;
    let object = |i: usize| {
        let at = &values[8 * i..];
        TargetObject {
            class: pick(at[0], CLASSES),
            bbox: [1, 2, 3, 4].map(|k| (at[k] * 0.2 + 0.4) as f32),
            attributes: match i % 3 {
                0 => vec![],
                1 => vec![pick(at[5], ATTRIBUTES)],
                _ => vec![0, 1 + pick(at[6], ATTRIBUTES - 1)],
            },
        }
    };
    DetectionTarget {
        vocabulary: Some(0),
        objects: (0..count).map(object).collect(),
        dropped: 0,
        key: seed,
        size: (64, 48),
    }
}

struct Redraw {
    seed: u64,
    gain: bool,
}

impl ModuleMapper for Redraw {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.gain = name == "gamma";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let shape: [usize; D] = param.lazy_shape().dims();
        let scale = match D {
            1 => 0.3,
            _ => (6.0 / (shape[0] + shape[D - 1]) as f64).sqrt(),
        };
        let fresh = random(shape, self.seed, &param.lazy_device()).mul_scalar(scale);
        let fresh = if self.gain {
            fresh.add_scalar(1.0)
        } else {
            fresh
        };
        param.map(|old| fresh.set_require_grad(old.is_require_grad()))
    }
}

/// The module with weights that depend on the seed alone.
pub fn redraw<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Redraw {
        seed: seed * 1000,
        gain: false,
    })
}

struct Nudge {
    seed: u64,
    scale: f64,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let (seed, scale) = (self.seed, self.scale);
        param.map(|old| {
            let step = random(old.dims(), seed, &old.device()).mul_scalar(scale);
            (old.clone() + step)
                .detach()
                .set_require_grad(old.is_require_grad())
        })
    }
}

struct Slope {
    grads: GradientsParams,
    seed: u64,
    sum: f64,
}

impl ModuleVisitor for Slope {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.seed += 1;
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let step = noise(grad.shape().num_elements(), self.seed);
            self.sum += host(grad).iter().zip(step).map(|(g, s)| g * s).sum::<f64>();
        }
    }
}

/// Slope of `loss` along a random direction of all weights: by its gradient, and by central difference.
pub fn slopes<M: Module>(module: &M, seed: u64, loss: impl Fn(&M) -> Tensor<1>) -> (f64, f64) {
    let grads = GradientsParams::from_grads(loss(module).backward(), module);
    let seed = seed * 1000;
    let mut slope = Slope {
        grads,
        seed,
        sum: 0.0,
    };
    module.visit(&mut slope);
    // Small enough to stay on one side of the ReLUs, the matching and the boxes' corners.
    let step = 1e-6;
    let at = |scale| scalar(loss(&module.clone().map(&mut Nudge { seed, scale })));
    (slope.sum, (at(step) - at(-step)) / (2.0 * step))
}
