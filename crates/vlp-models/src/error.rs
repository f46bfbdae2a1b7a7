//! What can be wrong with a model's configuration.

use vlp_objectives::ObjectiveError;
use vlp_transformer::TransformerError;
use vlp_vision::VisionError;

/// An impossible model configuration.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The backbone's part of it.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// The transformer's part of it.
    #[error("model.{0}")]
    Transformer(#[from] TransformerError),
    /// An objective's part of it.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// A value of the model itself.
    #[error("model.{key} = {value}: {hint}")]
    Config {
        /// Name of the configuration key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
}
