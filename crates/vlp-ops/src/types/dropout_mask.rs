//! The mask of dropout, as a hash of each value's index.

use burn::nn::Dropout;
use burn::prelude::*;
#[cfg(feature = "gpu")]
use burn::tensor::DType;

#[cfg(feature = "gpu")]
use crate::device::is_cpu;
use crate::replay::replay_seed;
use crate::seed_table::{Seed, next_seed};

/// Which values of one tensor dropout sets to zero: each with the same probability, as a function of a seed and the value's
/// index.
#[derive(Debug, Clone, Copy)]
pub struct DropoutMask {
    seed: Seed,
    probability: f32,
}

impl DropoutMask {
    /// Samples a seed from the stream that [`seed_random`](crate::seed_random) controls, on the CPU for every device, or takes
    /// the next one of [`with_dropout_seeds`](crate::with_dropout_seeds). `None` where the layer drops nothing: without autodiff, with probability 0, or switched off.
    pub fn sample(layer: &Dropout, device: &Device) -> Option<Self> {
        let drops = device.is_autodiff() && layer.training.is_enabled() && layer.prob > 0.0;
        drops.then(|| Self {
            seed: replay_seed(next_seed),
            probability: layer.prob as f32,
        })
    }

    /// 0 for dropped values, `1 / (1 - probability)` for the others; indices count from the tensor's first value.
    ///
    /// # Panics
    /// For 2^32 values or more on a GPU.
    pub fn factors<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        gpu_path! {
            if !is_cpu(device) {
                let ones = Tensor::<D>::ones(shape, (&device.clone().inner(), DType::F32));
                #[allow(clippy::expect_used)]
                let factors = self.apply_on_gpu(&ones).expect("fewer than 2^32 values");
                return match device.is_autodiff() {
                    true => Tensor::from_inner(factors),
                    false => factors,
                };
            }
        }
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| self.factor(i as u32)).collect();
        Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
    }

    /// `x` times the [factors](Self::factors); on a GPU no mask is stored.
    pub(crate) fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        gpu_path! {
            if let Some(output) = self.apply_on_gpu(&x) {
                return output;
            }
        }
        let factors = self.factors(x.dims(), &x.device()).cast(x.dtype());
        x * factors
    }

    /// [`Self::apply`] as one kernel; `None` for a tensor that is not f32 on a GPU without autodiff, or has values that 32 bits do
    /// not count.
    #[cfg(feature = "gpu")]
    fn apply_on_gpu<const D: usize>(&self, x: &Tensor<D>) -> Option<Tensor<D>> {
        let is_counted = u32::try_from(x.shape().num_elements()).is_ok();
        if x.dtype() != DType::F32 || !is_counted {
            return None;
        }
        let [values] = crate::cube::primitives_of([x.clone().into()])?;
        let output = crate::cube::dropout::apply_mask(values, self.on_gpu(&x.device())?)?;
        Some(output.into_tensor())
    }

    /// The mask for kernels, with the tensor that has its seed; `None` on the CPU.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_gpu(
        &self,
        device: &Device,
    ) -> Option<(crate::cube::dropout::Mask, crate::cube::Primitive)> {
        let table = crate::seed_table::table(self.seed, device);
        let [table] = crate::cube::primitives_of([table.into()])?;
        let mask = crate::cube::dropout::Mask {
            seed: self.seed.value,
            row: self.seed.row.unwrap_or(0),
            threshold: self.threshold(),
            kept_factor: 1.0 / (1.0 - self.probability),
        };
        Some((mask, table))
    }

    /// A value is kept if its 24 random bits are not below.
    #[inline(always)]
    pub(crate) fn threshold(&self) -> f32 {
        self.probability * 16_777_216.0
    }

    #[inline(always)]
    fn factor(&self, index: u32) -> f32 {
        let random = hash(self.seed.value, index) >> 8;
        let keep = random as f32 >= self.threshold();
        f32::from(u8::from(keep)) / (1.0 - self.probability)
    }

    /// Multiplies values, the first of which has index `first`, by their factors.
    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(crate) fn apply_to(&self, values: &mut [f32], first: usize) {
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
