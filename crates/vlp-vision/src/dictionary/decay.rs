//! Decay of a moving average.

use burn::prelude::*;

use super::DictionaryConfig;

/// Weight of the old value in a moving average.
pub(super) struct Decay {
    constant: f64,
    /// A function of the number of updates instead, which is a value on the device, `[1]`.
    ramped: Option<Tensor<1>>,
}

impl Decay {
    /// The same at every update.
    pub(super) fn constant(decay: f64) -> Self {
        Self {
            constant: decay,
            ramped: None,
        }
    }

    /// The decay of the codes after so many `updates`, `[1]`.
    pub(super) fn of_codes(config: &DictionaryConfig, updates: &Tensor<1>) -> Self {
        let ramped = || {
            let ramp = updates.clone().mul_scalar(config.ramp);
            ramp.clamp_max(config.decay)
        };
        Self {
            constant: config.decay,
            ramped: (config.ramp > 0.0).then(ramped),
        }
    }

    /// `decay * old + (1 - decay) * new`.
    pub(super) fn average<const D: usize>(&self, old: Tensor<D>, new: Tensor<D>) -> Tensor<D> {
        let Some(decay) = self.ramped.clone() else {
            return old.mul_scalar(self.constant) + new.mul_scalar(1.0 - self.constant);
        };
        let decay: Tensor<D> = decay.reshape([1; D]);
        let update = decay.clone().neg().add_scalar(1.0);
        old * decay + new * update
    }
}
