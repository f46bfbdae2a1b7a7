//! Weights that depend on a seed alone.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;

use crate::random;

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
