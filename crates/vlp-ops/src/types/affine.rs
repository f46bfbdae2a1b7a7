//! Arguments of [`affine`](crate::affine()).

use burn::prelude::*;

/// A frozen norm with the shortcut and ReLU that follow it in a residual block: `relu(x * scale + shift + shortcut)`.
#[derive(Debug, Clone)]
pub struct Affine {
    /// `[channels]`.
    pub scale: Tensor<1>,
    /// `[channels]`.
    pub shift: Tensor<1>,
    /// Added to the result, `[batch, channels, h, w]`.
    pub shortcut: Option<Tensor<4>>,
    /// Whether a ReLU follows.
    pub relu: bool,
}
