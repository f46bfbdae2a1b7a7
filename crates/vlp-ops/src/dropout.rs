//! Dropout (Srivastava et al. 2014) from a counter: nothing drawn one by one, no mask kept for the backward pass.
//!
//! Needed as long as burn's CPU backend draws a mask value by value on one thread.

use burn::nn::Dropout;
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::recompute::{seed, stays};
use crate::route::on_cpu;

/// What falls out of one tensor: every value with one probability, a function of a seed and its place.
#[derive(Debug, Clone, Copy)]
pub struct Drops {
    seed: [u32; 2],
    probability: f32,
}

impl Drops {
    /// Draws a seed from the device's random stream, so that `device.seed` decides; `None` where the layer drops
    /// nothing: without autodiff, with probability 0, or switched off. A GPU is not waited for: there the stream itself
    /// decides, when the factors are made.
    pub fn draw(layer: &Dropout, device: &Device) -> Option<Self> {
        let drops = device.is_autodiff() && layer.training.is_enabled() && layer.prob > 0.0;
        drops.then(|| {
            let drawn = || {
                let mut seed = [0; 2];
                let whole = Distribution::Uniform(0.0, f64::from(1u32 << 24));
                let drawn = Tensor::<1>::random([2], whole, &device.clone().inner()).into_data();
                for (seed, value) in seed.iter_mut().zip(drawn.iter::<f32>()) {
                    *seed = value as u32;
                }
                seed
            };
            Self {
                seed: if on_cpu(device) { seed(drawn) } else { [0; 2] },
                probability: layer.prob as f32,
            }
        })
    }

    /// 0 for what falls out, `1 / (1 - probability)` for the rest, by places counted from the tensor's first value.
    pub fn factors<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        if !on_cpu(device) {
            let kept = 1.0 - f64::from(self.probability);
            let stays = stays(|| {
                let one = Distribution::Bernoulli(kept);
                let random = Tensor::<D>::random(shape, one, device);
                random.greater_elem(0.5).reshape([-1])
            });
            return stays.reshape(shape).float().div_scalar(kept);
        }
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| self.factor(i as u32)).collect();
        Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape)
    }

    #[inline(always)]
    pub(crate) fn factor(&self, place: u32) -> f32 {
        let hash = mix(self.seed, place);
        let kept = (hash >> 8) as f32 >= self.probability * 16_777_216.0;
        f32::from(u8::from(kept)) / (1.0 - self.probability)
    }

    /// Multiplies values that lie at places from `first` on.
    #[cfg(feature = "flex")]
    #[inline(always)]
    pub(crate) fn apply(&self, values: &mut [f32], first: usize) {
        for (i, value) in values.iter_mut().enumerate() {
            *value *= self.factor((first + i) as u32);
        }
    }
}

/// 32 random bits of a place: Chris Wellons' mixer ("lowbias32"), once for each half of the seed.
#[inline(always)]
pub(crate) fn mix(seed: [u32; 2], place: u32) -> u32 {
    let mix = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
        let x = (x ^ (x >> 15)).wrapping_mul(0xd35a_2d97);
        x ^ (x >> 15)
    };
    mix(mix(place.wrapping_add(seed[0])).wrapping_add(seed[1]))
}

/// burn's layer: in training each value is zero with its probability, and the rest are scaled by `1 / (1 - prob)`.
pub fn dropout<const D: usize>(layer: &Dropout, x: Tensor<D>) -> Tensor<D> {
    let Some(drops) = Drops::draw(layer, &x.device()) else {
        return x;
    };
    #[cfg(feature = "flex")]
    if crate::route::fast(&x) {
        return fast::dropout(x, drops);
    }
    let factors = drops.factors(x.dims(), &x.device()).cast(x.dtype());
    x * factors
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use super::Drops;
    use crate::flex::tape::*;
    use crate::flex::{Array, TASK, blocks, owned};

    #[backend_extension(Flex, Autodiff)]
    trait DropoutBackend: Backend {
        fn drop_out(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self>;
    }

    pub(super) fn dropout<const D: usize>(x: Tensor<D>, drops: Drops) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as DropoutBackend>::drop_out(
            x.into_dispatch(),
            drops,
        ))
    }

    impl DropoutBackend for Flex {
        fn drop_out(x: Array, drops: Drops) -> Array {
            let mut x = owned(x);
            blocks(
                x.storage_mut::<f32>(),
                TASK,
                #[inline(always)]
                |i, x| drops.apply(x, i * TASK),
            );
            x
        }
    }

    #[derive(Debug)]
    struct DropOut;

    impl Backward<Flex, 1> for DropOut {
        type State = Drops;

        fn backward(self, ops: Ops<Drops, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node);
            if let [Some(node)] = ops.parents {
                grads.register::<Flex>(node.id, Flex::drop_out(grad, ops.state));
            }
        }
    }

    impl<C: CheckpointStrategy> DropoutBackend for Autodiff<Flex, C> {
        fn drop_out(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self> {
            let output = Flex::drop_out(x.primitive().clone(), drops);
            match DropOut.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(drops, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
