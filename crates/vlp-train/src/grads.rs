//! Norms of gradients, as in `torch.nn.utils.clip_grad_norm_`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_ops::{sum_of_squares, to_cpu};

struct ListGrads<'a> {
    grads: &'a GradientsParams,
    list: Vec<Value>,
}

impl ModuleVisitor for ListGrads<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.get::<D>(param.id);
        self.list.extend(grad.map(Value::from));
    }
}

struct ParamNorms<'a> {
    grads: &'a GradientsParams,
    norms: Vec<(String, f32)>,
}

impl ParamVisitor for ParamNorms<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.norms.push((path.into(), norm([grad.into()])));
        }
    }
}

fn norm(tensors: impl IntoIterator<Item = Value>) -> f32 {
    sum_of_squares(tensors).map_or(0.0, |sum| scalar(sum.sqrt()))
}

fn scalar(tensor: Tensor<1>) -> f32 {
    to_cpu(tensor).iter().next().unwrap_or_default()
}

struct AnyTrained(bool);

impl ModuleVisitor for AnyTrained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}

/// Whether a parameter of the module is not frozen.
pub(crate) fn has_trained_param<M: Module>(module: &M) -> bool {
    let mut visitor = AnyTrained(false);
    module.visit(&mut visitor);
    visitor.0
}

/// L2 norm over all gradients, `[1]`, on their device; `None` if there are none.
pub(crate) fn norm_on_device<M: Module>(module: &M, grads: &GradientsParams) -> Option<Tensor<1>> {
    let mut visitor = ListGrads {
        grads,
        list: vec![],
    };
    module.visit(&mut visitor);
    sum_of_squares(visitor.list).map(Tensor::sqrt)
}

/// L2 norm over all gradients; 0 if there are none.
pub fn global_norm<M: Module>(module: &M, grads: &GradientsParams) -> f32 {
    norm_on_device(module, grads).map_or(0.0, scalar)
}

/// L2 norm of each parameter's gradient, with the parameter's path.
pub fn param_norms<M: Module>(module: &M, grads: &GradientsParams) -> Vec<(String, f32)> {
    let mut visitor = ParamNorms {
        grads,
        norms: vec![],
    };
    visit_params(module, &mut visitor);
    visitor.norms
}

struct CloneGrads<'a> {
    grads: &'a GradientsParams,
    clones: GradientsParams,
}

impl ModuleVisitor for CloneGrads<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.clones.register(param.id, grad);
        }
    }
}

/// Clones of all gradients, which share their memory.
pub(crate) fn clone_grads<M: Module>(module: &M, grads: &GradientsParams) -> GradientsParams {
    let mut visitor = CloneGrads {
        grads,
        clones: GradientsParams::new(),
    };
    module.visit(&mut visitor);
    visitor.clones
}
