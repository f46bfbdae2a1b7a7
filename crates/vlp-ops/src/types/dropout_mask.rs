//! The mask of dropout, as a hash of each value's index.

use burn::nn::Dropout;
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::device::is_cpu;
use crate::replay::{replay_mask, replay_seed};

/// Which values of one tensor dropout sets to zero: each with the same probability, as a function of a seed and the value's
/// index.
#[derive(Debug, Clone, Copy)]
pub struct DropoutMask {
    seed: [u32; 2],
    probability: f32,
}

impl DropoutMask {
    /// Samples a seed from the device's random stream, which `device.seed` controls. `None` where the layer drops nothing:
    /// without autodiff, with probability 0, or switched off.
    ///
    /// On a GPU no seed is read back: there the stream decides when [`factors`](Self::factors) are computed.
    pub fn sample(layer: &Dropout, device: &Device) -> Option<Self> {
        let drops = device.is_autodiff() && layer.training.is_enabled() && layer.prob > 0.0;
        drops.then(|| {
            let sample = || {
                let mut seed = [0; 2];
                let uniform = Distribution::Uniform(0.0, f64::from(1u32 << 24));
                let sample = Tensor::<1>::random([2], uniform, &device.clone().inner()).into_data();
                for (seed, value) in seed.iter_mut().zip(sample.iter::<f32>()) {
                    *seed = value as u32;
                }
                seed
            };
            Self {
                seed: match is_cpu(device) {
                    true => replay_seed(sample),
                    false => [0; 2],
                },
                probability: layer.prob as f32,
            }
        })
    }

    /// 0 for dropped values, `1 / (1 - probability)` for the others; indices count from the tensor's first value.
    pub fn factors<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        if !is_cpu(device) {
            let keep_probability = 1.0 - f64::from(self.probability);
            let keep = replay_mask(|| {
                let bernoulli = Distribution::Bernoulli(keep_probability);
                let random = Tensor::<D>::random(shape, bernoulli, device);
                random.greater_elem(0.5).reshape([-1])
            });
            return keep.reshape(shape).float().div_scalar(keep_probability);
        }
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| self.factor(i as u32)).collect();
        Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
    }

    #[inline(always)]
    fn factor(&self, index: u32) -> f32 {
        let random = hash(self.seed, index) >> 8;
        let keep = random as f32 >= self.probability * 16_777_216.0;
        f32::from(u8::from(keep)) / (1.0 - self.probability)
    }

    /// Multiplies values, the first of which has index `first`, by their factors.
    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(crate) fn apply(&self, values: &mut [f32], first: usize) {
        for (i, value) in values.iter_mut().enumerate() {
            *value *= self.factor((first + i) as u32);
        }
    }
}

/// 32 random bits for an index: Chris Wellons' mixer ("lowbias32"), once for each half of the seed.
#[inline(always)]
pub(crate) fn hash(seed: [u32; 2], index: u32) -> u32 {
    let mix = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
        let x = (x ^ (x >> 15)).wrapping_mul(0xd35a_2d97);
        x ^ (x >> 15)
    };
    mix(mix(index.wrapping_add(seed[0])).wrapping_add(seed[1]))
}
