//! The factor of gradient clipping.

use std::sync::{Arc, Mutex, PoisonError};

use crate::update_list::UpdateList;

/// Factor by which the optimizer multiplies gradients as it reads them, so that clipping needs no separate pass. Clones
/// share the factor.
#[derive(Debug, Clone)]
pub struct GradScale {
    factor: Arc<Mutex<f32>>,
    /// Updates of all parameters at once.
    pub(crate) updates: UpdateList,
}

impl Default for GradScale {
    fn default() -> Self {
        Self {
            factor: Arc::new(Mutex::new(1.0)),
            updates: UpdateList::default(),
        }
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
        *self.factor.lock().unwrap_or_else(PoisonError::into_inner) = factor.min(1.0);
    }

    pub(crate) fn get(&self) -> f32 {
        *self.factor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
