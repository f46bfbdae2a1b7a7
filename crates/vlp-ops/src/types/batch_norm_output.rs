//! Result of [`batch_norm`](crate::batch_norm()).

use burn::prelude::*;

/// Result of [`batch_norm`](crate::batch_norm()).
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// `[batch, channels, h, w]`.
    pub output: Tensor<4>,
    /// Mean of each channel of the batch, `[channels]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of each channel of the batch, `[channels]`, without gradient.
    pub variance: Tensor<1>,
}
