#![doc = include_str!("../README.md")]

mod bars;
mod boxes;
mod color;
mod curve;
mod data_uri;
mod dictionary;
mod error;
mod framed_image;
mod grid;
mod heatmap;
mod label_placement;
mod layout;
mod number_format;
mod overlay;
mod palette;
mod prediction;
mod report;
mod samples;
mod shared_image;
mod svg;
mod table;

pub use boxes::{BoxKind, DrawnBox};
pub use color::{Color, class_color};
pub use curve::{Curve, comparison_svg, curve_svg};
pub use dictionary::{
    CODES_SHOWN, CodeCard, CodedImage, DictionaryPage, PATCHES_SHOWN, Patch, WORDS_SHOWN,
    render_dictionary,
};
pub use error::{DrawError, ImageError};
pub use grid::CodeGrid;
pub use heatmap::Heatmap;
pub use palette::{DISTINCT_CODE_COLORS, code_colors};
pub use prediction::{AnsweredQuestion, PredictedImage, PredictionPage, render_prediction};
pub use report::{ImageCard, MaskedText, MaskedWord, Report, WordPrediction, render_report};
pub use samples::{Histogram, SampleCard, SampleImage, SamplesPage, render_samples};
pub use table::{Row, Table};
