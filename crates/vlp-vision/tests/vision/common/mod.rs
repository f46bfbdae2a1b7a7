//! Helpers of this crate's tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Distribution;
use vlp_ops::params::{ParamVisitor, visit_params};
pub use vlp_testing::{max_abs_diff, random};

/// [`vlp_testing::noise`] in f32.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let values = vlp_testing::noise(count, seed);
    values.into_iter().map(|value| value as f32).collect()
}

pub fn to_cpu<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

struct HasGrad {
    grads: GradientsParams,
    has_grad: BTreeMap<String, bool>,
}

impl ParamVisitor for HasGrad {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let has_grad = self.grads.get::<D>(param.id).is_some();
        self.has_grad.insert(path.into(), has_grad);
    }
}

/// Whether `grads` holds a gradient, for each parameter and buffer of a module.
pub fn has_grad<M: Module>(module: &M, grads: GradientsParams) -> BTreeMap<String, bool> {
    let mut visitor = HasGrad {
        grads,
        has_grad: BTreeMap::new(),
    };
    visit_params(module, &mut visitor);
    visitor.has_grad
}

#[derive(Default)]
struct Buffers(BTreeMap<String, Vec<f32>>);

impl ParamVisitor for Buffers {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if path.contains("running_") {
            self.0.insert(path.into(), to_cpu(param.val()));
        }
    }
}

/// Running statistics of all norms.
pub fn statistics<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let mut buffers = Buffers::default();
    visit_params(&module.valid(), &mut buffers);
    buffers.0
}

struct PerturbNorms;

impl ModuleMapper for PerturbNorms {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 1 {
            return param;
        }
        param.map(|old| {
            let (device, trains) = (old.device(), old.is_require_grad());
            let noise = Tensor::random(old.shape(), Distribution::Uniform(-0.2, 0.2), &device);
            (old.detach() + noise).detach().set_require_grad(trains)
        })
    }
}

/// Moves scale, shift and statistics of norms away from one and zero, so that confusing them is noticed.
pub fn perturb_norms<M: Module>(module: M) -> M {
    module.map(&mut PerturbNorms)
}
