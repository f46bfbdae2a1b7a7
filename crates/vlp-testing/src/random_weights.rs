//! Weights that depend on a seed only.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;

use crate::random;

struct Randomize {
    seed: u64,
    is_gamma: bool,
}

impl ModuleMapper for Randomize {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.is_gamma = name == "gamma";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let shape: [usize; D] = param.lazy_shape().dims();
        // Matrices in the range of Xavier initialization; gamma and biases differ from one and zero.
        let scale = match D {
            1 => 0.3,
            _ => (6.0 / (shape[0] + shape[D - 1]) as f64).sqrt(),
        };
        let values = random(shape, self.seed, &param.lazy_device()).mul_scalar(scale);
        let values = if self.is_gamma {
            values.add_scalar(1.0)
        } else {
            values
        };
        param.map(|old| values.set_require_grad(old.is_require_grad()))
    }
}

/// Replaces all weights by random ones that depend on `seed` only.
pub fn randomize_weights<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Randomize {
        seed: seed * 1000,
        is_gamma: false,
    })
}
