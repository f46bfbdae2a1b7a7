//! Constants of [`sgd`](crate::sgd()).

/// Constants of one update.
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    /// Factor of the gradient: 1, or less if it is clipped.
    pub grad_scale: f32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f32,
    /// Factor of the previous velocity, in `0..1`.
    pub momentum: f32,
}

impl SgdStep {
    /// The constants in a kernel.
    pub(crate) fn constants(&self, has_new_velocity: bool) -> [f32; 4] {
        [
            self.learning_rate as f32,
            self.weight_decay,
            self.momentum,
            f32::from(u8::from(has_new_velocity)),
        ]
    }
}

impl Default for SgdStep {
    /// The defaults of `torch.optim.SGD`: no weight decay, no momentum.
    fn default() -> Self {
        Self {
            grad_scale: 1.0,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            momentum: 0.0,
        }
    }
}
