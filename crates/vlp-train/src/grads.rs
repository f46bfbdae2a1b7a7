//! The global gradient norm: measured, checked, clipped (`torch.nn.utils.clip_grad_norm_`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_ops::square_sum;

struct Flat<'a> {
    grads: &'a GradientsParams,
    all: Vec<Tensor<1>>,
}

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.get::<D>(param.id);
        self.all.extend(grad.map(|grad| grad.reshape([-1])));
    }
}

struct Named<'a> {
    grads: &'a GradientsParams,
    path: Vec<String>,
    norms: Vec<(String, f32)>,
}

impl ModuleVisitor for Named<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.norms
                .push((self.path.join("."), norm([grad.reshape([-1])])));
        }
    }
}

/// L2 norm over all gradients; 0 without any.
pub fn global_norm<M: Module>(module: &M, grads: &GradientsParams) -> f32 {
    let mut visitor = Flat { grads, all: vec![] };
    module.visit(&mut visitor);
    norm(visitor.all)
}

fn norm(tensors: impl IntoIterator<Item = Tensor<1>>) -> f32 {
    square_sum(tensors).map_or(0.0, |sum| sum.sqrt().into_scalar::<f32>())
}

/// What the optimiser multiplies gradients by as it reads them: clipping without a pass of its own. Clones are one.
#[derive(Debug, Clone)]
pub struct GradScale(Arc<AtomicU32>);

impl Default for GradScale {
    /// 1: gradients as they are.
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1f32.to_bits())))
    }
}

impl GradScale {
    /// Clips the next update's gradients, of this global norm, to `max`: `min(1, max / (norm + 1e-6))`; 0 is no limit.
    pub fn clip(&self, norm: f32, max: f32) {
        let factor = if max > 0.0 { max / (norm + 1e-6) } else { 1.0 };
        self.0.store(factor.min(1.0).to_bits(), Ordering::Relaxed);
    }

    /// The factor.
    pub fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// L2 norm of each parameter's gradient, by path.
pub fn norms<M: Module>(module: &M, grads: &GradientsParams) -> Vec<(String, f32)> {
    let mut visitor = Named {
        grads,
        path: vec![],
        norms: vec![],
    };
    module.visit(&mut visitor);
    visitor.norms
}
