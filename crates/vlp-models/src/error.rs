//! Errors of configuration.

use vlp_transformer::TransformerError;
use vlp_vision::VisionError;

/// An invalid model configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Invalid value of the backbone or the dictionary.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// Invalid value of the transformer.
    #[error("model.{0}")]
    Transformer(#[from] TransformerError),
    /// Invalid value of the model itself.
    #[error("model.{key} = {value}: {hint}")]
    Config {
        /// Configuration key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to use instead.
        hint: String,
    },
}
