//! What an image says of a hypothesis.

use serde::Serialize;

/// Probabilities of the three relations of a hypothesis to an image; their sum is 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Entailment {
    /// The image proves the hypothesis.
    pub entailment: f32,
    /// The image neither proves nor contradicts it.
    pub neutral: f32,
    /// The image contradicts it.
    pub contradiction: f32,
}
