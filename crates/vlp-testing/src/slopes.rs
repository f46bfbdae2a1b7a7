//! Is the gradient the slope? Gradients against finite differences.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;

use crate::{host, noise, random};

/// Slope of a loss along one direction of all weights.
#[derive(Debug, Clone, Copy)]
pub struct Slopes {
    /// By its gradient.
    pub gradient: f64,
    /// By central difference.
    pub difference: f64,
    /// Weights that have no gradient.
    pub without: usize,
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

struct Along {
    grads: GradientsParams,
    seed: u64,
    sum: f64,
    without: usize,
}

impl ModuleVisitor for Along {
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

/// Slopes of `loss` `[1]` along the random direction `seed` of all weights, the difference over `step` to
/// both sides. Meant for modules in f64: in f32 the difference is mostly rounding.
pub fn slopes<M: Module>(
    module: &M,
    seed: u64,
    step: f64,
    loss: impl Fn(&M) -> Tensor<1>,
) -> Slopes {
    let seed = seed * 1000;
    let mut along = Along {
        grads: GradientsParams::from_grads(loss(module).backward(), module),
        seed,
        sum: 0.0,
        without: 0,
    };
    module.visit(&mut along);
    let at = |scale| host(loss(&module.clone().map(&mut Nudge { seed, scale })))[0];
    Slopes {
        gradient: along.sum,
        difference: (at(step) - at(-step)) / (2.0 * step),
        without: along.without,
    }
}
