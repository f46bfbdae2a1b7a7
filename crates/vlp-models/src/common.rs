//! Parts that both models share.

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// Layers that are recomputed in the backward pass instead of storing their activations ([`vlp_ops::recompute`]). This
/// takes less memory and one more forward pass of these layers; gradients are equal up to the order of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecomputeTarget {
    /// Residual blocks of the backbone.
    Backbone,
    /// Encoder layers.
    Encoder,
}

/// Checks that a width allows 2-D sine positions (a multiple of 4); `paper` is the published width.
pub(crate) fn check_width(d_model: usize, paper: usize) -> Result<(), ModelError> {
    match d_model > 0 && d_model.is_multiple_of(4) {
        true => Ok(()),
        false => Err(ModelError::Config {
            key: "d_model",
            value: d_model.to_string(),
            hint: format!("2-D sine positions need a multiple of 4 ({paper} in the paper)"),
        }),
    }
}

/// Checks that a dropout is in `[0, 1)`.
pub(crate) fn check_dropout(dropout: f64) -> Result<(), ModelError> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(ModelError::Config {
            key: "dropout",
            value: dropout.to_string(),
            hint: "use a probability of at least 0 and less than 1 (0.1 in DETR and BERT)".into(),
        }),
    }
}
