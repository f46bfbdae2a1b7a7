//! Requests and predictions.

use std::path::Path;

use serde::Serialize;
use vlp_data::{Image, Limits, decode_image};
use vlp_objectives::CaptioningConfig;

use super::attention_map::AttentionMap;
use super::outputs::{Caption, Object};
use crate::error::VlpError;

/// What to predict for images.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Questions to answer.
    pub questions: Vec<String>,
    /// Texts to match.
    pub texts: Vec<String>,
    /// Minimum score of an object, in `0..=1`.
    pub threshold: f32,
    /// Options of caption generation; those of the run's configuration if `None`.
    pub caption: Option<CaptioningConfig>,
    /// Seed of sampled captions; the random numbers are a function of the seed and the image's pixels.
    pub seed: u64,
    /// Return attention maps of words and objects.
    pub attention: bool,
}

/// Predictions for one image. A field is `None` if the run has no head for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prediction {
    /// Objects, greatest score first.
    pub objects: Option<Vec<Object>>,
    /// A caption.
    pub caption: Option<Caption>,
    /// For each question the answers with their probabilities, most probable first.
    pub answers: Option<Vec<Vec<(String, f32)>>>,
    /// For each text the probability that it matches the image.
    pub matches: Option<Vec<f32>>,
    /// Attention maps of the objects, then of the words of the caption, the questions and the texts; empty unless requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attention_maps: Vec<AttentionMap>,
}

/// Reads an image file.
///
/// # Errors
/// [`VlpError::Io`], or [`VlpError::Data`] for a file that is not an image or too large.
pub fn read_image(path: impl AsRef<Path>) -> Result<Image, VlpError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(VlpError::io(path))?;
    let name = path.display().to_string();
    Ok(decode_image(&bytes, &name, &Limits::default())?)
}
