//! Autodiff gradients against finite differences.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;

use crate::{noise, random, to_cpu};

/// Derivative of a loss along one direction in parameter space.
#[derive(Debug, Clone, Copy)]
pub struct DirectionalGrad {
    /// From autodiff.
    pub autodiff: f64,
    /// From central differences.
    pub numeric: f64,
    /// Number of parameters without a gradient.
    pub params_without_grad: usize,
}

struct Perturb {
    seed: u64,
    scale: f64,
}

impl ModuleMapper for Perturb {
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

/// Dot product of the gradients with the direction of [`Perturb`].
struct GradDotDirection {
    grads: GradientsParams,
    seed: u64,
    sum: f64,
    params_without_grad: usize,
}

impl ModuleVisitor for GradDotDirection {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.seed += 1;
        match self.grads.get::<D>(param.id) {
            Some(grad) => {
                let direction = noise(grad.shape().num_elements(), self.seed);
                let terms = to_cpu(grad).into_iter().zip(direction);
                self.sum += terms.map(|(g, d)| g * d).sum::<f64>();
            }
            None => self.params_without_grad += 1,
        }
    }
}

/// Derivative of `loss` `[1]` along the random direction `seed`, by autodiff and by central differences over
/// `step`. Meant for modules in f64: in f32, rounding dominates the difference.
pub fn numeric_grad<M: Module>(
    module: &M,
    seed: u64,
    step: f64,
    loss: impl Fn(&M) -> Tensor<1>,
) -> DirectionalGrad {
    let seed = seed * 1000;
    let mut visitor = GradDotDirection {
        grads: GradientsParams::from_grads(loss(module).backward(), module),
        seed,
        sum: 0.0,
        params_without_grad: 0,
    };
    module.visit(&mut visitor);
    let perturbed = |scale| to_cpu(loss(&module.clone().map(&mut Perturb { seed, scale })))[0];
    DirectionalGrad {
        autodiff: visitor.sum,
        numeric: (perturbed(step) - perturbed(-step)) / (2.0 * step),
        params_without_grad: visitor.params_without_grad,
    }
}
