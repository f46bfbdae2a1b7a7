//! The factor of gradient clipping.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;

/// Factor that the optimizer applies to the gradients as it reads them, so that clipping needs no separate pass.
/// Clones share the factor.
#[derive(Debug, Clone, Default)]
pub struct GradScale(Arc<Mutex<Factor>>);

#[derive(Debug, Clone)]
enum Factor {
    Number(f32),
    Tensor(Box<TensorFactor>),
}

impl Default for Factor {
    fn default() -> Self {
        Self::Number(1.0)
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
        self.set(Factor::Number(factor.min(1.0)));
    }

    /// As [`Self::clip`] by a norm `[1]` that the device does not copy to the CPU.
    pub(crate) fn clip_on_device(&self, norm: Tensor<1>, max_norm: f32) {
        self.set(match max_norm > 0.0 {
            true => Factor::Tensor(Box::new(TensorFactor::clip(norm, max_norm))),
            false => Factor::default(),
        });
    }

    /// The gradient, and the number that it must still be multiplied by.
    pub(crate) fn apply<const D: usize>(&self, grad: Tensor<D>) -> (Tensor<D>, f32) {
        let factor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*factor {
            Factor::Number(factor) => (grad, *factor),
            Factor::Tensor(factor) => (grad * factor.of_rank(), 1.0),
        }
    }

    fn set(&self, factor: Factor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = factor;
    }
}

/// A factor as a tensor of each rank that parameters have: to reshape it for each of them would end the kernel that the
/// update is fused into.
#[derive(Debug, Clone)]
struct TensorFactor(Tensor<1>, Tensor<2>, Tensor<3>, Tensor<4>);

impl TensorFactor {
    fn clip(norm: Tensor<1>, max_norm: f32) -> Self {
        let max_norm = norm.ones_like().mul_scalar(max_norm);
        let factor = (max_norm / norm.add_scalar(1e-6)).clamp_max(1.0);
        let second = factor.clone().reshape([1; 2]);
        let third = factor.clone().reshape([1; 3]);
        let fourth = factor.clone().reshape([1; 4]);
        Self(factor, second, third, fourth)
    }

    fn of_rank<const D: usize>(&self) -> Tensor<D> {
        let ranks: [&dyn Any; 4] = [&self.0, &self.1, &self.2, &self.3];
        let factor = ranks.iter().find_map(|factor| factor.downcast_ref());
        factor
            .cloned()
            .unwrap_or_else(|| self.0.clone().reshape([1; D]))
    }
}
