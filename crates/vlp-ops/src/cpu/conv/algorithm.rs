//! The algorithms of a convolution.

use std::fmt;

/// A pass of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The output without autodiff: rounding errors only have their own size.
    Inference,
    /// The output with autodiff. Rounding decides whether values near zero pass a ReLU, and with them whole gradients,
    /// so sums are computed in several levels.
    Training,
    /// The gradient of the input.
    InputGrad,
    /// The gradient of the weight.
    WeightGrad,
}

/// An algorithm for one pass of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Tiles of AMX, in bf16, on a padded input.
    Amx,
    /// Winograd's F(2x2, 3x3): fewer multiplications.
    Winograd,
    /// Sums over taps in vector registers, on a padded input.
    Direct,
    /// A kernel of 1x1: one matrix multiplication per image; for the weight's gradient, inputs and outputs exchanged.
    Pointwise,
    /// Matrix multiplication by tiles of the im2col matrix.
    Im2col,
    /// The gradient of the im2col matrix by matrix multiplication, scattered to the input.
    Col2im,
    /// The input's gradient at a stride above 1: one convolution for each residue of rows and columns modulo the stride.
    StridedParts,
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amx => "AMX tiles",
            Self::Winograd => "Winograd",
            Self::Direct => "direct",
            Self::Pointwise => "pointwise matmul",
            Self::Im2col => "im2col",
            Self::Col2im => "col2im",
            Self::StridedParts => "strided parts",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_names() {
        assert_eq!(
            format!("{}, {}", Algorithm::Winograd, Algorithm::Amx),
            "Winograd, AMX tiles"
        );
    }
}
