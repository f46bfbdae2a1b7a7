//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Distribution;
pub use vlp_testing::{distance, random};

/// Pixels of [`vlp_testing::noise`].
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let values = vlp_testing::noise(count, seed);
    values.into_iter().map(|v| v as f32).collect()
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[derive(Default)]
struct Paths {
    path: Vec<String>,
    found: BTreeMap<String, bool>,
    grads: GradientsParams,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let has = self.grads.get::<D>(param.id).is_some();
        self.found.insert(self.path.join("."), has);
    }
}

/// Every parameter and buffer of a module: does `grads` hold a gradient of it?
pub fn trained<M: Module>(module: &M, grads: GradientsParams) -> BTreeMap<String, bool> {
    let mut paths = Paths {
        grads,
        ..Paths::default()
    };
    module.visit(&mut paths);
    paths.found
}

#[derive(Default)]
struct Buffers {
    path: Vec<String>,
    values: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Buffers {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if path.contains("running_") {
            self.values.insert(path, host(param.val()));
        }
    }
}

/// Running statistics of every norm, the last forward pass taken in.
pub fn statistics<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let mut buffers = Buffers::default();
    module.valid().visit(&mut buffers);
    buffers.values
}

struct Scatter;

impl ModuleMapper for Scatter {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 1 {
            return param;
        }
        param.map(|old| {
            let (device, train) = (old.device(), old.is_require_grad());
            let noise = Tensor::random(old.shape(), Distribution::Uniform(-0.2, 0.2), &device);
            (old.detach() + noise).detach().set_require_grad(train)
        })
    }
}

/// Gains, shifts and statistics of norms away from one and zero, so that mixing them up shows.
pub fn scatter_norms<M: Module>(module: M) -> M {
    module.map(&mut Scatter)
}
