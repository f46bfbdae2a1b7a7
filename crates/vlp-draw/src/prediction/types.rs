//! Input of the prediction page.

use serde::{Deserialize, Serialize};

use crate::{CodeGrid, DrawnBox, Heatmap};

/// Predictions for images. Empty parts have no section on the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts as (name, value), in this order: checkpoint, device, thresholds.
    pub summary: Vec<(String, String)>,
    /// The images, one card each.
    pub images: Vec<PredictedImage>,
    /// Remarks, such as files that could not be read.
    pub notes: Vec<String>,
}

/// An image and its predictions; those that were not requested are empty.
///
/// Probabilities that are not finite are printed without a bar. The page contains the pixels
/// once, unscaled, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictedImage {
    /// Heading, such as the file name.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// Predicted objects.
    pub boxes: Vec<DrawnBox>,
    /// Captions as (text, log-probability in nats, summed over the text), best first.
    pub captions: Vec<(String, f32)>,
    /// Questions and the model's answers.
    pub questions: Vec<AnsweredQuestion>,
    /// Texts with the probability in 0..=1 that they match the image.
    pub matches: Vec<(String, f32)>,
    /// Attention weights, one small image each.
    pub heatmaps: Vec<Heatmap>,
    /// Codes of a visual dictionary.
    pub codes: Option<CodeGrid>,
}

/// A question about an image and its answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnsweredQuestion {
    /// The question.
    pub question: String,
    /// Answers with their probability in 0..=1, most probable first.
    pub answers: Vec<(String, f32)>,
}
