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
    /// Number of this update, from 1.
    pub step_number: i32,
    /// Whether the moments are stored in bf16, rounded stochastically: half of their memory.
    pub bf16_moments: bool,
}

impl AdamWStep {
    /// The constants in a kernel.
    pub(crate) fn constants(&self, has_new_moments: bool) -> [f32; 9] {
        let retained = 1.0 - self.learning_rate * f64::from(self.weight_decay);
        [
            self.learning_rate as f32,
            retained as f32,
            self.beta1,
            self.beta2,
            self.epsilon,
            1.0 - self.beta1.powi(self.step_number),
            1.0 - self.beta2.powi(self.step_number),
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
            step_number: 1,
            bf16_moments: false,
        }
    }
}
