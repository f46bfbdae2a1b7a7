//! Input of the report page.

use serde::{Deserialize, Serialize};

use crate::{Curve, DrawnBox, Table};

/// Everything on a report page. Empty parts have no section on the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Heading and window title.
    pub title: String,
    /// Short facts as (name, value), in this order: preset, steps, wall time, device, seed.
    pub summary: Vec<(String, String)>,
    /// Final metrics.
    pub metrics: Table,
    /// Recorded values, one small chart each.
    pub curves: Vec<Curve>,
    /// Images with boxes and captions.
    pub images: Vec<ImageCard>,
    /// Sentences with masked words and their predictions.
    pub masked: Vec<MaskedText>,
    /// The configuration of the run (TOML), shown unchanged.
    pub config: String,
    /// Remarks, such as counts of skipped records.
    pub notes: Vec<String>,
}

/// An image with its boxes and captions.
///
/// The page contains the pixels unscaled, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageCard {
    /// Heading of the card, such as the key of the sample.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// True and predicted objects.
    pub boxes: Vec<DrawnBox>,
    /// Captions as (generated, reference).
    pub captions: Vec<(String, String)>,
}

/// A sentence some of whose words were masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskedText {
    /// Index into [`Report::images`] of the image given to the model; it is shown next to the text.
    pub image: Option<usize>,
    /// Words in reading order.
    pub words: Vec<MaskedWord>,
}

/// A word of a [`MaskedText`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskedWord {
    /// The word as shown in the sentence.
    pub text: String,
    /// The prediction, if the word was masked.
    pub prediction: Option<WordPrediction>,
}

/// A model's prediction for a masked word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WordPrediction {
    /// The word that was masked.
    pub target: String,
    /// Candidates as (word, probability in 0..=1), most probable first.
    pub candidates: Vec<(String, f32)>,
}

impl WordPrediction {
    /// Whether the most probable candidate is the target.
    #[must_use]
    pub fn is_correct(&self) -> bool {
        let best = self.candidates.first();
        best.is_some_and(|(word, _)| *word == self.target)
    }
}
