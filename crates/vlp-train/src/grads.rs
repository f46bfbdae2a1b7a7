//! The global gradient norm: measured, checked, clipped (`torch.nn.utils.clip_grad_norm_`).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_ops::{scale, square_sum};

struct Squares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let square = square_sum(grad);
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f32,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register::<D>(param.id, scale(grad, self.factor));
        }
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
            let norm = square_sum(grad).sqrt().into_scalar::<f32>();
            self.norms.push((self.path.join("."), norm));
        }
    }
}

/// L2 norm over all gradients; 0 without any.
pub fn global_norm<M: Module>(module: &M, grads: &GradientsParams) -> f32 {
    let mut visitor = Squares { grads, sum: None };
    module.visit(&mut visitor);
    visitor
        .sum
        .map_or(0.0, |sum| sum.sqrt().into_scalar::<f32>())
}

/// Scales all gradients by `min(1, max / (norm + 1e-6))`.
pub fn clip<M: Module>(module: &M, grads: &mut GradientsParams, norm: f32, max: f32) {
    let factor = max / (norm + 1e-6);
    if factor < 1.0 {
        module.visit(&mut Scale { grads, factor });
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
