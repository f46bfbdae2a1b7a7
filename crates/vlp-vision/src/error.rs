//! Errors of configuration and input.

/// An invalid configuration or image batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VisionError {
    /// An invalid value of a [`ResNetConfig`](crate::ResNetConfig).
    #[error("backbone.{key} = {value}: {hint}")]
    Config {
        /// Configuration key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to use instead.
        hint: String,
    },
    /// An image whose number of values does not match its size.
    #[error("image {index} of the batch: {values} values for 3 x {height} x {width}; {hint}")]
    Image {
        /// Index in the batch.
        index: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Number of values.
        values: usize,
        /// What to use instead.
        hint: &'static str,
    },
    /// An invalid value of a [`DictionaryConfig`](crate::DictionaryConfig).
    #[error("dictionary.{key} = {value}: {hint}")]
    Dictionary {
        /// Configuration key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What to use instead.
        hint: String,
    },
    /// Images too small for a single grid feature.
    #[error(
        "a batch of {height} x {width} pixels leaves no grid feature at stride {stride}: use images of at least {stride} x {stride}"
    )]
    TooSmall {
        /// Padded height of the batch.
        height: usize,
        /// Padded width of the batch.
        width: usize,
        /// Pixels per grid feature.
        stride: usize,
    },
    /// A batch without images.
    #[error("an empty batch has no size to pad to: pass at least one image")]
    EmptyBatch,
}
