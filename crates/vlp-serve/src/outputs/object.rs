//! Objects.

use serde::Serialize;

/// A detected object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// The object query that found it.
    pub query: usize,
    /// Name of its most probable class.
    pub class: String,
    /// Probability of that class.
    pub score: f32,
    /// Left, top, right, bottom in pixels of the original image.
    pub bbox: [f32; 4],
    /// Most probable attributes, most probable first.
    pub attributes: Vec<Attribute>,
}

/// An attribute of an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its probability.
    pub probability: f32,
}
