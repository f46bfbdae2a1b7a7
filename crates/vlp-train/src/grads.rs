//! Global norm of the gradients and clipping by it, as `torch.nn.utils.clip_grad_norm_`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_ops::{sum_of_squares, to_cpu};

use crate::deferred::Deferred;

struct FlatGrads<'a> {
    grads: &'a GradientsParams,
    flat: Vec<Tensor<1>>,
}

impl ModuleVisitor for FlatGrads<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.get::<D>(param.id);
        self.flat.extend(grad.map(|grad| grad.reshape([-1])));
    }
}

struct ParamNorms<'a> {
    grads: &'a GradientsParams,
    norms: Vec<(String, f32)>,
}

impl ParamVisitor for ParamNorms<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.norms.push((path.into(), norm([grad.reshape([-1])])));
        }
    }
}

fn norm(tensors: impl IntoIterator<Item = Tensor<1>>) -> f32 {
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
    let mut visitor = FlatGrads {
        grads,
        flat: vec![],
    };
    module.visit(&mut visitor);
    sum_of_squares(visitor.flat).map(Tensor::sqrt)
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

/// Factor that the optimizer applies to the gradients as it reads them, so that clipping needs no separate pass.
/// Clones share the factor.
#[derive(Debug, Clone, Default)]
pub struct GradScale(Arc<Mutex<Scale>>);

/// What the optimizer does with a gradient.
#[derive(Debug, Clone)]
pub(crate) enum Scale {
    /// Multiplies it by a number.
    Factor(f32),
    /// Multiplies it by a tensor, and keeps what it has updated if another tensor says so.
    Deferred(Box<Deferred>),
    /// Ignores it, and undoes the count of the update before.
    Undo,
}

impl Default for Scale {
    /// The factor 1.
    fn default() -> Self {
        Self::Factor(1.0)
    }
}

impl GradScale {
    /// Sets the factor to `min(1, max_norm / (norm + 1e-6))` for gradients of global norm `norm`; to 1 if `max_norm`
    /// is 0.
    pub fn clip(&self, norm: f32, max_norm: f32) {
        let factor = if max_norm > 0.0 {
            max_norm / (norm + 1e-6)
        } else {
            1.0
        };
        self.set(Scale::Factor(factor.min(1.0)));
    }

    pub(crate) fn set(&self, scale: Scale) {
        *self.lock() = scale;
    }

    pub(crate) fn get(&self) -> Scale {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Scale> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
