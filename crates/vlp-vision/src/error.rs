//! What can be wrong with a backbone's configuration or input.

/// An impossible backbone configuration or image batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VisionError {
    /// A value of [`ResNetConfig`](crate::ResNetConfig) that cannot work.
    #[error("backbone.{key} = {value}: {hint}")]
    Config {
        /// Name of the configuration key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
    /// An image whose pixel count does not fit its size.
    #[error("image {index} of the batch: {found} values for 3 x {height} x {width}; {hint}")]
    Image {
        /// Place in the batch.
        index: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Number of values found.
        found: usize,
        /// What would do.
        hint: &'static str,
    },
    /// A value of [`DictionaryConfig`](crate::DictionaryConfig) that cannot work.
    #[error("dictionary.{key} = {value}: {hint}")]
    Dictionary {
        /// Name of the configuration key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
    /// Images so small that no cell of the feature map is left.
    #[error(
        "a batch of {height} x {width} pixels leaves no cell at stride {stride}: use images of at least {stride} x {stride}"
    )]
    TooSmall {
        /// Padded height of the batch.
        height: usize,
        /// Padded width of the batch.
        width: usize,
        /// Pixels a cell.
        stride: usize,
    },
    /// A batch without images.
    #[error("an empty batch has no size to pad to: give at least one image")]
    EmptyBatch,
}
