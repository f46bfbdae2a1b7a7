//! Features.

use serde::Serialize;

/// Numbers with a shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Features of a text and its image, read together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct JointTensors {
    /// `[tokens, width]`; the first is `[CLS]`.
    pub text_tokens: Tensor,
    /// `[rows, columns, width]`.
    pub image_tokens: Tensor,
}
