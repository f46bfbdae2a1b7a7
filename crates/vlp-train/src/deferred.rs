//! Updates of which only the device knows whether they are made, so that it need not wait until the CPU has decided.

use std::any::Any;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;

/// An update that is made where all values of the step are finite.
#[derive(Debug, Clone)]
pub(crate) struct Deferred {
    /// Factor of the gradients.
    factor: Number,
    /// No value is above it: the greatest number where the update is made, else the least.
    limit: Number,
}

impl Deferred {
    /// An update by gradients of global norm `norm`, `[1]`, clipped to `max_norm` unless that is 0. It is made if all of
    /// `values`, each of any length, and the norm are finite.
    pub(crate) fn new(norm: Tensor<1>, max_norm: f32, mut values: Vec<Tensor<1>>) -> Self {
        let factor = match max_norm > 0.0 {
            true => {
                let max_norm = norm.ones_like().mul_scalar(max_norm);
                (max_norm / norm.clone().add_scalar(1e-6)).clamp_max(1.0)
            }
            false => norm.ones_like(),
        };
        values.push(norm);
        let values = Tensor::cat(values, 0);
        let is_finite = values.abs().lower_equal_elem(f32::MAX).float().min();
        let limit = is_finite.mul_scalar(2.0).sub_scalar(1.0);
        Self {
            factor: Number::new(factor),
            limit: Number::new(limit.mul_scalar(f32::MAX)),
        }
    }

    /// `grad` times the factor.
    pub(crate) fn scale<const D: usize>(&self, grad: Tensor<D>) -> Tensor<D> {
        grad * self.factor.of_rank()
    }

    /// `new` if the update is made, else `old`.
    pub(crate) fn choose<const D: usize>(&self, old: Tensor<D>, new: Tensor<D>) -> Tensor<D> {
        let mut limit = self.limit.of_rank();
        if limit.dtype() != new.dtype() {
            limit = limit.cast(new.dtype());
        }
        // A comparison of all values fuses with the update; an expanded mask would not.
        let is_made = new.clone().lower_equal(limit);
        old.mask_where(is_made, new)
    }
}

/// One number as a tensor of each rank that parameters have: to reshape it for each parameter would end the kernel that its
/// update is fused into.
#[derive(Debug, Clone)]
struct Number(Tensor<1>, Tensor<2>, Tensor<3>, Tensor<4>);

impl Number {
    fn new(number: Tensor<1>) -> Self {
        let (second, third) = (
            number.clone().reshape([1; 2]),
            number.clone().reshape([1; 3]),
        );
        let fourth = number.clone().reshape([1; 4]);
        Self(number, second, third, fourth)
    }

    fn of_rank<const D: usize>(&self) -> Tensor<D> {
        let ranks: [&dyn Any; 4] = [&self.0, &self.1, &self.2, &self.3];
        let mut tensors = ranks.iter().filter_map(|tensor| tensor.downcast_ref());
        let tensor = tensors.next().cloned();
        tensor.unwrap_or_else(|| self.0.clone().reshape([1; D]))
    }
}

/// Clones of all gradients, which share their memory.
pub(crate) fn clone_grads<M: Module>(module: &M, grads: &GradientsParams) -> GradientsParams {
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

    let mut visitor = CloneGrads {
        grads,
        clones: GradientsParams::new(),
    };
    module.visit(&mut visitor);
    visitor.clones
}
