//! Codes of a visual dictionary.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use vlp_data::Image;

use crate::png_file::png;

/// The code of each cell of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeGrid {
    /// Rows of cells.
    pub rows: usize,
    /// Columns of cells.
    pub columns: usize,
    /// Codes of the cells, row by row.
    pub codes: Vec<usize>,
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Code {
    /// Name of the model.
    pub model: String,
    /// The code.
    pub code: usize,
    /// Cells of all examples that have this code.
    pub uses: u64,
    /// Cells of all examples.
    pub cells: u64,
    /// Words of captions that go with it, strongest first.
    pub words: Vec<CodeWord>,
    /// Its most typical patches.
    pub patches: Vec<Patch>,
}

/// A word that goes with a code.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodeWord {
    /// The word.
    pub word: String,
    /// Pointwise mutual information of word and code in nats.
    pub pmi: f64,
}

/// A part of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// Index of the example.
    pub example: usize,
    /// Row of the cell.
    pub row: usize,
    /// Column of the cell.
    pub column: usize,
    /// The pixels.
    #[serde(rename = "png", serialize_with = "base64_png")]
    pub image: Image,
}

fn base64_png<S: Serializer>(image: &Image, serializer: S) -> Result<S::Ok, S::Error> {
    let file = png(image).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&STANDARD.encode(file))
}
