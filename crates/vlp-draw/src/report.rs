//! What a report shows, as plain data.

use serde::{Deserialize, Serialize};

use crate::Curve;

/// Everything on one report page; an empty part leaves its section out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Heading and window title.
    pub title: String,
    /// Short facts in the order shown, as (name, value): preset, steps, wall time, device, seed.
    pub summary: Vec<(String, String)>,
    /// Final figures.
    pub metrics: Table,
    /// One small chart each.
    pub curves: Vec<Curve>,
    /// Pictures with boxes and captions.
    pub pictures: Vec<PictureCard>,
    /// Sentences with masked words and what the model put in their place.
    pub masked: Vec<MaskedText>,
    /// The run's configuration, shown as it is (TOML).
    pub config: String,
    /// Remarks, such as counts of skipped records.
    pub notes: Vec<String>,
}

/// A table whose rows have as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows, top to bottom.
    pub rows: Vec<Row>,
}

/// One row of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// One text per column; a column of numbers is aligned to the right.
    pub cells: Vec<String>,
    /// A remark below the first cell: what the figure means, or the value to aim for.
    pub hint: Option<String>,
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self { cells, hint: None }
    }
}

/// A picture with its boxes and captions.
///
/// The pixels go into the page as they are, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureCard {
    /// Heading of the card, such as the sample's key.
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

/// An object in a picture.
///
/// Corners are in pixels of the picture from its top left corner, finite, with `x0 <= x1` and
/// `y0 <= y1`; the part outside the picture is not drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnBox {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
    /// Class name; it picks the colour, see [`colour_of`](crate::colour_of).
    pub label: String,
    /// Confidence in 0..=1 of a predicted box.
    #[serde(default)]
    pub score: Option<f32>,
    /// Whether the box is annotated or predicted.
    pub kind: BoxKind,
    /// Further facts in the list below the picture, such as attributes; may be empty.
    #[serde(default)]
    pub detail: String,
}

/// Where a box comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxKind {
    /// Annotated: drawn dashed.
    Truth,
    /// Predicted: drawn solid.
    Predicted,
}

/// A sentence some of whose words were masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskedText {
    /// Index into [`Report::pictures`] of the picture the model saw, shown small beside the text.
    pub picture: Option<usize>,
    /// Words in reading order.
    pub words: Vec<MaskedWord>,
}

/// A word of a [`MaskedText`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskedWord {
    /// The word as the sentence shows it.
    pub text: String,
    /// What was predicted, where the word was masked.
    pub masked: Option<Prediction>,
}

/// What a model predicted for a masked word; right if the first of `top` is the truth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// The word that was masked.
    pub truth: String,
    /// Candidates as (word, probability in 0..=1), most probable first.
    pub top: Vec<(String, f32)>,
}

impl Prediction {
    /// Whether the most probable candidate is the truth.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.top
            .first()
            .is_some_and(|(word, _)| *word == self.truth)
    }
}
