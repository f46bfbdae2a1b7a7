//! Input of the dictionary page.

use serde::{Deserialize, Serialize};

use crate::{CodeGrid, Table};

/// A visual dictionary: its codes with typical patches and words, how often each
/// is used, and images tinted by code. Empty parts have no section on the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DictionaryPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts as (name, value), in this order: checkpoint, data, number of grid features.
    pub summary: Vec<(String, String)>,
    /// Metrics such as purity or mutual information with shape and color.
    pub metrics: Table,
    /// The measure in [`CodeCard::words`], such as `PMI, nats` or `lift`.
    pub word_measure: String,
    /// Every code of the dictionary once, including dead ones, in any order. Only the
    /// [`CODES_SHOWN`] most used ones get a card, so only they need patches and words.
    pub codes: Vec<CodeCard>,
    /// Images with the codes of their grid features.
    pub images: Vec<CodedImage>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Number of codes with a card: the most used ones.
pub const CODES_SHOWN: usize = 64;
/// Number of patches on a card: the first ones.
pub const PATCHES_SHOWN: usize = 6;
/// Number of words on a card: the first ones.
pub const WORDS_SHOWN: usize = 6;

/// One code of a [`DictionaryPage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeCard {
    /// Index of the code; determines the color, see [`code_colors`](crate::code_colors).
    pub code: usize,
    /// Number of grid features assigned to it; 0 for a dead code. Fractions and perplexity are computed from these.
    pub uses: u64,
    /// Its most typical patches, best first. [`PATCHES_SHOWN`] of them are shown, at most 40 pixels wide and high.
    pub patches: Vec<Patch>,
    /// Words it occurs with and the strength of the association, strongest first; [`WORDS_SHOWN`] of them are
    /// shown. A value that is not finite is printed without a bar.
    pub words: Vec<(String, f64)>,
}

impl CodeCard {
    /// The patches on the card.
    pub(super) fn shown_patches(&self) -> &[Patch] {
        &self.patches[..self.patches.len().min(PATCHES_SHOWN)]
    }

    /// The words on the card.
    pub(super) fn shown_words(&self) -> &[(String, f64)] {
        &self.words[..self.words.len().min(WORDS_SHOWN)]
    }
}

/// A small part of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// Origin of the patch; shown as a tooltip.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
}

/// An image and the codes of its grid features.
///
/// The page contains the pixels unscaled, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodedImage {
    /// Heading, such as the key of the sample.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// The code of each grid feature.
    pub grid: CodeGrid,
    /// Captions of the image.
    pub captions: Vec<String>,
}
