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
use vlp_transformer::{Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory};

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
    Tensor::from_data(
        TensorData::new(noise(shape.iter().product(), seed), shape),
        device,
    )
}

pub fn mask<const D: usize>(
    shape: [usize; D],
    hidden: impl Fn(usize) -> bool,
    device: &Device,
) -> Tensor<D, Bool> {
    let at: Vec<bool> = (0..shape.iter().product()).map(hidden).collect();
    Tensor::from_data(TensorData::new(at, shape), device)
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// Largest distance of two tensors; NaN if either holds one.
pub fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    host(a).iter().zip(host(b)).fold(
        0.0,
        |m, (a, b)| if (a - b).abs() <= m { m } else { (a - b).abs() },
    )
}

pub fn encoder(layer: LayerConfig, layers: usize, device: &Device) -> Encoder {
    redraw(EncoderConfig { layers, layer }.init(device).unwrap(), 1)
}

pub fn decoder(layer: LayerConfig, layers: usize, device: &Device) -> Decoder {
    redraw(DecoderConfig { layers, layer }.init(device).unwrap(), 2)
}

pub fn memory(batch: usize, tokens: usize, width: usize, device: &Device) -> Memory {
    Memory {
        states: random([batch, tokens, width], 11, device),
        pos: random([batch, tokens, width], 12, device),
        // Row i of the batch ends i tokens early.
        pad_mask: mask(
            [batch, tokens],
            |at| at % tokens + at / tokens >= tokens,
            device,
        ),
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
        // Matrices as Xavier draws them, gains and shifts away from one and zero.
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
    without: usize,
}

impl ModuleVisitor for Slope {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.seed += 1;
        match self.grads.get::<D>(param.id) {
            Some(grad) => {
                let step = noise(grad.shape().num_elements(), self.seed);
                self.sum += host(grad).iter().zip(step).map(|(g, s)| g * s).sum::<f64>();
            }
            None => self.without += 1,
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
        without: 0,
    };
    module.visit(&mut slope);
    assert_eq!(slope.without, 0, "a weight has no gradient");
    let step = 1e-5;
    let at = |scale| host(loss(&module.clone().map(&mut Nudge { seed, scale })))[0];
    (slope.sum, (at(step) - at(-step)) / (2.0 * step))
}
