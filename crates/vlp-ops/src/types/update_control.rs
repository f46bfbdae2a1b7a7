//! Control values of an update that are computed on the device.

use burn::prelude::*;

/// Factor of the gradients, and whether an update takes place. On a GPU, neither is copied to the CPU.
#[derive(Debug, Clone)]
pub struct UpdateControl(pub(crate) Tensor<1>);

impl UpdateControl {
    /// The factor `min(1, max_norm / (norm + 1e-6))`, or 1 if `max_norm` is 0. No update takes place if a value is not
    /// finite; the norm of the gradients is the last of `values`.
    ///
    /// # Shapes
    /// - `values`: `[1 or more]`
    pub fn new(values: Tensor<1>, max_norm: f32) -> Self {
        gpu_path! {
            if let Ok(mut values) = crate::cube::primitives(vec![values.clone().into()])
                && let Some(values) = values.pop()
                && let Some(control) = crate::cube::clip::control(values, max_norm)
            {
                return Self(control.into_tensor());
            }
        }
        let last = values.dims()[0] - 1;
        let norm = values.clone().slice(last..last + 1);
        let flag = values.is_finite().all().float();
        let factor = match max_norm > 0.0 {
            true => {
                let max_norm = norm.ones_like().mul_scalar(max_norm);
                (max_norm / norm.add_scalar(1e-6)).clamp_max(1.0)
            }
            false => norm.ones_like(),
        };
        Self(Tensor::cat(vec![factor, flag], 0))
    }

    /// The factor, or `None` if no update takes place. For the CPU backend, where reading the value needs no
    /// synchronization.
    pub(crate) fn read(&self) -> Option<f32> {
        let values: Vec<f32> = self.0.clone().into_data().iter().collect();
        (values.get(1) != Some(&0.0)).then(|| values.first().copied().unwrap_or(1.0))
    }
}
