//! Objects and captions.

use serde::Serialize;

/// A generated caption.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Caption {
    /// The text.
    pub text: String,
    /// Sum of the log-probabilities of its tokens in nats, after the length penalty.
    pub log_probability: f64,
}

/// A detected object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Object {
    /// The object query that detected it.
    #[serde(skip)]
    pub query: usize,
    /// Name of its class.
    pub class: String,
    /// Probability of that class.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the original image.
    pub bbox: [f32; 4],
    /// Most probable attributes with their probabilities, most probable first.
    pub attributes: Vec<(String, f32)>,
}
