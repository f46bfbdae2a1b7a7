//! Constants of [`adamw`](crate::adamw()).

/// Constants of one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// Factor of the gradient: 1, or less if it is clipped.
    pub grad_scale: f32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f32,
    /// Decay rate of the first moment, in `0..1`.
    pub beta1: f32,
    /// Decay rate of the second moment, in `0..1`.
    pub beta2: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// Add epsilon before the bias of the second moment is corrected, so that it counts as
    /// `epsilon / sqrt(1 - beta2^step_number)`. After it in PyTorch.
    pub epsilon_before_correction: bool,
    /// Decay the parameter after it was updated. Before it in PyTorch.
    pub decay_after_update: bool,
    /// Number of this update, from 1.
    pub step_number: i32,
    /// Whether the moments are stored in bf16, rounded stochastically: half of their memory.
    pub bf16_moments: bool,
}

impl AdamWStep {
    /// Factor of the parameter.
    pub(crate) fn retained(&self) -> f64 {
        1.0 - self.learning_rate * f64::from(self.weight_decay)
    }

    /// What the quotient of the moments is multiplied by before it is subtracted from the decayed parameter.
    pub(crate) fn update_rate(&self) -> f64 {
        match self.decay_after_update {
            true => self.learning_rate * self.retained(),
            false => self.learning_rate,
        }
    }

    /// `1 - beta^step_number` of both moments.
    pub(crate) fn bias_corrections(&self) -> [f32; 2] {
        [self.beta1, self.beta2].map(|beta| 1.0 - beta.powi(self.step_number))
    }

    /// What is added to the square root of the corrected second moment.
    pub(crate) fn corrected_epsilon(&self) -> f32 {
        let [_, correction] = self.bias_corrections();
        match self.epsilon_before_correction {
            true => self.epsilon / correction.sqrt(),
            false => self.epsilon,
        }
    }

    /// The constants in a kernel.
    pub(crate) fn constants(&self, has_new_moments: bool) -> [f32; 9] {
        let [bias_correction1, bias_correction2] = self.bias_corrections();
        [
            self.update_rate() as f32,
            self.retained() as f32,
            self.beta1,
            self.beta2,
            self.corrected_epsilon(),
            bias_correction1,
            bias_correction2,
            self.step_number as f32,
            f32::from(u8::from(has_new_moments)),
        ]
    }
}

impl Default for AdamWStep {
    /// The first update with the defaults of `torch.optim.AdamW`.
    fn default() -> Self {
        Self {
            grad_scale: 1.0,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            epsilon_before_correction: false,
            decay_after_update: false,
            step_number: 1,
            bf16_moments: false,
        }
    }
}
