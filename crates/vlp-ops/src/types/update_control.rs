//! Control values of an update that are computed on the device.

use burn::prelude::*;
use burn::tensor::DType;

use crate::capture::Value;
use crate::in_place::InPlace;

/// Factor of the gradients, and whether an update takes place. On a GPU, neither is copied to the CPU.
#[derive(Debug, Clone)]
pub struct UpdateControl {
    /// The factor, and 0 if no update takes place; f32.
    pub(crate) values: Tensor<1>,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "for a GPU's kernels"))]
    pub(crate) in_place: Option<InPlace>,
    /// Constants of AdamW's and of SGD's updates, instead of those of the steps.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "for a GPU's kernels"))]
    pub(crate) constants: Option<[Value; 2]>,
}

impl UpdateControl {
    /// The factor `min(1, max_norm / (norm + 1e-6))`, or 1 if `max_norm` is 0. No update takes place if a value is not
    /// finite; the norm of the gradients is the last of `values`.
    ///
    /// # Shapes
    /// - `values`: `[1 or more]`
    ///
    /// # Panics
    /// Without values.
    pub fn new(values: Tensor<1>, max_norm: f32) -> Self {
        assert!(values.dims() != [0], "a control of no values");
        let values = values.cast(DType::F32);
        gpu_path! {
            if let Some([values]) = crate::cube::primitives_of([values.clone().into()])
                && let Some(control) = crate::cube::clip::control(values, max_norm)
            {
                return Self::from_values(control.into_tensor());
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
        Self::from_values(Tensor::cat(vec![factor, flag.cast(DType::F32)], 0))
    }

    /// An update that always takes place, by the gradients as they are.
    pub fn always(device: &Device) -> Self {
        Self::from_values(crate::constant_floats(&[1.0, 1.0], device).cast(DType::F32))
    }

    fn from_values(values: Tensor<1>) -> Self {
        Self {
            values,
            in_place: None,
            constants: None,
        }
    }

    /// Tensors are updated in place.
    #[must_use]
    pub fn in_place(mut self, in_place: &InPlace) -> Self {
        self.in_place = Some(in_place.clone());
        self
    }

    /// On a GPU, the constants of the updates are these, in the order of [`update_constants`](crate::update_constants),
    /// and not those of their steps; moments and velocities must not be new.
    ///
    /// # Shapes
    /// - `adamw`, `sgd`: `[values]`
    #[must_use]
    pub fn with_constants(mut self, adamw: Tensor<1>, sgd: Tensor<1>) -> Self {
        self.constants = Some([adamw.into(), sgd.into()]);
        self
    }

    /// The factor, or `None` if no update takes place. For the CPU backend, where reading the value needs no
    /// synchronization.
    pub(crate) fn read(&self) -> Option<f32> {
        let values: Vec<f32> = self.values.clone().into_data().iter().collect();
        (values.get(1) != Some(&0.0)).then(|| values.first().copied().unwrap_or(1.0))
    }
}
